#!/usr/bin/env python3
"""Every failpoint of the workers features and recorder, visited: a copy dies there, comes back, and everything is
compared with the oracle, twice, the second time from checkpoints.

  tour.py           each point once: a minute
  tour.py --all     and at later passages, by copies without names that Kafka knows, and the points of a commit by a
                    copy that sleeps until it has been replaced (a zombie): a quarter of an hour
  tour.py --seed N  in that order

Exit status 1 if a point was not reached, or anything differed. The points of the ranker and of commands are visited by
tests/integration/test_failpoints.py.
"""
import argparse
import os
import random
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

CRASH = Path(__file__).resolve().parent
sys.path[:0] = [str(CRASH), str(CRASH.parent / "support")]

import failpoint_build  # noqa: E402
import stack as stacks  # noqa: E402

from failpoints import Visit, die_at, points_of, wake_as_zombie, zombie_points  # noqa: E402
from load import Load  # noqa: E402
from world import World  # noqa: E402

FIRST = (1,)
LATER = (2, 6, 20)          # passages of points that are passed again and again
QUICK = ("load", "start", "drain", "rebalance", "outclaimed")
KINDS = ("features", "recorder")
VISIT_S = 4                 # the stream lasts so long for each visit; when they are over, the rest comes at once
ZOMBIE_S = 15
LANE_LIMIT_S = 600
SHOWN_CHARACTERS = 8000


class Lane(threading.Thread):
    """The visits of one copy, one after the other, while other lanes go on."""

    def __init__(self, world, copy, visits, visit):
        super().__init__(name=f"lane of {copy}", daemon=True)
        self.world = world
        self.copy = copy
        self.visits = visits
        self.visit = visit
        self.problems = []

    def run(self):
        try:
            with self.world.copies.held([self.copy]):
                for visit in self.visits:
                    self.visit(self.world, self.copy, visit)
        except Exception:
            self.problems.append(f"{self.copy}: {traceback.format_exc()}")


class Leg:
    """What happens at the same time: lanes are lists of visits, each of a copy of its own; visit does one."""

    def __init__(self, lanes, visit=die_at, visit_s=VISIT_S, size="small"):
        self.lanes = lanes          # [(kind, [Visit])]
        self.visit = visit
        self.seconds = visit_s * max(len(visits) for _, visits in lanes)    # that the stream has to last
        self.size = size            # of the stream

    def count(self, kind):
        return sum(found == kind for found, _ in self.lanes)

    def visits(self):
        return sum(len(visits) for _, visits in self.lanes)


def tour(test, seed, legs, static=True):
    """One leg after the other, in one world. Returns what was compared; raises AssertionError."""
    load = Load(seed, size=legs[-1].size)
    load.first = spread(load.first)
    world = World(test, seed, copies=max(leg.count("features") for leg in legs),
                  recorders=max(leg.count("recorder") for leg in legs), static=static, offers=("failpoints",),
                  feed_s=sum(leg.seconds for leg in legs), load=load)
    world.begin()
    world.feed()
    for leg in legs:
        go(world, leg)
        world.wait_whole()
    world.feeder.seconds = 0            # the rest of the stream comes at once
    return world.verify() + world.verify_again()


def spread(records):
    """The records of each user, in their order, over the whole stream: no copy is without any for long."""
    counts, seen = Counter(record.key for record in records), Counter()
    places = []
    for record in records:
        places.append((seen[record.key] + 0.5) / counts[record.key])
        seen[record.key] += 1
    return [record for _, record in sorted(zip(places, records), key=lambda placed: placed[0])]


def go(world, leg):
    places = {kind: iter(world.copies.of(kind)) for kind in KINDS}
    lanes = [Lane(world, next(places[kind]), visits, leg.visit) for kind, visits in leg.lanes]
    for lane in lanes:
        lane.start()
    deadline = time.monotonic() + LANE_LIMIT_S
    for lane in lanes:
        lane.join(max(0, deadline - time.monotonic()))
    problems = [problem for lane in lanes for problem in lane.problems]
    problems += [f"{lane.name} is not over after {LANE_LIMIT_S} s" for lane in lanes if lane.is_alive()]
    if problems:
        raise AssertionError("\n".join([*problems, world.story()[-SHOWN_CHARACTERS:]]))


# ---------------------------------------------------------------- which visits

def dealt(kind, visits, copies):
    """Lanes of as many copies."""
    return [(kind, visits[number::copies]) for number in range(min(copies, len(visits)))]


def shuffled(visits, rng):
    rng.shuffle(visits)
    return visits


def once(rng, copies=3, visit_s=VISIT_S):
    """Each point once: those that a refused commit leads to first, by so many copies at the same time."""
    fenced = [Visit(point) for point in points_of("features", "fenced")]
    quick = {kind: shuffled([Visit(point) for point in points_of(kind, *QUICK)], rng) for kind in KINDS}
    return [Leg(dealt("features", fenced, copies), visit_s=ZOMBIE_S),
            Leg(dealt("features", quick["features"], 2) + dealt("recorder", quick["recorder"], 1), visit_s=visit_s)]


def later(rng):
    """The points that are passed again and again, at later passages. A feature worker has more of them."""
    visits = {kind: shuffled([Visit(point, passage) for point in points_of(kind, "load") for passage in LATER], rng)
              for kind in KINDS}
    return [Leg(dealt("features", visits["features"], 2) + dealt("recorder", visits["recorder"], 1), size="medium")]


def zombies(rng, copies=3, passages=(1, 2, 9)):
    """The points of a commit, each by a copy that stops there and wakes when it has been replaced."""
    visits = {kind: shuffled([Visit(point, rng.choice(passages), "stop") for point in zombie_points(kind)], rng)
              for kind in KINDS}
    return [Leg(dealt("features", visits["features"], copies) + dealt("recorder", visits["recorder"], 2),
                wake_as_zombie, ZOMBIE_S)]


# Copies without names get what partitions chance gives them, and where there are as many copies as partitions, none.
def nameless(rng):
    return once(rng, copies=1, visit_s=2 * VISIT_S)


def nameless_zombies(rng):
    return zombies(rng, copies=1, passages=(1, 2))


# (name, legs, whether copies have names that Kafka knows)
TOURS = (("once", once, True), ("later", later, True), ("zombies", zombies, True), ("nameless", nameless, False),
         ("nameless zombies", nameless_zombies, False))


class Test:
    """What a Fleet needs of a unittest.TestCase."""

    def __init__(self, name):
        self.name = name
        self.cleanups = []

    def id(self):
        return f"crash.tour_{self.name.replace(' ', '_')}"

    def addCleanup(self, function, *arguments):
        self.cleanups.append((function, arguments))

    def clean_up(self):
        while self.cleanups:
            function, arguments = self.cleanups.pop()
            function(*arguments)


def run(name, make, static, seed):
    """Whether all is well."""
    test, began = Test(name), time.monotonic()
    legs = make(random.Random(f"{name} {seed}"))
    try:
        compared = tour(test, seed, legs, static)
        said = f"ok      {sum(leg.visits() for leg in legs):4} visits, {sum(compared.values()):,} compared"
        return True
    except Exception:
        said = f"FAILED\n{traceback.format_exc()}\n    again: tests/crash/tour.py --all --seed {seed}"
        return False
    finally:
        test.clean_up()
        print(f"{name:17} {time.monotonic() - began:5.1f} s  {said}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--all", action="store_true", help="later passages, copies without names, zombies as well")
    options.add_argument("--keep", action="store_true", help="keep the logs: run.sh does it")
    options.add_argument("--seed", type=int, help="of the order (default: another one each time)")
    given = options.parse_args()
    seed = random.SystemRandom().getrandbits(32) if given.seed is None else given.seed
    print(f"seed {seed}, logs are in {stacks.logs()}", flush=True)
    os.environ.setdefault("KAFKA_PROPERTIES", stacks.KAFKA_PROPERTIES +
                          "\ntransaction.abort.timed.out.transaction.cleanup.interval.ms=1000")
    failpoint_build.use_for(keeper := Test("build"))
    try:
        return 0 if all([run(*tour, seed) for tour in TOURS[:None if given.all else 1]]) else 1
    finally:
        keeper.clean_up()
        stacks.stop()


if __name__ == "__main__":
    sys.exit(main())
