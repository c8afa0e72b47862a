"""Workers that have too little memory: a clear end, no wrong value, and nothing lost once they have enough.

Limits are on what a process may write to (RLIMIT_DATA), at its start and, closely above what it has, while it works,
so that it fails in each of its phases. SIGKILL, which a container that grows too large gets, is sent as well.
"""
import json
import os
import resource
import signal
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import streams  # noqa: E402
from fleet import Expected, Fleet, assert_equal_values, attributes_first, wait_until  # noqa: E402
from ranking import Application, now_ms, vectors_of  # noqa: E402

MEGABYTE = 1 << 20
SMALL_STACK = 512 * 1024        # so that it is not stacks of threads, 8 MB each, that meet the limit first
AT_START_MB = (2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 28, 32, 40, 48, 64, 96, 128)
WITH_LARGE_STACKS_MB = (16, 48, 80)
ABOVE_KB = (0, 64, 256, 1024)                            # more than a worker has that is ready
END_LIMIT_S = 90
CATCH_UP_S = 60

# What an error says that comes of it.
WORDS = ("out of memory", "could not be had", "Cannot allocate memory", "Resource temporarily unavailable")


def limit(worker, size):
    """What the process may write to, in bytes; from here on."""
    resource.prlimit(worker.process.pid, resource.RLIMIT_DATA, (size, resource.RLIM_INFINITY))


def memory_of(worker, name="VmData"):
    """Bytes, as the kernel counts them for the limit; VmRSS is what is resident."""
    with open(f"/proc/{worker.process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


@unittest.skipIf("SANITIZER" in os.environ, "a sanitizer takes memory of its own, without bounds")
class Case(unittest.TestCase):
    def assertClearEnd(self, worker, what):
        """By status 1 and with a word about memory, or by the SIGABRT of a library that gives up, which is told."""
        status = worker.wait_end(END_LIMIT_S)
        ends = [r for r in worker.records() if r.get("event") in ("out_of_memory", "crashed", "fatal")]
        errors = [r["error"] for r in ends]
        print(f"{what}: status {status}, {[(r['event'], r['error'][:90]) for r in ends]}")
        if status == -signal.SIGABRT:
            told = [r["signal"] for r in ends if "signal" in r]
            # The C library may end the process where not even that can be told: then it has said so itself.
            words = [line for line in worker.text().splitlines() if line.strip() and not line.startswith("{")]
            self.assertTrue(told == ["SIGABRT"] or (not told and words), worker.text()[-3000:])
        else:
            self.assertEqual(1, status, f"{what}: {worker.text()[-3000:]}")
            self.assertTrue(any(word in error for word in WORDS for error in errors),
                            f"{what}: not a word of memory:\n{worker.text()[-3000:]}")

    def start_limited(self, name, megabytes, stack=SMALL_STACK):
        """Stacks of threads are as large as that of a process may be when it starts."""
        usual = resource.getrlimit(resource.RLIMIT_STACK)
        try:
            resource.setrlimit(resource.RLIMIT_STACK, (stack or usual[0], usual[1]))
            worker = self.fleet.start(name, ready=False, instance="only")
        finally:
            resource.setrlimit(resource.RLIMIT_STACK, usual)
        limit(worker, megabytes * MEGABYTE)
        return worker

    def starve_at_start(self, name, is_done):
        """Under growing limits until one is enough; how many were not."""
        for count, megabytes in enumerate(AT_START_MB):
            worker = self.start_limited(name, megabytes)
            wait_until(lambda: not worker.is_running() or is_done(worker), worker.text, END_LIMIT_S)
            if worker.is_running():
                worker.kill()
                return count
            self.assertClearEnd(worker, f"{name} with {megabytes} MB")
        raise AssertionError(f"{name} needs more than {AT_START_MB[-1]} MB")


class Features(Case):
    def setUp(self):
        self.features, lines = streams.generate(18, "small")
        self.lines = attributes_first(lines)
        self.events = [line for line in self.lines if "event" in line]
        self.expected = Expected(self.features, self.lines)
        self.fleet = Fleet(self, self.features).create_topics()
        self.fleet.send_entities(self.lines)

    def assertRight(self):
        self.fleet.start("features", instance="only")
        self.fleet.settle()
        assert_equal_values(self, self.expected, self.fleet.published(), exclude=self.expected.global_priors())

    def ready(self, worker):
        return worker.get("/readyz")[0] == 200

    def test_without_memory_at_its_start_and_while_it_restores_it_says_so_and_changes_no_value(self):
        self.fleet.start("features", instance="only", checkpoint_interval_ms=600_000)
        half = len(self.events) // 2
        self.fleet.send("events", self.events[:half])
        self.fleet.settle()
        self.fleet.workers[0].kill()
        self.fleet.send("events", self.events[half:])
        self.assertGreater(self.starve_at_start("features", self.ready), 2)
        self.assertRight()

    def test_without_memory_for_its_threads_it_says_so_and_changes_no_value(self):
        self.fleet.send("events", self.events)
        for megabytes in WITH_LARGE_STACKS_MB:
            self.assertClearEnd(self.start_limited("features", megabytes, stack=None), f"features with {megabytes} MB")
        self.assertRight()

    def test_without_memory_under_load_it_says_so_and_changes_no_value(self):
        starved = 0
        for number, above_kb in enumerate(ABOVE_KB):
            worker = self.fleet.start("features", instance="only")
            limit(worker, memory_of(worker) + above_kb * 1024)
            share = len(self.events) // len(ABOVE_KB)
            self.fleet.send("events", self.events[number * share:(number + 1) * share])
            try:
                wait_until(lambda: not worker.is_running(), "it goes on", 8)
            except TimeoutError:
                worker.kill()
                continue
            self.assertClearEnd(worker, f"{above_kb} KB more than when it was ready")
            starved += 1
        self.assertGreater(starved, 0)
        self.fleet.send("events", self.events[len(ABOVE_KB) * share:])
        self.assertRight()

    def test_killed_whenever_it_has_grown_by_a_little_it_changes_no_value(self):
        """As control groups do it: SIGKILL, without a word, in the middle of whatever made it grow."""
        self.fleet.send("events", self.events)
        usual = memory_of(self.fleet.start("features", instance="only"), "VmRSS")
        self.fleet.workers[0].kill()
        for share in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1):
            worker = self.fleet.start("features", ready=False, instance="only")
            deadline = time.monotonic() + END_LIMIT_S
            while memory_of(worker, "VmRSS") < usual * share and not self.ready(worker):
                self.assertLess(time.monotonic(), deadline)
            worker.kill()
        self.assertRight()


class Recorder(Case):
    def records(self, count, size):
        return [(f"k{i}", {"scope": "user", "key": [f"u{i}"], "as_of": 1_700_000_000_000 + i,
                           "values": {"v" * size: float(i)}}) for i in range(count)]

    def test_without_memory_it_says_so_and_no_row_is_lost_or_doubled(self):
        self.fleet = Fleet(self).create_topics().migrate()
        records = self.records(3000, 2000)
        for start in range(0, len(records), 1000):
            self.fleet.produce_json("features", records[start:start + 1000])
        is_done = lambda worker: len(self.rows()) == len(records)       # noqa: E731
        self.assertGreater(self.starve_at_start("recorder", is_done), 2)
        self.fleet.start("recorder", instance="only")
        wait_until(lambda: len(self.rows()) == len(records), "rows are missing", CATCH_UP_S)
        self.assertEqual(sorted(f"{{u{i}}} {i}" for i in range(len(records))), self.rows())

    def rows(self):
        return sorted(f"{key} {value}" for key, value in self.fleet.rows(
            "SELECT key, round(value::numeric) FROM feature_value WHERE scope = 'user'"))


class Ranker(Case):
    FEATURES = """
features:
  - {name: pop,    scope: proposition, attribute: {field: pop}}
  - {name: clicks, scope: user,        count: {event: click, windows: [365d]}}
"""
    USERS = 20

    def test_without_memory_it_says_so_and_every_request_is_answered_by_the_next(self):
        self.fleet = Fleet(self, self.FEATURES, **{"ranker.budget_ms": 300_000}).create_topics()
        self.fleet.configure(json.dumps({"placements": {"default": {"rules": {"popularity": {"value": "pop"}}}}}))
        self.fleet.send("propositions", [{"id": f"p{i}", "timestamp": now_ms(), "attributes": {"pop": float(i)}}
                                         for i in range(1, 2001)])
        app = Application(self, self.fleet)
        for number in range(5 * self.USERS):
            now = now_ms()
            app.send_event({"event_id": f"e{number}", "event": "click", "user_id": f"u{number % self.USERS}",
                            "timestamp": now}, now)
        app.flush()
        asked = [app.send({"user_id": f"u{number % self.USERS}", "limit": 5}) for number in range(100)]
        app.flush()

        def is_done(_worker):
            app.read(0.01)
            return not app.missing(asked)

        self.assertGreater(self.starve_at_start("ranker", is_done), 2)
        for above_kb in ABOVE_KB:
            worker = self.fleet.start("ranker", instance="only")
            limit(worker, memory_of(worker) + above_kb * 1024)
            asked += [app.send({"user_id": f"u{number % self.USERS}", "limit": 5}) for number in range(100)]
            try:
                wait_until(lambda: not worker.is_running() or is_done(worker), "it neither ends nor answers", 30)
            finally:
                if worker.is_running():
                    worker.kill()
                else:
                    self.assertClearEnd(worker, f"ranker, {above_kb} KB more than when it was ready")
        self.fleet.start("ranker", instance="only")
        app.wait_answers(asked, CATCH_UP_S)
        best = [f"p{i}" for i in range(2000, 1995, -1)]
        for answers in app.answers.values():
            for answer in answers:
                self.assertEqual(best, [item["proposition_id"] for item in answer["items"]])
        for user in range(self.USERS):
            _, _, log = app.ask_logged(user_id=f"u{user}")
            self.assertEqual(5, vectors_of(log)[0]["clicks_365d"])


if __name__ == "__main__":
    unittest.main()
