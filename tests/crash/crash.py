#!/usr/bin/env python3
"""Worlds that suffer faults, round after round, and the recomputation of everything after each.

run.sh calls it, with what it has built: BIN_DIR has the programs, LOG_DIR is for logs. A line a round; at the end what
was suffered and compared. Exit status 1 if anything differed.
"""
import argparse
import random
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path

CRASH = Path(__file__).resolve().parent
sys.path[:0] = [str(CRASH), str(CRASH.parent / "support")]
import cluster  # noqa: E402
import failpoint_build  # noqa: E402
import fleet as fleets  # noqa: E402
import proxied  # noqa: E402
import stack as stacks  # noqa: E402

import faults  # noqa: E402
from round import Round  # noqa: E402
from world import OFFERS  # noqa: E402

# What a round leaves must go soon; and what a killed worker has begun is looked for each second, not each ten.
KAFKA_PROPERTIES = """
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.segment.delete.delay.ms=1000
transactional.id.expiration.ms=600000
transaction.remove.expired.transaction.cleanup.interval.ms=60000"""
SHOWN_CHARACTERS = 6000
SHOWN_WHY = 200
ROUNDS_OF_SERVERS = 100     # then new ones, so that what servers keep of groups and ids is bounded


class Sums:
    """What all rounds together were."""

    def __init__(self):
        self.rounds = 0
        self.failed = []
        self.suffered, self.compared, self.ends = Counter(), Counter(), Counter()

    def add(self, round):
        self.rounds += 1
        self.suffered += round.suffered
        self.compared += round.compared
        self.ends.update(kind_of(why) for why in (round.world.ends if round.world else []))
        if round.problems:
            self.failed.append(round.seed)

    def table(self, seconds):
        lines = [f"{self.rounds} rounds in {seconds:.0f} s, {len(self.failed)} failed", "", "faults suffered"]
        lines += [f"  {count:7,}  {name}" for name, count in sorted(self.suffered.items())]
        lines += ["", "compared with the oracle"]
        lines += [f"  {count:7,}  {what}" for what, count in sorted(self.compared.items())]
        if self.ends:
            lines += ["", "workers that ended by themselves, as they must not go on, and were started again"]
            lines += [f"  {count:7,}  {why}" for why, count in sorted(self.ends.items())]
        return "\n".join(lines)


def kind_of(why):
    """The same for ends of one kind: without numbers and names of fleets."""
    return re.sub(r"\bt[0-9a-f]{8}\.", "", re.sub(r"(?<![a-z0-9])[0-9]+", "N", " ".join(why.split())))[:SHOWN_WHY]


def offers(of_run):
    """Words of world.OFFERS: what the servers and the programs of this run have."""
    given = {stacks: {"kafka", "postgres"}, proxied: {"kafka", "postgres", "proxy"}, cluster: {"cluster"}}[of_run]
    return given | ({"failpoints"} if failpoint_build.has_failpoints(fleets.BIN) else set())


def line_of(round):
    suffered = ", ".join(f"{name} {count}" if count > 1 else name for name, count in sorted(round.suffered.items()))
    compared = sum(round.compared.values())
    return (f"{'FAILED' if round.problems else 'ok':6} {round.seconds:5.1f} s  seed {round.seed:10}  "
            f"{compared:6,} compared  {suffered}")


def servers(kinds):
    """The module whose stack() has what the faults need. Three brokers only where nothing needs one of its own."""
    needed = frozenset().union(*(kind.needs for kind in kinds))
    if "cluster" in needed and not needed & {"kafka", "postgres", "proxy", "recorder"}:
        return cluster
    return proxied if "proxy" in needed else stacks


def run(given, kinds):
    sums, began, of_run = Sums(), time.monotonic(), servers(kinds)
    offered = offers(of_run)
    seeds = random.Random(given.seed)
    try:
        for number in range(given.rounds):
            seed = given.seed if given.rounds == 1 else seeds.getrandbits(32)
            round = Round(seed, kinds, offered, of_run.stack(), given.keep)
            round.run()
            sums.add(round)
            print(f"{number + 1:5} {line_of(round)}", flush=True)
            if round.problems:
                print(shortened("\n".join(round.problems)), repeat(given, seed), sep="\n", flush=True)
            if round.needs_new_servers() or (number + 1) % ROUNDS_OF_SERVERS == 0:
                of_run.stop()
    finally:
        print(sums.table(time.monotonic() - began), flush=True)
        of_run.stop()
    return 1 if sums.failed else 0


def shortened(text):
    text = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS // 2] + "\n[...]\n" + text[
        -SHOWN_CHARACTERS // 2:]
    return "    " + text.replace("\n", "\n    ")


def repeat(given, seed):
    return (f"    logs: {stacks.logs()}\n"
            f"    again: tests/crash/run.sh --rounds 1 --seed {seed} --faults '{given.faults}'")


def on_end_signal(_number, _frame):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=20, help="how many (default: 20)")
    options.add_argument("--seed", type=int, help="of all rounds, or of the only one (default: another one each time)")
    options.add_argument("--faults", default="*", metavar="GLOB,...", help="which ones (default: all)")
    options.add_argument("--keep", action="store_true", help="keep the logs of good rounds as well")
    options.add_argument("--list", action="store_true", help="print the faults and what they need")
    given = options.parse_args()
    if given.list:
        for name, fault in sorted(faults.load().items()):
            said = (fault.run.__doc__ or "").strip().partition("\n")[0]
            print(f"{name:28} {' '.join(sorted(fault.needs)):20} {said}")
        return 0
    given.seed = random.SystemRandom().getrandbits(32) if given.seed is None else given.seed
    kinds = faults.chosen(given.faults.split(","), OFFERS)
    if not kinds:
        options.error(f"no fault is called {given.faults}: see --list")
    stacks.KAFKA_PROPERTIES += KAFKA_PROPERTIES
    print(f"seed {given.seed}, {given.rounds} rounds, of {len(kinds)} kinds of faults", flush=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_end_signal)
    return run(given, kinds)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: the servers have been stopped")
