"""Faults of PostgreSQL that pass: it is away, silent or unwilling for a while."""
import time
from contextlib import contextmanager

import postgres

from faults import fault

TIMEOUT_S = 10              # postgres.timeout_ms of the recorder


@contextmanager
def server(world):
    """PostgreSQL, held; it runs and takes everything when it is given back."""
    with world.server("postgres"):
        try:
            yield world.stack
        finally:
            world.stack.run("postgres-start")


@fault("postgres-kill", weight=2, needs="recorder postgres")
def postgres_kill(world, rng):
    """SIGKILL of all its processes; it comes back at once or later, or is killed again while it recovers."""
    with server(world) as stack:
        for _ in range(rng.choice([1, 1, 2, 3])):
            stack.run("postgres-kill")
            time.sleep(rng.choice([0, rng.uniform(0, 3)]))
            stack.run("postgres-start")
            time.sleep(rng.random() ** 2)


@fault("postgres-restart", weight=1, needs="recorder postgres")
def postgres_restart(world, rng):
    """Stopped in good order and started."""
    with server(world) as stack:
        stack.run("postgres-stop")
        time.sleep(rng.uniform(0, 4))


@fault("postgres-frozen", weight=1, needs="recorder postgres")
def postgres_frozen(world, rng):
    """The whole server stands still, for less than the recorder waits, or for longer, once in a while for 30 s."""
    with server(world) as stack, postgres.frozen(stack):
        time.sleep(rng.choice([rng.uniform(0.1, 3), rng.uniform(0.1, 3), TIMEOUT_S + rng.uniform(0.5, 2), 30]))


@fault("postgres-sessions", weight=2, needs="recorder postgres")
def postgres_sessions(world, rng):
    """All sessions are ended, several times, wherever they are in a transaction."""
    with server(world) as stack:
        for _ in range(rng.randint(1, 8)):
            postgres.end_sessions(stack, world.fleet.database)
            time.sleep(rng.random() ** 2)


@fault("postgres-read-only", weight=1, needs="recorder postgres")
def postgres_read_only(world, rng):
    """It takes no writes for a while."""
    with server(world) as stack:
        postgres.read_only(stack, world.fleet.database, True)
        try:
            time.sleep(rng.uniform(0.2, 3))
        finally:
            postgres.read_only(stack, world.fleet.database, False)


@fault("postgres-renamed", weight=1, needs="recorder postgres")
def postgres_renamed(world, rng):
    """The database is not there for a while, and comes back."""
    name = f"{world.fleet.database}_away"
    with server(world) as stack:
        postgres.rename(stack, world.fleet.database, name)
        try:
            time.sleep(rng.uniform(0.2, 3))
        finally:
            postgres.rename(stack, name, world.fleet.database)
