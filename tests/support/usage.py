"""What a process has used so far, as the kernel tells it."""
import os
from collections import Counter
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_s(process):
    """Processor time, all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def thread_cpu_s(process):
    """The same by the names of its threads."""
    used = Counter()
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        ran_ns = int((thread / "schedstat").read_text().split()[0])
        used[(thread / "comm").read_text().strip()] += ran_ns / 1e9
    return used


def resident_bytes(process):
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE_BYTES
