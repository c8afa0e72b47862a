"""Faults of a worker's clock, which is set while it runs: stepped_clock.c, preloaded, does it to one process."""
import struct
import subprocess
import threading
import time
from functools import cache
from pathlib import Path

import stack as stacks
from fleet import wait_until

from faults import fault

NS = 1_000_000_000
STEPS_S = (0.2, 2, 30, 3600, 86_400 * 400)
READY_LIMIT_S = 150         # a broker may be down meanwhile, and start again on a machine with much to do
compiling = threading.Lock()


@cache
def library():
    """What is preloaded, built at the first use."""
    built = stacks.logs() / "stepped_clock.so"
    subprocess.run(["gcc", "-std=gnu17", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", "-o", built,
                    Path(__file__).with_name("stepped_clock.c")], check=True)
    return built


class Clock:
    """That of one copy, from its next start on."""

    def __init__(self, copy):
        self.path = copy.world.fleet.folder / f"{copy.name}.clock"
        self.set(0)
        with compiling:
            copy.variables |= {"LD_PRELOAD": str(library()), "STEPPED_CLOCK": str(self.path)}

    def set(self, off_s):
        """So far from the machine's clock."""
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("=q", int(off_s * NS)))


def with_clock(world, rng, kind):
    """One copy with a clock that is set forward and back, as often as not to far away, and right again at its end."""
    with world.one(kind, rng) as copy:
        copy.kill()
        clock = Clock(copy)
        copy.start()
        wait_until(lambda: not copy.is_running() or copy.worker.get("/readyz")[0] == 200, world.story, READY_LIMIT_S)
        for _ in range(rng.randint(1, 4)):
            off_s = rng.choice(STEPS_S) * rng.choice([-1, 1])
            world.note(f"{copy}: its clock is {off_s:+} s off")
            clock.set(off_s)
            time.sleep(rng.uniform(0.2, 2))
            if rng.random() < 0.3:
                copy.kill()
                copy.start()
        clock.set(0)
        copy.variables.clear()


@fault("worker-clock", weight=1)
def worker_clock(world, rng):
    """The clock of a worker jumps back and forward while it works."""
    with_clock(world, rng, "features")


@fault("recorder-clock", weight=0.5, needs="recorder")
def recorder_clock(world, rng):
    """The clock of a recorder jumps back and forward while it works."""
    with_clock(world, rng, "recorder")
