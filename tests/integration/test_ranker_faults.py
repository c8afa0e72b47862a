"""The worker `ranker` on a real Kafka: whatever happens to rankers, Kafka and the load, every request is answered.

Rules rank by an attribute and draw from the order with the request's id as the seed, so two answers to one request are
equal whoever gives them. PostgreSQL has no database for these fleets. A random test prints its SEED.
"""
import json
import signal
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import stack as stacks  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from ranking import Application, now_ms, vectors_of  # noqa: E402

FEATURES = """
features:
  - {name: pop,    scope: proposition, attribute: {field: pop}}
  - {name: clicks, scope: user,        count: {event: click, windows: [365d]}}
"""
BY_POP = {"popularity": {"value": "pop"}}
PLACEMENTS = {"default": {"rules": BY_POP, "exploration": {"share": 0.5, "temperature": 2}},
              "plain": {"rules": BY_POP, "log": 0}}
PATIENT = {"ranker.budget_ms": 300_000}      # nothing is refused because a ranker was away
CATCH_UP_S = 60


class Case(unittest.TestCase):
    def setUp(self):
        self.users = [f"u{i}" for i in range(40)]
        self.clicks = Counter()
        self.sent = []

    def begin(self, stack=None, **settings):
        self.fleet = Fleet(self, FEATURES, stack=stack, **settings).create_topics()
        self.fleet.configure(json.dumps({"placements": PLACEMENTS}))
        self.fleet.send("propositions", [{"id": f"p{i}", "timestamp": now_ms(), "attributes": {"pop": float(i)}}
                                         for i in range(1, 21)])
        self.app = Application(self, self.fleet)

    def click(self, user):
        self.clicks[user] += 1
        now = now_ms()
        self.app.send_event({"event_id": f"{user}-{self.clicks[user]}", "event": "click", "user_id": user,
                             "timestamp": now}, now)

    def load(self, seconds, rng, rate=400):
        """Requests and clicks of all users for a time; what comes back is taken in meanwhile."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for _ in range(rate // 50):
                user = rng.choice(self.users)
                if rng.random() < 0.3:
                    self.click(user)
                self.sent.append(self.app.send({"user_id": user, "limit": 5}))
            self.app.read(0.02)

    def assertAllAnswered(self):
        """Each request at least once, the same each time; nothing that nobody asked; no ranker ended by itself; and
        afterwards every ranker knows every click."""
        self.app.flush()
        for worker in self.fleet.running("ranker"):
            worker.wait_ready()
        self.app.wait_answers(self.sent, CATCH_UP_S)
        asked = {request["request_id"]: request for request in self.sent}
        self.assertEqual(len(asked), len(self.sent))
        self.assertEqual(set(asked), set(self.app.answers))
        for id, answers in self.app.answers.items():
            for answer in answers:
                self.assertEqual([asked[id][n] for n in ("user_id", "timestamp", "user_id")],
                                 [answer[n] for n in ("user_id", "timestamp", "key")])
                self.assertEqual(answers[0]["items"], answer["items"])
                self.assertEqual(5, len(answer["items"]))
        ended = [w.log.name for w in self.fleet.workers if w.process.poll() not in (None, 0, -signal.SIGKILL)]
        self.assertEqual([], ended, self.app.said())
        for user in self.users:
            request, answer, log = self.app.ask_logged(user_id=user)
            self.assertIsNone(answer["degraded"])
            self.assertEqual(self.clicks[user], vectors_of(log)[0]["clicks_365d"], user)
        repeats = sum(len(answers) - 1 for answers in self.app.answers.values())
        print(f"{len(self.sent)} requests, {repeats} answered again")
        return repeats


class Rankers(Case):
    def chaos(self, seed, names, steps=9):
        """Kills, stops, pauses and starts at random; one to three are there."""
        rng = fleets.seeded(self, seed)
        self.begin(**PATIENT)
        copies = {}                             # instance, or a number -> worker

        def start():
            name = rng.choice([n for n in names if n not in copies]) if names else len(self.fleet.workers)
            copies[name] = self.fleet.start("ranker", ready=False, **({"instance": name} if names else {}))

        start()
        start()
        self.load(0.5, rng)
        for number in range(steps):
            action = rng.choice(["kill", "kill", "stop", "start", "pause"])
            if action == "start" and len(copies) < 3:
                start()
            elif action == "pause":
                victim = copies[rng.choice(sorted(copies))]
                victim.process.send_signal(signal.SIGSTOP)
                self.load(rng.uniform(0.1, 4), rng)          # sometimes longer than its session
                victim.process.send_signal(signal.SIGCONT)
            else:
                name = rng.choice(sorted(copies))
                getattr(copies.pop(name), "stop" if action == "stop" else "kill")()
                if not copies or rng.random() < 0.7:
                    start()
            print(f"{number}: {action}, {len(copies)} copies")
            self.load(rng.uniform(0.1, 1), rng)
        self.assertAllAnswered()

    def test_rankers_without_names_that_are_killed_at_random_leave_no_request_unanswered(self):
        self.chaos(1, names=())

    def test_rankers_with_names_that_are_killed_at_random_leave_no_request_unanswered(self):
        self.chaos(2, names=("a", "b", "c", "d"))

    def test_a_rolling_restart_answers_every_request_once(self):
        rng = fleets.seeded(self, 3)
        self.begin(**PATIENT)
        workers = [self.fleet.start("ranker") for _ in range(2)]
        for worker in workers:
            self.load(0.5, rng)
            self.fleet.start("ranker")
            self.load(0.5, rng)
            worker.stop()
        self.load(0.5, rng)
        self.assertEqual(0, self.assertAllAnswered())

    def test_one_that_was_paused_for_longer_than_its_session_is_replaced_and_does_no_harm(self):
        rng = fleets.seeded(self, 4)
        self.begin(**PATIENT)
        paused, other = [self.fleet.start("ranker") for _ in range(2)]
        self.load(0.5, rng)
        paused.process.send_signal(signal.SIGSTOP)
        assigned = [r for r in other.records() if r.get("event") == "partitions_assigned"]
        self.load(0.2, rng)
        before = len(self.sent)
        wait_until(lambda: [r for r in other.records() if r.get("event") == "partitions_assigned"][len(assigned):],
                   other.text, 30)
        self.load(0.2, rng)
        self.app.wait_answers(self.sent[before:], CATCH_UP_S)       # while the other one sleeps
        paused.process.send_signal(signal.SIGCONT)
        self.load(1, rng)
        self.assertAllAnswered()


class Kafka(Case):
    def stack(self):
        """Servers of its own: after a kill, a Kafka with the topics of a whole run takes its time to start."""
        guard = stacks.Guard()
        self.addCleanup(guard.close)
        stacks.run_script("up", guard.directory)
        return stacks.Stack(guard.directory)

    def test_a_kafka_that_is_killed_and_comes_back_finds_the_rankers_at_work(self):
        rng = fleets.seeded(self, 5)
        self.begin(stack=self.stack(), **PATIENT)
        workers = [self.fleet.start("ranker") for _ in range(2)]
        self.load(0.5, rng)
        self.fleet.stack.run("kafka-kill")
        self.load(0.5, rng)
        self.assertEqual([True, True], [worker.is_running() for worker in workers])
        self.fleet.stack.run("kafka-start")
        self.load(0.5, rng)
        self.assertAllAnswered()
        self.assertEqual(workers, self.fleet.running("ranker"))


class Overload(Case):
    def kinds(self, requests):
        """How many were ranked whole, by base scores, and refused."""
        out = Counter()
        for answer in self.app.wait_answers(requests, CATCH_UP_S):
            self.assertIn(answer["degraded"], (None, "overload"))
            out["whole" if answer["degraded"] is None else "base" if answer["items"] else "refused"] += 1
        print(dict(out))
        return out

    def test_after_a_pause_what_has_waited_too_long_gets_less_or_nothing_and_all_else_is_whole_at_once(self):
        self.begin(**{"ranker.budget_ms": 2000, "kafka.session.timeout.ms": 30_000})
        ranker = self.fleet.start("ranker")
        rng = fleets.seeded(self, 6)
        self.load(0.3, rng)
        self.app.wait_answers(self.sent)
        ranker.process.send_signal(signal.SIGSTOP)
        began, waiting = now_ms(), []
        while now_ms() < began + 2500:
            waiting += [self.app.send({"user_id": rng.choice(self.users), "placement": "plain"}) for _ in range(20)]
            self.app.read(0.01)
        self.app.flush()
        ranker.process.send_signal(signal.SIGCONT)
        woken = time.monotonic()
        kinds = self.kinds(waiting)
        print(f"{len(waiting)} requests were gone {time.monotonic() - woken:.2f} s after it woke")
        for kind in ("whole", "base", "refused"):
            self.assertGreater(kinds[kind], 0, kinds)
        # Who came first waited longest.
        first, last = (self.app.answers[r["request_id"]][0] for r in (waiting[0], waiting[-1]))
        self.assertEqual(("overload", []), (first["degraded"], first["items"]))
        self.assertIsNone(last["degraded"])
        self.assertIsNone(self.app.ask(placement="plain")["degraded"])

    def test_more_than_can_be_ranked_gets_cheaper_answers_then_none_and_no_backlog_stays(self):
        """All requests are there when the ranker wakes, and none is older than that moment."""
        self.begin(**{"ranker.budget_ms": 200, "kafka.session.timeout.ms": 30_000})
        ranker = self.fleet.start("ranker")
        many = [f"p{i % 20 + 1}" for i in range(10_000)]
        self.assertEqual(5, len(self.app.ask(placement="plain", candidates=many, limit=5)["items"]))
        ranker.process.send_signal(signal.SIGSTOP)
        wakes = now_ms() + 4000
        flood = [self.app.send({"user_id": f"u{i % 40}", "placement": "plain", "candidates": many}, arrived=wakes)
                 for i in range(1000)]
        self.app.flush()
        time.sleep(max(0, wakes - now_ms()) / 1000)
        ranker.process.send_signal(signal.SIGCONT)
        kinds = self.kinds(flood)
        self.assertGreater(kinds["refused"], 0, kinds)
        self.assertLess(kinds["refused"], len(flood))
        self.assertIsNone(self.app.ask(placement="plain")["degraded"])


if __name__ == "__main__":
    unittest.main()
