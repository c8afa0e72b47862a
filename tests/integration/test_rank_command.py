"""`flotilla rank`, and how requests and their answers are sent and shown by the other commands, with a real ranker."""
import json
import math
import re
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import models  # noqa: E402
from fleet import Fleet, json_lines, wait_until  # noqa: E402

FEATURES = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: price, scope: proposition, attribute: {field: price}}
  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h], weight: 1, prior: 0.1}}
"""
HOUR_MS = 3_600_000
PRICES = {"a": 1.0, "b": 2.0, "c": 3.0}


def now_ms():
    return time.time_ns() // 1_000_000


def event(number, name, **fields):
    return {"event_id": f"e{number}", "event": name, "user_id": "u1", "timestamp": now_ms(), **fields}


class Case(unittest.TestCase):
    """Three propositions, of which b was clicked on: rules rank it first."""

    def start(self, placements=None):
        fleet = Fleet(self, FEATURES).create_topics()
        if placements:
            fleet.configure(json.dumps({"placements": placements}))
        fleet.send("propositions", [{"id": p, "timestamp": 1, "attributes": {"price": price}}
                                    for p, price in PRICES.items()])
        fleet.start("features", ready=False)
        fleet.start("ranker", instance="first")
        fleet.send("events", [event(1, "impression", propositions=["a", "b", "c"]),
                              event(2, "click", propositions=["b"])])
        fleet.settle()
        return fleet

    def rank(self, fleet, *options):
        return json.loads(fleet.flotilla("rank", "--user", "u1", *options, "--json"))

    def shown(self, fleet, topic):
        """What a person sees of a topic."""
        return json_lines(fleet.flotilla("tail", topic, "--from", "beginning", "--exit-at-end"))

    def ranked(self, answer):
        return [item["proposition_id"] for item in answer["ranking"]["items"]]


class Rank(Case):
    def test_a_program_gets_the_request_and_the_answer_as_they_are_on_the_topics(self):
        fleet = self.start()
        answer = self.rank(fleet, "--context", "device=tv", "--limit", 2, "--placement", "home")
        self.assertEqual([answer["request"]], fleet.tail("rank.requests"))
        self.assertEqual([answer["ranking"]], fleet.tail("rankings"))
        self.assertEqual(({"device": "tv"}, "home", 2), tuple(answer["request"][n] for n in
                                                              ("context", "placement", "limit")))
        self.assertEqual("b", self.ranked(answer)[0])
        self.assertEqual(2, len(self.ranked(answer)))
        self.assertEqual(("rules", 0, None), tuple(answer["ranking"][n] for n in ("model", "version", "degraded")))
        self.assertTrue(0 < answer["milliseconds"] < 10_000)

    def test_a_person_is_shown_places_scores_and_why(self):
        fleet = self.start()
        shown = fleet.flotilla("rank", "--user", "u1", "--candidates", "a,b,nobody", "--explain")
        self.assertRegex(shown, r"\Au1, placement default, as of \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC, request ")
        self.assertRegex(shown, r"(?m)^PLACE  PROPOSITION +SCORE  PROPENSITY$\n^    1  b ")
        self.assertRegex(shown, r"(?m)^PLACE  PROPOSITION  CONTRIBUTION  OF$\n^    1  b ")
        self.assertIn("sum: the logarithm of the score", shown)
        self.assertRegex(shown, r"(?m)^Ranked by rules, answered in \d+\.\d ms\.$")
        self.assertRegex(shown, r"(?m)^Not among the propositions, so ranked with what is known: nobody\.$")

    def test_contributions_of_rules_add_up_to_the_logarithm_of_the_score(self):
        fleet = self.start()
        items = self.rank(fleet, "--explain")["ranking"]["items"]
        self.assertEqual(3, len(items))
        for item in items:
            self.assertTrue(item["contributions"])
            self.assertAlmostEqual(math.log(item["score"]), math.fsum(item["contributions"].values()), places=5)

    def test_features_are_read_as_of_the_time_that_is_asked_for(self):
        fleet = self.start()
        later = now_ms() + 2 * HOUR_MS
        now, then = self.rank(fleet), self.rank(fleet, "--as-of", later)
        self.assertEqual(later, then["ranking"]["timestamp"])
        shown = wait_until(lambda: len(lines := self.shown(fleet, "score.log")) == 2 and lines, "no vectors come", 30)
        logs = {log["request_id"]: log for log in shown}
        for answer, clicks in ((now, 1), (then, 0)):
            log = logs[answer["ranking"]["request_id"]]
            vectors = dict(zip(log["candidates"], log["vectors"]))
            self.assertEqual({p: (price, clicks) for p, price in PRICES.items()},
                             {p: (v["price"], v["clicks_1h"]) for p, v in vectors.items()})

    def test_a_degraded_answer_says_why_in_words(self):
        fleet = self.start({"default": {"model": "shop"}})
        shown = fleet.flotilla("rank", "--user", "u1")
        self.assertRegex(shown, r"(?m)^Degraded \(no_model\): .*`flotilla models list`")
        self.assertIn("Degraded (deadline): ", fleet.flotilla("rank", "--user", "u1", "--deadline", 0))
        self.assertIn("No propositions.", fleet.flotilla("rank", "--user", "u1", "--limit", 0))

    def test_a_model_is_named_and_its_contributions_add_up_to_the_margin(self):
        fleet = self.start({"default": {"model": "shop"}}).migrate()
        path = fleet.folder / "model.json"
        path.write_text(models.text(2, [models.stump(0, 1.5, 2, -3), models.stump(0, 2.5, 5, 7)],
                                    names=("price", "clicks_1h")), encoding="utf-8")
        fleet.flotilla("models", "register", "--model", "shop", "--file", path)
        fleet.flotilla("models", "promote", "shop", 1)
        wait_until(lambda: self.rank(fleet)["ranking"]["version"] == 1, "no ranker takes the version over", 30)
        answer = self.rank(fleet, "--explain")["ranking"]
        self.assertEqual(("shop", 1, "champion", None), tuple(answer[n] for n in
                                                              ("model", "version", "variant", "degraded")))
        base = {i["proposition_id"]: i["score"] - leaf for i in answer["items"]
                for p, leaf in {"a": 2 + 5, "b": -3 + 5, "c": -3 + 7}.items() if p == i["proposition_id"]}
        self.assertEqual({"a", "b", "c"}, base.keys())
        self.assertEqual(1, len(set(base.values())), base)
        self.assertEqual(["a", "c", "b"], [i["proposition_id"] for i in answer["items"]])
        for item in answer["items"]:
            self.assertAlmostEqual(item["score"], math.fsum(item["contributions"].values()), places=5)
        shown = fleet.flotilla("rank", "--user", "u1", "--explain")
        self.assertIn("Ranked by version 1 of model shop as its champion", shown)
        self.assertIn("sum: the margin", shown)

    def test_where_no_ranker_runs_it_says_so_in_time_and_what_to_do(self):
        fleet = Fleet(self, FEATURES).create_topics()
        began = time.monotonic()
        ended = fleet.run("rank", "--user", "u1", "--timeout", 1000)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual((1, ""), (ended.returncode, ended.stdout))
        self.assertRegex(ended.stderr, r"nothing came within 1000 ms: see with `flotilla status`")

    def test_topics_that_are_not_there_and_wrong_usage_are_named(self):
        fleet = Fleet(self, FEATURES)
        ended = fleet.run("rank", "--user", "u1")
        self.assertEqual(1, ended.returncode)
        self.assertIn("flotilla topics create", ended.stderr)
        for options in ((), ("--user", ""), ("--user", "u1", "--context", "tv"), ("--user", "u1", "--as-of", "later"),
                        ("--user", "u1", "--timeout", "0"), ("u1",)):
            with self.subTest(options):
                self.assertEqual(2, fleet.run("rank", *options).returncode)


class OtherCommands(Case):
    def test_lines_of_requests_are_sent_and_answered(self):
        fleet = self.start()
        now = now_ms()
        fleet.send("rank.requests", [{"request": {"request_id": "wrapped", "user_id": "u1", "timestamp": now}},
                                     {"request_id": "plain", "user_id": "u2", "timestamp": now, "candidates": ["a"]}])
        self.assertEqual({"wrapped", "plain"}, {r["request_id"] for r in fleet.tail("rank.requests")})
        answers = wait_until(lambda: len(a := fleet.tail("rankings")) == 2 and a, "no answers come", 30)
        self.assertEqual({"wrapped": 3, "plain": 1}, {a["request_id"]: len(a["items"]) for a in answers})
        ended = fleet.run("send", "rank.requests", "-", stdin='{"event": {}}\n')
        self.assertEqual(1, ended.returncode)
        self.assertIn('takes "request"', ended.stderr)

    def test_status_shows_rankers_and_their_partitions(self):
        fleet = self.start()
        self.rank(fleet)
        status = wait_until(lambda: (s := json.loads(fleet.run("status", "--json").stdout))["partitions"]
                            and all(p["lag"] == 0 for p in s["partitions"] if p["worker"] == "ranker") and s,
                            "requests are not committed", 30)
        rankers = [w for w in status["workers"] if w["worker"] == "ranker"]
        self.assertEqual([("first", "run", True, 4)],
                         [(w["instance"], w["state"], w["ready"], w["partitions"]) for w in rankers])
        self.assertEqual({("first", fleet.topic("rank.requests"))},
                         {(p["instance"], p["topic"]) for p in status["partitions"] if p["worker"] == "ranker"})
        self.assertTrue(re.search(r"(?m)^ranker +first +run +yes +4 ", fleet.run("status").stdout))


if __name__ == "__main__":
    unittest.main()
