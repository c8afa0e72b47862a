"""What can happen to the PostgreSQL of a stack, beyond being stopped and killed: see its functions.

A stack whose PostgreSQL has a disk of its own, which can be full, is SmallPostgres.
"""
import os
import signal
from contextlib import contextmanager
from pathlib import Path

import small_disk
import stack as stacks

# A fresh server takes 40 MB and 16 MB for each piece of its log.
DISK_BYTES = 256 << 20


def processes(stack):
    """The postmaster and all its children, which are sessions of their own."""
    text = (Path(stack.directory) / "postgres/pid").read_text(encoding="ascii")
    postmaster = int(text.split()[0])
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text(encoding="ascii")
    return [postmaster, *map(int, children.split())]


def send(stack, number):
    for pid in processes(stack):
        try:
            os.kill(pid, number)
        except ProcessLookupError:      # a session that has just ended
            pass


@contextmanager
def frozen(stack):
    """The whole server stands still: connections are accepted by the kernel, and nobody answers."""
    send(stack, signal.SIGSTOP)
    try:
        yield
    finally:
        send(stack, signal.SIGCONT)


def end_sessions(stack, database):
    stack.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")


def read_only(stack, database, on):
    """For sessions that begin from now on, and there are no others."""
    stack.sql(f"ALTER DATABASE {database} SET default_transaction_read_only = {'on' if on else 'off'}")
    end_sessions(stack, database)


def rename(stack, database, name):
    """Whoever is connected to it loses the connection."""
    stack.sql(f"ALTER DATABASE {database} WITH ALLOW_CONNECTIONS false")
    end_sessions(stack, database)
    stack.sql(f"ALTER DATABASE {database} RENAME TO {name}")
    stack.sql(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


class SmallPostgres(stacks.Stack):
    """A stack of its own with a disk for all that PostgreSQL writes; see small_disk.why_not() first."""

    def __init__(self, test):
        guard = stacks.Guard()
        test.addCleanup(guard.close)
        directory = Path(guard.directory) / "postgres"
        directory.mkdir(parents=True)
        self.disk = small_disk.SmallDisk(directory, DISK_BYTES)
        test.addCleanup(self.disk.close)
        self.through = self.disk.enter
        stacks.run_script("up", guard.directory, self.through)
        super().__init__(guard.directory)
