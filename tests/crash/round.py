"""One round: a world, the faults that its seed gives, and the recomputation."""
import random
import shutil
import threading
import time
import traceback
from collections import Counter

import stack as stacks

import faults
import schedule
from topics import Topics
from world import World

FAULT_LIMIT_S = 240
AGAIN_SHARE = 0.34          # of the rounds are verified a second time, from checkpoints


def suffer(world, steps):
    """The faults of a schedule, at their moments, to the end of the last. Returns what went well, {fault: how often},
    and what did not, as texts."""
    suffered, problems = Counter(), []

    def take(step):
        world.note(f"{step.fault} begins")
        try:
            run, rng = schedule.runner(step)
            run(world, rng)
            suffered[step.fault] += 1
            world.note(f"{step.fault} is over")
        except Exception:
            problems.append(f"{step.fault}: {traceback.format_exc()}")
            world.note(f"{step.fault} failed")

    threads = []
    for step in steps:
        world.wait_for(step.moment)
        threads.append(threading.Thread(target=take, args=(step,), name=step.fault, daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(FAULT_LIMIT_S)
        if thread.is_alive():
            problems.append(f"{thread.name} is not over after {FAULT_LIMIT_S} s")
    return suffered, problems


class Round:
    """What a Fleet needs of a unittest.TestCase, and what came of the round. kinds: the Faults to draw from; offers:
    words of world.OFFERS; stack: the servers; keep: the logs, also if all is well."""

    def __init__(self, seed, kinds, offers, stack, keep=False):
        self.seed = seed
        self.offers = offers
        self.stack = stack
        self.keep = keep
        self.again = random.Random(f"round {seed}").random() < AGAIN_SHARE
        self.kinds = kinds
        self.steps = []
        self.suffered = Counter()
        self.compared = Counter()
        self.problems = []          # texts; none: all is well
        self.cleanups = []
        self.world = None
        self.seconds = 0

    # ------------------------------------------------------------ as a test

    def id(self):
        return f"crash.round_{self.seed}"

    def addCleanup(self, function, *arguments):
        self.cleanups.append((function, arguments))

    def clean_up(self):
        while self.cleanups:
            function, arguments = self.cleanups.pop()
            try:
                function(*arguments)
            except Exception:
                self.problems.append(f"cleaning up: {traceback.format_exc()}")

    # ------------------------------------------------------------ the round

    def run(self):
        """Whether all is well. What it has made is gone afterwards; logs stay where something is wrong."""
        began = time.monotonic()
        try:
            self.suffer()
        except Exception:
            self.problems.append(traceback.format_exc())
        if self.problems and self.world:
            self.problems.append(self.world.story())
        self.clean_up()
        self.seconds = time.monotonic() - began
        return not self.problems

    def suffer(self):
        self.world = world = World(self, self.seed, offers=self.offers, stack=self.stack)
        # After the workers have ended: cleanups run from the last to the first.
        self.cleanups.insert(0, (self.remove, (world.fleet,)))
        self.steps = schedule.make(self.seed, [kind for kind in self.kinds if kind.needs <= world.offers])
        world.begin()
        world.feed()
        self.suffered, problems = suffer(world, self.steps)
        self.problems += problems
        if not self.problems:
            self.compared += world.verify()
        if not self.problems and self.again:
            self.compared += world.verify_again()

    def remove(self, fleet):
        """Nothing of a finished round accumulates on the servers; of a good one nothing on the disk."""
        Topics(fleet).remove()
        if self.keep:
            (fleet.folder / "story").write_text(self.world.story() + "\n", encoding="utf-8")
        elif not self.problems:
            shutil.rmtree(stacks.logs() / self.id().rpartition(".")[2])

    def needs_new_servers(self):
        """Whether servers may be left that the next round must not have."""
        return bool(self.problems) or any(faults.FAULTS[step.fault].damages for step in self.steps)
