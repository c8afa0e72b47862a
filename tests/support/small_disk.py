"""A disk that can be full: a tmpfs over a directory, in a mount namespace of its own.

    disk = SmallDisk(directory, 64 << 20)
    subprocess.run([*disk.enter, "program", ...])   # sees the disk there; nobody else does
    disk.fill()
    disk.free()
    disk.close()

It is gone when the last process that entered it has ended.
"""
import functools
import subprocess
from pathlib import Path

MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && echo mounted && exec cat'
BALLAST = "ballast"
BLOCK_BYTES = 65536
END_LIMIT_S = 10


@functools.cache
def why_not():
    """Why there can be no such disk on this machine; None: there can."""
    try:
        tried = subprocess.run(["unshare", "-m", "bash", "-c", MOUNT, "mount", "64k", "/mnt"], capture_output=True,
                               stdin=subprocess.DEVNULL, encoding="utf-8", timeout=END_LIMIT_S)
    except FileNotFoundError as e:
        return str(e)
    return f"a mount namespace is not allowed: {tried.stderr.strip()}" if tried.returncode else None


class SmallDisk:
    """size_bytes: all that it holds. The directory must be there."""

    def __init__(self, directory, size_bytes):
        self.holder = subprocess.Popen(["unshare", "-m", "bash", "-c", MOUNT, "mount", str(size_bytes), directory],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        if self.holder.stdout.readline() != "mounted\n":
            self.close()
            raise RuntimeError(f"no disk of {size_bytes} bytes could be mounted over {directory}")
        self.enter = ("nsenter", "-t", str(self.holder.pid), "-m")
        self.path = Path(f"/proc/{self.holder.pid}/root{Path(directory).resolve()}")    # as seen from outside

    def fill(self):
        """Until not one block is left."""
        with open(self.path / BALLAST, "ab", buffering=0) as out:
            try:
                while out.write(bytes(BLOCK_BYTES)):
                    pass
            except OSError:
                pass

    def free(self):
        (self.path / BALLAST).unlink(missing_ok=True)

    def close(self):
        self.holder.stdin.close()
        self.holder.wait(END_LIMIT_S)
        self.holder.stdout.close()
