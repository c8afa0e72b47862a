#!/usr/bin/env python3
"""Runs unit tests once for every way that leads to an allocation, with that allocation failing.

  allocations.py [--rest] [--jobs N] [NAME...]    executables or tests that have one of NAME in their name

UNIT_DIR has the executables of tests/unit, built with address,undefined: tests/crash/sanitizers.sh does so. For each
path to an allocation of the project's own code (support/alloc_paths.h) one test that goes it is run again: once with
that allocation failing, and with --rest once more with all those after it failing as well. Then the test may fail by
an assertion of its own, since what it asked for could not be had; and it may pass, where one can do without. It must
not crash, hang, do what a sanitizer reports, or leak although it passed; with --rest it may wait for what never comes.
--passed lists where an allocation failed and the test passed: each is a failure that somebody chose not to report.

The last line counts the runs by their outcome; the exit status is 1 if any is broken.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "support"))
import suite  # noqa: E402

UNDISTURBED_LIMIT_S = 300
LEAST_LIMIT_S, LIMIT_TIMES = 20, 10     # and as many times as long as the test takes undisturbed
HANGS = "hangs"
REPORTED = 77               # exit status of a sanitizer that has something to say
SANITIZERS = {
    # cmocka catches signals itself, and says less about them.
    "ASAN_OPTIONS": f"exitcode={REPORTED}:detect_leaks=1:allow_user_segv_handler=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": f"exitcode={REPORTED}:print_stacktrace=1",
}
OUTPUT_SHOWN = 6_000
FIRST_WORD = re.compile(r"(?P<assertion>\[  ERROR   \])|(?P<own>/tests/\S+: .*Assertion)|ERROR: \w+Sanitizer"
                        r"|runtime error")
FRAME = re.compile(r"\s*#\d+ 0x[0-9a-f]+ in \S+ (\S+)")       # of a sanitizer's trace, with its source file


class AllocationPath(NamedTuple):
    """A way to an allocation, in a test that goes it."""
    executable: str
    test: str
    seconds: float          # that the test takes
    id: str
    frames: tuple           # addresses in the executable, the innermost first


class Outcome(NamedTuple):
    path: AllocationPath
    how: str                # once or rest
    what: str               # passed, missed (the allocation was not met again), ended, waited, broken
    output: str


def run(executable, test, file, limit_s=UNDISTURBED_LIMIT_S, **environment):
    """(exit status or why there is none, output) of one test of an executable."""
    try:
        done = subprocess.run([suite.UNIT_DIR / executable], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", timeout=limit_s,
                              env={**os.environ, **SANITIZERS, "TEST_ONLY": test, "ALLOC_PATHS": file, **environment})
    except subprocess.TimeoutExpired as e:
        return HANGS, (e.stdout or b"").decode("utf-8", "replace")
    return done.returncode, done.stdout


def paths_of(executable, test):
    """Those that an undisturbed run of a test meets, in their order."""
    with tempfile.NamedTemporaryFile("r", prefix="flotilla-paths.") as file:
        began = time.monotonic()
        status, output = run(executable, test, file.name)
        seconds = time.monotonic() - began
        if status != 0:
            print(f"{executable}.{test} does not pass as it is: {status}\n{output[:OUTPUT_SHOWN]}", flush=True)
            return
        for line in file:
            id, *frames = line.split()
            yield AllocationPath(executable, test, seconds, id, tuple(int(frame, 16) for frame in frames))


class Places:
    """Source lines of addresses, asked for together: addr2line reads all of an executable each time."""

    def __init__(self, executable, addresses):
        self.known = {}
        addresses = sorted(set(addresses))
        # An address of a path is that of the instruction after the call.
        asked = "".join(f"{address - 1:#x}\n" for address in addresses)
        told = subprocess.run(["addr2line", "-e", suite.UNIT_DIR / executable, "-a", "-i"], input=asked,
                              capture_output=True, encoding="utf-8", check=True).stdout
        for part, address in zip(re.split(r"^0x[0-9a-f]+\n", told, flags=re.MULTILINE)[1:], addresses):
            # Of inlined functions the innermost is first, and is where the allocation stands.
            self.known[address] = part.split("\n")[0].replace(str(TESTS.parent) + "/", "").partition(" (")[0]

    def __getitem__(self, address):
        return self.known[address]


def is_of_tests(place):
    return place.startswith("tests/") or place.startswith("??")


def judge(path, how):
    with tempfile.NamedTemporaryFile("r", prefix="flotilla-paths.") as file:
        environment = {"ALLOC_FAILS": path.id} | ({"ALLOC_REST": "1"} if how == "rest" else {})
        limit_s = LEAST_LIMIT_S + LIMIT_TIMES * path.seconds
        status, output = run(path.executable, path.test, file.name, limit_s, **environment)
        happened = "failed" in file.read()
    if status == 0:
        what = "passed" if happened else "missed"
    elif status == 1 or gave_up(output):
        what = "ended"
    elif status == HANGS and how == "rest":
        what = "waited"
    else:
        what = "broken"
    return Outcome(path, how, what, f"{status}\n{output}")


def gave_up(output):
    """Whether a test's assertion failed before anything else was reported: what follows is an effect of that. Of a
    report, whether the project's first frame is a test's, which used what it had not checked."""
    found = FIRST_WORD.search(output)
    if found and (found["assertion"] or found["own"]):
        return True
    frames = (frame[1] for line in output.splitlines() if (frame := FRAME.match(line)))
    return next((place.startswith(f"{TESTS}/") for place in frames if place.startswith(f"{TESTS.parent}/")), False)


def tests_of(executable):
    """Names as it prints them: sources may make them with a macro of their own."""
    with tempfile.NamedTemporaryFile(prefix="flotilla-paths.") as file:
        return re.findall(r"^\[ RUN      \] (\w+)$", run(executable, "*", file.name)[1], re.MULTILINE)


def chosen(wanted, pool):
    """[(executable, test)]"""
    executables = [name for name in suite.unit_tests() if any(is_part(name, part) for part in wanted or [""])]
    found = zip(executables, pool.map(tests_of, executables))
    return [(executable, test) for executable, tests in found for test in tests
            if suite.is_chosen(f"{executable}.{test}", wanted)]


def is_part(executable, wanted):
    """Whether a test of this executable may have this in its full name."""
    return wanted in executable or executable.endswith(wanted.partition(".")[0]) or "." not in wanted


def collect(wanted, jobs, depth):
    """{path to try: its source lines}; of those whose innermost depth lines are the same, the one of the test that
    takes least time."""
    with ThreadPoolExecutor(jobs) as pool:
        paths = [path for of_test in pool.map(lambda pair: list(paths_of(*pair)), chosen(wanted, pool))
                 for path in of_test if path.frames]
    ways = {}
    for executable in {path.executable for path in paths}:
        of_executable = [path for path in paths if path.executable == executable]
        lines = Places(executable, [frame for path in of_executable for frame in path.frames])
        ways |= {path: tuple(lines[frame] for frame in path.frames) for path in of_executable}
    cheapest = {}
    for path in sorted(paths, key=lambda path: path.seconds):
        if not is_of_tests(ways[path][0]):
            cheapest.setdefault(ways[path][:depth], path)
    return {path: ways[path] for path in cheapest.values()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rest", action="store_true", help="each path once more, all after it failing as well")
    parser.add_argument("--passed", action="store_true", help="list where an allocation failed and the test passed")
    parser.add_argument("--depth", type=int, default=4, help="calls by which two paths are told apart: 1 to 10")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    places = collect(given.names, given.jobs, given.depth)
    print(f"{len(places)} paths in {len({path.test for path in places})} tests", flush=True)
    counts, passed = Counter(), Counter()
    asked = [(path, how) for path in places for how in (("once", "rest") if given.rest else ("once",))]
    with ThreadPoolExecutor(given.jobs) as pool:
        for outcome in pool.map(lambda pair: judge(*pair), asked):
            path = outcome.path
            counts[outcome.what] += 1
            if outcome.what == "passed":
                passed[" < ".join(places[path][:3])] += 1
            if outcome.what == "broken":
                print(f"BROKEN  {path.executable}.{path.test} {outcome.how} {path.id}\n    "
                      + "\n    ".join(places[path]) + "\n" + outcome.output[:OUTPUT_SHOWN], flush=True)
    if given.passed:
        print("\n".join(f"{count:5} {place}" for place, count in sorted(passed.items())))
    print(f"{len(asked)} runs: " + ", ".join(f"{counts[what]} {what}"
                                             for what in ("passed", "missed", "ended", "waited", "broken")))
    return 1 if counts["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
