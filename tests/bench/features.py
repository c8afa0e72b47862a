"""The figures of the features worker, on servers of its own; called by features.sh.

  features.py [FIGURE...] [options]      all figures if none is named; --help has names and options

Worker, broker and, where there is any, traffic share the cores of the machine: what is counted in CPU-seconds is the
worker's own, what is counted by the wall clock is had beside the others.
"""
import argparse
import os
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import features_drains as drains  # noqa: E402
import features_restarts as restarts  # noqa: E402
import features_steady as steady  # noqa: E402
import features_values as values  # noqa: E402
from features_world import World  # noqa: E402

FIGURES = {
    "throughput": drains.throughput,
    "two": drains.two,
    "restore": restarts.restore,
    "restart": restarts.restart,
    "memory": drains.memory,
    "freshness": steady.freshness,
    "idle": steady.idle,
    "growth": drains.growth,
    "values": values.values,
}


def setting(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text}: write NAME=VALUE")
    return name, value


def parse():
    parser = argparse.ArgumentParser(prog="features.sh", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--set", dest="settings", action="append", type=setting, default=[], metavar="NAME=VALUE",
                        help="a setting of all workers")
    parser.add_argument("--rounds", type=int, default=5, help="of which the median is taken")
    parser.add_argument("--events", type=int, default=2_000_000, help="of bench-A")
    parser.add_argument("--copy-commit-ms", type=int, default=100, help="between the transactions of the bare copy")
    parser.add_argument("--restore-users", type=int, default=1_000_000, help="of whom there is a checkpoint")
    parser.add_argument("--restart-users", type=int, default=1_000_000)
    parser.add_argument("--restart-rate", type=int, default=1000, help="events/s when the worker is killed")
    parser.add_argument("--memory-users", type=int, default=1_000_000)
    parser.add_argument("--memory-events", type=int, default=5_000_000, help="beside the first one of each user")
    parser.add_argument("--rate", type=int, default=0,
                        help="events/s at which freshness is measured; 0: half of what a drain takes in just before")
    parser.add_argument("--seconds", type=int, default=30, help="for which freshness and idle are measured, each")
    parser.add_argument("--idle-rate", type=int, default=1000, help="events/s of an idle worker")
    parser.add_argument("--few-users", type=int, default=100_000)
    parser.add_argument("--many-users", type=int, default=10_000_000)
    parser.add_argument("--sampled-keys", type=int, default=100, help="of users, and of propositions")
    parser.add_argument("--growth-events", type=int, default=4_000_000, help="beside the first one of each user")
    options = parser.parse_args()
    options.settings = dict(options.settings)
    options.generator = os.environ["GENERATOR"]
    options.copy, options.fill, options.pace = (
        os.path.join(os.environ["PROGRAMS"], f"bench_{name}") for name in ("copy", "fill", "pace"))
    if unknown := set(options.figures) - set(FIGURES):
        parser.error(f"no figure is called {' or '.join(sorted(unknown))}: there are {', '.join(FIGURES)}")
    return options


def print_table(rows):
    heads = ("figure", "wanted", "got", "ratio")
    lines = [heads, *((*texts, "-" if ratio is None else f"{ratio:.2f}") for *texts, ratio in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def main():
    options = parse()
    started = time.monotonic()
    rows = []

    class Run(unittest.TestCase):
        def test_bench(self):
            world = World(self, options)
            for name in options.figures or FIGURES:
                print(f"{name}:", flush=True)
                rows.extend(FIGURES[name](world))

    result = unittest.TextTestRunner(verbosity=0).run(Run("test_bench"))
    print_table(rows)
    print(f"{time.monotonic() - started:.0f} s in all")
    sys.exit(not result.wasSuccessful())


main()
