"""The worker `ranker` on a real Kafka: the vectors that it scores are the oracle's.

After everything was taken in, and in a closed loop: what a user did, or which attributes somebody changed, just before
the request. More streams than usual: STREAM_SEEDS=100-120. A random test prints its SEED.
"""
import json
import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import streams  # noqa: E402
from fleet import Fleet, attributes_first, oracle  # noqa: E402
from ranking import Application, assert_logged, entity, expected_rows, now_ms, vectors_of  # noqa: E402

RANKLENS = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared")) / "data/ranklens/events.jsonl.gz"
RANKLENS_SHARE = 3              # a third of it: the oracle takes its time
RANKLENS_REQUESTS = 250


def chosen_seeds():
    """Of streams that Kafka can hold: 6 and 36 (of 2047 and 2057) have all kinds, 36 evicts users' keys."""
    asked = os.environ.get("STREAM_SEEDS")
    if not asked:
        return 6, 36
    first, _, last = asked.partition("-")
    return range(int(first), int(last or first) + 1)


def oracle_state(features, lines):
    """The oracle's state after a stream."""
    state = oracle.State(features)
    for _ in oracle.replay(state, oracle.accepted(lines)):
        pass
    return state


# ---------------------------------------------------------------- everything was taken in

class AfterStreams(unittest.TestCase):
    def check(self, features, lines, requests):
        """Two rankers of which one has seen the events come and the other restores; then all requests at once."""
        events = [line for line in lines if "event" in line]
        fleet = Fleet(self, features).create_topics()
        fleet.send_entities(lines)
        fleet.start("features", ready=False)
        fleet.start("ranker")
        fleet.send("events", events)
        fleet.settle()
        fleet.start("ranker")
        app = Application(self, fleet)
        sent = [app.send(request) for request in requests]
        answers = app.wait_answers(sent)
        logs = [app.wait_log(request) for request in sent]
        definitions = oracle.read_features(features)
        state = oracle_state(definitions, lines)
        expected = []
        for request, answer, log in zip(sent, answers, logs):
            self.assertIsNone(answer["degraded"])
            if request.get("candidates"):
                self.assertEqual(request["candidates"], log["candidates"])
            expected += expected_rows(state, request, log["candidates"])
        assert_logged(self, definitions, expected, logs)
        known = state.entities["proposition"]
        for request, answer in zip(sent, answers):
            self.assertEqual([c for c in request.get("candidates", []) if c not in known], answer["unknown"])
        for worker in fleet.running():
            worker.stop()

    def test_vectors_after_generated_streams_equal_the_oracles(self):
        for seed in chosen_seeds():
            features, lines = streams.generate(seed, "small")
            requests = [line["request"] for line in lines if "request" in line]
            lines = attributes_first(lines)
            if not fleets.is_after_1970(lines):
                continue
            last = requests[-1]
            known = [line["proposition"]["id"] for line in lines if "proposition" in line]
            requests += [
                {**last, "request_id": "of a stranger", "user_id": "nobody"},
                {**last, "request_id": "of the unknown", "candidates": ["never", *known[:3], "heard", known[0]]},
                {**last, "request_id": "of the catalogue", "candidates": [], "limit": 1000},
                {**last, "request_id": "without context", "context": {}}]
            with self.subTest(seed=seed):
                self.check(features, lines, requests)

    @unittest.skipUnless(RANKLENS.exists(), f"RankLens is not there: {RANKLENS}")
    def test_vectors_after_ranklens_equal_the_oracles(self):
        converted = subprocess.run([sys.executable, ROOT / "tests/oracle/ranklens_to_stream.py", RANKLENS],
                                   capture_output=True, encoding="utf-8", check=True).stdout
        lines = [json.loads(line) for line in converted.splitlines()]
        actions = [line for line in lines if "proposition" not in line]
        lines = [line for line in lines if "proposition" in line] + actions[:len(actions) // RANKLENS_SHARE]
        requests = [line["request"] for line in lines if "request" in line]
        features = (ROOT / "tests/oracle/features.ranklens.yaml").read_text(encoding="utf-8")
        self.check(features, attributes_first(lines), requests[::-(-len(requests) // RANKLENS_REQUESTS)])


# ---------------------------------------------------------------- closed loop

CLOSED = """
features:
  - {name: clicks,     scope: user, count: {event: click, windows: [10s, 1h, 1d]}}
  - {name: spend,      scope: user, sum: {event: convert, windows: [1h]}}
  - {name: mean_spend, scope: user, mean: {event: convert, windows: [1h]}}
  - {name: least,      scope: user, min: {event: convert, windows: [1h]}}
  - {name: most,       scope: user, max: {event: convert, windows: [1h]}}
  - {name: pair_ctr,   scope: user*proposition,
     rate: {of: click, per: impression, windows: [1h], weight: 3, prior: 0.1}}
  - {name: genre_ctr,  scope: user*proposition.genres,
     rate: {of: click, per: impression, windows: [1h], weight: 5, prior: 0.2}}
  - {name: on_device,  scope: user*context.device, count: {event: click, windows: [1h]}}
  - {name: by_tier,    scope: user*user.tier*proposition.genres, count: {event: click, windows: [1h]}}
  - {name: since,      scope: user*proposition, recency: {event: click}}
  - {name: heat,       scope: user*proposition, decay: {event: click, half_life: 30s}}
  - {name: variety,    scope: user, distinct: {event: click, of: proposition.genres, window: 1h}}
  - {name: taste,      scope: user, overlap: {event: click, attribute: genres, last: 20, within: 1h}}
  - {name: price_gap,  scope: user, gap: {event: click, attribute: price, windows: [1h]}}
  - {name: price,      scope: proposition, attribute: {field: price}}
  - {name: tier,       scope: user, attribute: {field: tier, values: [basic, plus, gold]}}
  - {name: age,        scope: proposition, age: {field: released}}
  - {name: hour,       scope: context, time: {part: hour_of_day, zone: Europe/Berlin}}
  - {name: query,      scope: proposition, match: {context: query, attribute: title}}
  - {name: standing,   scope: candidate, standing: {of: pair_ctr_1h}}
  - {name: position,   scope: candidate, position: {at_serving: 0}}
"""
GENRES = ("drama", "comedy", "noir", "action")


class World:
    """A fleet without features workers: what is of users, a ranker knows from `events` itself."""

    def __init__(self, test, seed, rankers):
        self.rng = fleets.seeded(test, seed)
        self.users = [f"u{i}" for i in range(8)]
        self.propositions = [f"p{i}" for i in range(12)]
        self.definitions = oracle.read_features(CLOSED)
        self.state = oracle.State(self.definitions)
        self.fleet = Fleet(test, CLOSED).create_topics()
        self.app = Application(test, self.fleet)
        self.ids = 0
        self.clock = 0
        for id in self.propositions[2:]:
            self.change("proposition", id)
        for id in self.users[1:]:
            self.change("user", id)
        workers = [self.fleet.start("ranker", ready=False) for _ in range(rankers)]
        for worker in workers:
            worker.wait_ready()

    def now(self):
        """Later than any time before, so that the order is the same for the oracle."""
        self.clock = max(self.clock + 1, now_ms())
        return self.clock

    def change(self, side, id):
        """A user or a proposition has other attributes, for all from now on."""
        rng = self.rng
        attributes = ({"tier": rng.choice(["basic", "plus", "gold"])} if side == "user" else
                      {"genres": rng.sample(GENRES, rng.randint(0, 3)), "price": float(rng.randint(1, 90)),
                       "title": rng.choice(["the red sea", "Red dawn", "seaside"]), "released": "2024-02-29"})
        record = entity(id, self.now(), **attributes)
        self.app.entity(side, record)
        self.state.load(side, record)

    def event(self):
        """Somebody does something, and it is acknowledged. Who."""
        rng = self.rng
        self.ids += 1
        now = self.now()
        event = {"event_id": f"e{self.ids}", "event": rng.choice(["click", "click", "impression", "convert"]),
                 "user_id": rng.choice(self.users), "timestamp": now,
                 "value": rng.choice([None, rng.randint(1, 50) / 4]),
                 "propositions": rng.sample(self.propositions, rng.randint(1, 4)),
                 "context": {"device": rng.choice(["tv", "phone"])}}
        self.app.event(event, now)
        self.state.add(event, now)
        return event["user_id"]

    def request(self, user):
        """Sends a request of a user: (the request, the rows that the oracle expects)."""
        rng = self.rng
        now = self.now()
        request = {"user_id": user, "timestamp": now, "candidates": rng.sample(self.propositions, rng.randint(1, 9)),
                   "context": {"device": rng.choice(["tv", "phone"]), "query": rng.choice(["red", "sea side", ""])}}
        request = self.app.send(request, now)
        return request, expected_rows(self.state, request, request["candidates"])


class ClosedLoop(unittest.TestCase):
    def test_every_answer_knows_the_event_that_was_acknowledged_just_before_it(self):
        world = World(self, seed=1, rankers=2)
        asked, expected = [], []
        for _ in range(300):
            if world.rng.random() < 0.2:
                # Attributes are those known when a request is read: none may be under way.
                world.app.wait_answers(asked)
                side = world.rng.choice(["user", "proposition"])
                world.change(side, world.rng.choice(world.users if side == "user" else world.propositions))
            user = world.event()
            request, rows = world.request(user)
            asked.append(request)
            expected += rows
            if world.rng.random() < 0.3:            # else the next event comes while it is under way
                world.app.wait_answers([request])
        answers = world.app.wait_answers(asked)
        logs = [world.app.wait_log(request) for request in asked]
        self.assertEqual([None] * len(answers), [answer["degraded"] for answer in answers])
        assert_logged(self, world.definitions, expected, logs)
        self.assertEqual(2, len({w.process.pid for w in world.fleet.running("ranker")
                                 if w.metrics().get('flotilla_ranker_requests_total{result="ok"}', 0) > 0}))

    def test_attributes_that_were_acknowledged_before_an_event_count_for_it_at_once(self):
        world = World(self, seed=2, rankers=1)
        asked, expected = [], []
        for _ in range(60):
            for side, ids in (("user", world.users), ("proposition", world.propositions)):
                world.change(side, world.rng.choice(ids))
            request, rows = world.request(world.event())
            asked.append(request)
            expected += rows
            world.app.wait_answers([request])
        assert_logged(self, world.definitions, expected, [world.app.wait_log(request) for request in asked])


# ---------------------------------------------------------------- both wait

class BothWait(unittest.TestCase):
    """Requests and events that are there when a ranker comes to them."""
    FEATURES = "features:\n  - {name: clicks, scope: user, count: {event: click, windows: [365d]}}\n"

    def fill(self, app, start, count):
        """Clicks and requests in turn, a second of Kafka's time between one and the next. The requests."""
        requests = []
        for i in range(count):
            click, ask = start + 2000 * i, start + 2000 * i + 1000
            app.event({"event_id": f"e{start}-{i}", "event": "click", "user_id": "u", "timestamp": click}, click)
            requests.append(app.send({"user_id": "u", "timestamp": ask, "candidates": ["p"]}, ask))
        app.flush()
        return requests

    def clicks(self, app, requests):
        app.wait_answers(requests)
        return [vectors_of(app.wait_log(request))[0]["clicks_365d"] for request in requests]

    def test_after_a_restart_a_request_knows_every_event_before_it(self):
        fleet = Fleet(self, self.FEATURES, **{"ranker.budget_ms": 86_400_000}).create_topics()
        app = Application(self, fleet)
        fleet.start("ranker").stop()
        requests = self.fill(app, now_ms() - 3_600_000, 50)
        fleet.start("ranker")
        for number, clicks in enumerate(self.clicks(app, requests), 1):
            self.assertGreaterEqual(clicks, number)

    def test_what_gathers_while_a_ranker_is_paused_is_handled_in_the_order_of_time(self):
        fleet = Fleet(self, self.FEATURES, **{"ranker.budget_ms": 86_400_000}).create_topics()
        app = Application(self, fleet)
        ranker = fleet.start("ranker")
        app.ask(user_id="u", candidates=["p"])
        ranker.process.send_signal(fleets.signal.SIGSTOP)
        requests = self.fill(app, now_ms() + 1000, 50)
        ranker.process.send_signal(fleets.signal.SIGCONT)
        self.assertEqual(list(range(1, 51)), self.clicks(app, requests))


if __name__ == "__main__":
    unittest.main()
