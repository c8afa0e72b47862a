"""The faults that a round may suffer, by name.

A fault is a function f(world, rng): it does its damage and undoes it, and returns once the world could be whole again.
What it needs it takes from the world (World.one, World.all, World.server), so that two faults of one thing do not meet
while those of different things may overlap. It may use no other randomness than rng, of which the schedule has the
seed.
"""
import importlib
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Callable

# Each has faults of one kind. Those that are not there offer none.
MODULES = ("faults_workers", "faults_clock", "faults_kafka", "faults_postgres", "failpoints")


@dataclass(frozen=True)
class Fault:
    name: str
    run: Callable
    weight: float           # how often, as a share of the sum of all weights
    needs: frozenset        # what the world must offer (world.OFFERS)
    damages: bool           # leaves servers behind that the next round must not have


FAULTS = {}


def fault(name, weight=1.0, needs="", damages=False):
    """Registers a function as a fault. needs: words of world.OFFERS, with spaces between them."""
    def register(run):
        assert name not in FAULTS, f"two faults are called {name}"
        FAULTS[name] = Fault(name, run, weight, frozenset(needs.split()), damages)
        return run
    return register


def load():
    """All faults of all modules."""
    for module in MODULES:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as e:
            if e.name != module:
                raise
    return FAULTS


def chosen(patterns, offers):
    """Those whose name matches one of the patterns, and for which there is everything; in order of their names."""
    return [f for name, f in sorted(load().items())
            if any(fnmatch(name, pattern) for pattern in patterns) and f.needs <= offers]
