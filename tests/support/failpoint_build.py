#!/usr/bin/env python3
"""Programs with failpoints (common/base/failpoint.h), for the tests that need them.

Those of BIN_DIR if they have failpoints; else they are built, once a run, from the source that the run is of: in
build-crash of the clone (or CRASH_BUILD_DIR), by one run at a time. Each run uses a copy of its own, which nobody
builds anew, and which goes when the run ends.

  failpoint_build.py DIRECTORY      builds, and copies the programs to a directory
"""
import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import fleet as fleets
import stack as stacks

PROGRAMS = ("flotilla", "flotilla-features", "flotilla-ranker", "flotilla-recorder")
BUILD_LIMIT_S = 1800


def build_into(directory):
    """Builds the programs and copies them. Raises RuntimeError with the last lines of what the build says."""
    build = Path(os.environ.get("CRASH_BUILD_DIR", stacks.ROOT / "build-crash"))
    build.mkdir(parents=True, exist_ok=True)
    with open(build / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        generator = [] if (build / "CMakeCache.txt").exists() else ["-G", "Ninja"]
        run("cmake", "-S", stacks.ROOT, "-B", build, *generator, "-DFLOTILLA_FAILPOINTS=ON", "-DFLOTILLA_TESTS=OFF")
        run("cmake", "--build", build, "--parallel", os.cpu_count())
        for name in PROGRAMS:
            shutil.copy2(build / "workers" / name, Path(directory) / name)


def run(*command):
    ended = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", timeout=BUILD_LIMIT_S)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}:\n{ended.stdout[-4000:]}")


def has_failpoints(programs):
    said = subprocess.run([programs / "flotilla", "--version"], capture_output=True, encoding="utf-8", timeout=60)
    return "with failpoints" in said.stdout


@cache
def programs():
    """The directory of the programs that have failpoints."""
    if has_failpoints(fleets.BIN):
        return fleets.BIN
    directory = tempfile.mkdtemp(prefix="flotilla-failpoints.")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    build_into(directory)
    return Path(directory)


def use_for(test):
    """Fleets of this test run programs with failpoints."""
    test.addCleanup(setattr, fleets, "BIN", fleets.BIN)
    fleets.BIN = programs()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build_into(sys.argv[1])
