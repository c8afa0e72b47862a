#!/usr/bin/env python3
"""Runs the tests: cmocka executables of tests/unit, then the unittest classes of tests/integration.

  suite.py [--list] [NAME...]      those whose name has one of NAME in it; all if there is none

tests/run.sh calls it, with what it has built: BIN_DIR has the programs, UNIT_DIR the unit tests' executables, LOG_DIR
is for logs. A line a test; what a failed one printed follows. The last line is `N passed, N failed, N skipped`.

Tests that need no server run in a process of their own at the same time as those that do.
"""
import argparse
import fcntl
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support"), str(TESTS / "integration")]
import stack  # noqa: E402

UNIT_DIR = Path(os.environ.get("UNIT_DIR", TESTS.parent / "build/tests")).resolve()
TEST_LIMIT_S = int(600 * float(os.environ.get("TEST_PATIENCE", 1)))
OUTPUT_SHOWN = 20_000


class Report:
    """A line a test, as it ends, and the sums. Several processes may add to it: each writes a test's text at once."""

    def __init__(self, path):
        self.path = path                    # a character a test

    def line(self, outcome, name, seconds, why="", output=""):
        word = {"passed": "ok", "failed": "FAILED", "skipped": "skipped"}[outcome]
        text = f"{word:7} {seconds:6.1f} s  {name}{': ' + why if why else ''}\n"
        if outcome == "failed" and output.strip():
            text += "    " + shortened(output).rstrip().replace("\n", "\n    ") + "\n"
        with open(self.path, "ab") as outcomes:
            fcntl.flock(outcomes, fcntl.LOCK_EX)
            outcomes.write(outcome[0].encode())
            sys.stdout.write(text)
            sys.stdout.flush()

    def counts(self):
        outcomes = Path(self.path).read_text(encoding="ascii")
        return {outcome: outcomes.count(outcome[0]) for outcome in ("passed", "failed", "skipped")}


def shortened(output):
    if len(output) <= OUTPUT_SHOWN:
        return output
    return f"{output[:OUTPUT_SHOWN // 4]}\n[...]\n{output[-OUTPUT_SHOWN * 3 // 4:]}"


def is_chosen(name, wanted):
    return not wanted or any(part in name for part in wanted)


# ---------------------------------------------------------------- unit tests

RESULT = re.compile(r"^\[ +(OK|FAILED|SKIPPED|ERROR) +\] (\w+)$")


def unit_tests():
    """{executable's name: names of its tests}, as the sources say."""
    return {source.stem: re.findall(r"\bcmocka_unit_test\w*\(\s*(\w+)", source.read_text(encoding="utf-8"))
            for source in sorted((TESTS / "unit").glob("test_*.c"))}


def run_executable(name, wanted, report):
    """One of cmocka's: each of its tests that was asked for is a line."""
    began = latest = time.monotonic()
    process = subprocess.Popen([UNIT_DIR / name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    signal.alarm(TEST_LIMIT_S)
    output, results = [], {}
    try:
        for line in process.stdout:
            output.append(line)
            found = RESULT.match(line.strip())
            # cmocka lists the failed ones once more at the end.
            if not found or found[2] in results:
                continue
            now = time.monotonic()
            results[found[2]] = found[1]
            if is_chosen(f"{name}.{found[2]}", wanted):
                outcome = {"OK": "passed", "SKIPPED": "skipped"}.get(found[1], "failed")
                report.line(outcome, f"{name}.{found[2]}", now - latest, output="".join(output))
            output, latest = [], now
        status = process.wait()
    finally:
        signal.alarm(0)
        process.kill()
        process.wait()
    if status != 0 and not {"FAILED", "ERROR"} & set(results.values()):
        report.line("failed", name, time.monotonic() - began, f"ended with status {status}", "".join(output))


def run_unit_tests(chosen, wanted, report):
    for name in chosen:
        if not (UNIT_DIR / name).exists():
            report.line("failed", name, 0, f"{UNIT_DIR / name} is not built")
            continue
        try:
            run_executable(name, wanted, report)
        except TimeLimit as e:
            report.line("failed", name, TEST_LIMIT_S, str(e))


# ---------------------------------------------------------------- integration tests

class TimeLimit(Exception):
    pass


def on_alarm(_signal, _frame):
    raise TimeLimit(f"not done after {TEST_LIMIT_S} s")


def flattened(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flattened(test)
        else:
            yield test


def integration_tests():
    loader = unittest.TestLoader()
    return list(flattened(loader.discover(str(TESTS / "integration"), pattern="test_*.py")))


class Result(unittest.TestResult):
    """Turns unittest's calls into lines of the report: one a test, however many of its parts failed."""

    def __init__(self, report):
        super().__init__()
        self.report = report
        self.buffer = True          # what tests print is shown if they fail

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.problems, self.why = [], None
        signal.alarm(TEST_LIMIT_S)

    def stopTest(self, test):
        signal.alarm(0)
        printed = sys.stdout.getvalue() + sys.stderr.getvalue()
        super().stopTest(test)      # from here on, what is printed is seen
        outcome = "failed" if self.problems else "skipped" if self.why is not None else "passed"
        self.report.line(outcome, test.id(), time.monotonic() - self.began, self.why or "",
                         "\n".join([*self.problems, printed]))

    def addSuccess(self, test):
        pass

    def addError(self, test, err):
        if not hasattr(self, "problems") or not isinstance(test, unittest.TestCase):
            # A whole class or module could not be prepared.
            self.report.line("failed", str(test), 0, output="".join(traceback.format_exception(*err)))
            return
        self.problems.append("".join(traceback.format_exception(*err)))

    addFailure = addError

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.problems.append(f"{subtest}\n" + "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        self.why = reason

    def addExpectedFailure(self, test, err):
        pass

    def addUnexpectedSuccess(self, test):
        self.problems.append("This was expected to fail.")


# ---------------------------------------------------------------- the command line

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_end_signals(handler):
    for number in END_SIGNALS:
        signal.signal(number, handler)


def on_end_signal(_number, _frame):
    handle_end_signals(signal.SIG_IGN)
    raise KeyboardInterrupt         # the one exception that unittest lets through; servers are stopped on the way out


def needs_servers(test):
    """Whether the module of a test has to do with a fleet or the demo."""
    module = sys.modules.get(type(test).__module__)
    return module is None or hasattr(module, "Fleet") or hasattr(module, "NEEDS_SERVERS")


def run_without_servers(units, tests, wanted, report):
    """In a process of its own, which ends with the tests or with this one."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        run_unit_tests(units, wanted, report)
        unittest.TestSuite(tests).run(Result(report))
        status = 0
    except KeyboardInterrupt:
        pass
    except BaseException:
        report.line("failed", "tests that need no server", 0, output=traceback.format_exc())
    finally:
        sys.stdout.flush()
        os._exit(status)


def run(units, tests, wanted, report):
    with_servers = [test for test in tests if needs_servers(test)]
    child = run_without_servers(units, [test for test in tests if not needs_servers(test)], wanted, report)
    try:
        unittest.TestSuite(with_servers).run(Result(report))
        _, status = os.waitpid(child, 0)
        child = None
        if status:
            report.line("failed", "tests that need no server", 0, f"their process ended with {status}")
    finally:
        handle_end_signals(signal.SIG_IGN)
        if child:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        stack.stop()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--list", action="store_true", help="only print the names of the tests")
    options.add_argument("names", nargs="*", metavar="NAME", help="a test's name, or a part of it")
    given = options.parse_args()
    names = {executable: [f"{executable}.{test}" for test in tests] for executable, tests in unit_tests().items()}
    units = [executable for executable, tests in names.items()
             if is_chosen(executable, given.names) or any(is_chosen(test, given.names) for test in tests)]
    tests = [test for test in integration_tests() if is_chosen(test.id(), given.names)]
    if given.list:
        print(*(test for unit in units for test in names[unit] if is_chosen(test, given.names)),
              *(test.id() for test in tests), sep="\n")
        return 0
    if not units and not tests:
        options.error(f"no test has {' or '.join(given.names)} in its name: see --list")
    handle_end_signals(on_end_signal)
    signal.signal(signal.SIGALRM, on_alarm)
    with tempfile.NamedTemporaryFile(prefix="flotilla-test-outcomes.") as outcomes:
        report = Report(outcomes.name)
        run(units, tests, given.names, report)
        counts = report.counts()
    if counts["failed"]:
        print(f"logs are kept in {os.environ.get('LOG_DIR', '(none were made)')}")
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: the servers have been stopped")
