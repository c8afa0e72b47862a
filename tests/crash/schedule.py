"""What happens to a world and when: a list that a seed gives, always the same."""
import random
from typing import NamedTuple

import faults

MOST_STEPS = 6


class Step(NamedTuple):
    """At which share of the stream which fault, and the seed of its own randomness."""

    moment: float
    fault: str
    seed: int

    def __str__(self):
        return f"{self.moment:4.0%} {self.fault}"


def make(seed, kinds):
    """A few of the kinds, in the order of their moments; what takes time may overlap."""
    rng = random.Random(f"schedule {seed}")
    count = rng.randint(1, MOST_STEPS)
    drawn = rng.choices(kinds, weights=[kind.weight for kind in kinds], k=count)
    return of([kind.name for kind in drawn], rng)


def of(names, rng):
    """These faults at moments of their own."""
    return sorted(Step(round(rng.uniform(0.02, 0.98), 3), name, rng.getrandbits(32)) for name in names)


def runner(step):
    """(the function of a step, its random.Random)"""
    return faults.load()[step.fault].run, random.Random(f"{step.fault} {step.seed}")
