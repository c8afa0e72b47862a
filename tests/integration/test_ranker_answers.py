"""The worker `ranker` on a real Kafka: every documented special case of a request has its documented answer.

Rules rank by the attribute `pop` alone, so that every score is known beforehand. No features worker has a part in it.
"""
import itertools
import json
import math
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import avro  # noqa: E402
import fleet as fleets  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from ranking import Application, encoded, now_ms  # noqa: E402

FEATURES = """
features:
  - {name: pop,       scope: proposition,      attribute: {field: pop}}
  - {name: dismissed, scope: user*proposition, recency: {event: dismiss}}
  - {name: bought,    scope: user*proposition, recency: {event: convert}}
  - {name: clicks,    scope: user,             count: {event: click, windows: [1h]}}
"""
BY_POP = {"popularity": {"value": "pop"}}
DAY_MS = 86_400_000
BUDGET_MS = 10_000


def proposition(id, pop, genres=None, **more):
    """A record of propositions; more may be active, valid_from, valid_until, attributes."""
    attributes = {"pop": float(pop), **({"genres": genres} if genres else {}), **more.pop("attributes", {})}
    return {"id": id, "timestamp": now_ms(), "attributes": attributes, **more}


def ids(answer):
    return [item["proposition_id"] for item in answer["items"]]


def content(answer):
    """An answer without its place in the log."""
    return {name: value for name, value in answer.items() if name != "at"}


class Case(unittest.TestCase):
    PLACEMENTS = {"default": {"rules": BY_POP}}

    def begin(self, propositions, **settings):
        """A fleet with one ranker that knows these propositions."""
        self.fleet = Fleet(self, FEATURES, **settings).create_topics()
        self.fleet.configure(json.dumps({"placements": self.PLACEMENTS}))
        self.app = Application(self, self.fleet)
        if propositions:
            self.fleet.send("propositions", propositions)
        self.ranker = self.fleet.start("ranker")

    def ask(self, arrived=None, **request):
        return self.app.ask(arrived, **request)

    def assertRefused(self, answer, why):
        self.assertEqual((why, [], "rules", 0), (answer["degraded"], answer["items"], answer["model"],
                                                 answer["version"]))

    def wait_for(self, wanted, what, **request):
        """Asks until the ids of the answer are those wanted."""
        wait_until(lambda: ids(self.ask(**request)) == wanted, lambda: f"{what}: {ids(self.ask(**request))}", 15)


class Requests(Case):
    PROPOSITIONS = [proposition(f"p{i}", i) for i in range(1, 13)]

    def test_a_request_is_answered_with_the_best_first_and_everything_that_names_it(self):
        self.begin(self.PROPOSITIONS)
        request = {"request_id": "first", "user_id": "u", "timestamp": now_ms() - 5, "candidates": ["p3", "p9", "p5"]}
        answer = self.ask(**request)
        self.assertEqual({**{n: request[n] for n in ("request_id", "user_id", "timestamp")}, "placement": "default",
                          "model": "rules", "version": 0, "variant": "rules", "degraded": None, "unknown": [],
                          "key": "u"}, {n: v for n, v in content(answer).items() if n != "items"})
        self.assertEqual(["p9", "p5", "p3"], ids(answer))
        for item, pop in zip(answer["items"], (9, 5, 3)):
            self.assertAlmostEqual(pop, item["score"], delta=1e-5)
            self.assertEqual((1.0, {}), (item["propensity"], item["contributions"]))
        self.assertEqual([f"p{i}" for i in range(12, 2, -1)], ids(self.ask()), "ten of the catalogue, without limit")
        self.assertEqual(["p12", "p11"], ids(self.ask(limit=2)))
        self.assertEqual(12, len(self.ask(limit=1000)["items"]))
        self.assertEqual(["p2"], ids(self.ask(candidates=["p1", "p2"], limit=1)))

    def test_a_request_in_json_is_answered_like_one_in_avro(self):
        self.begin(self.PROPOSITIONS)
        self.app.produce("rank.requests", "u", json.dumps(
            {"request_id": "j", "user_id": "u", "timestamp": now_ms(), "candidates": ["p1", "p2"]}).encode())
        self.assertEqual(["p2", "p1"], ids(self.app.wait_answers([{"request_id": "j"}])[0]))

    def test_a_repeated_request_is_answered_again_with_the_same(self):
        self.begin(self.PROPOSITIONS)
        request = {"request_id": "again", "timestamp": now_ms(), "context": {"device": "tv"}, "explain": True}
        answers = [self.ask(**request) for _ in range(5)]
        self.assertEqual([content(answers[0])] * 5, [content(a) for a in answers])
        self.app.wait(lambda: len(self.app.logs["again"]) == 5, lambda: f"{len(self.app.logs['again'])} records")
        first = content(self.app.logs["again"][0])
        self.assertEqual([first] * 5, [content(log) for log in self.app.logs["again"]])

    def test_who_and_what_is_unknown_is_ranked_with_what_is_known_and_said_so(self):
        self.begin(self.PROPOSITIONS)
        answer = self.ask(user_id="never seen", candidates=["who", "p4", "what", "p7"])
        self.assertEqual(["who", "what"], answer["unknown"])
        self.assertEqual(["p7", "p4"], ids(answer)[:2])
        self.assertEqual({"who", "what"}, set(ids(answer)[2:]))
        self.assertIsNone(answer["degraded"])

    def test_a_candidate_that_is_named_twice_is_shown_once(self):
        self.begin(self.PROPOSITIONS)
        answer = self.ask(candidates=["p4", "p7", "p4", "p7", "x", "x"])
        self.assertEqual(["p7", "p4", "x"], ids(answer))
        self.assertEqual({"x"}, set(answer["unknown"]))

    def test_contributions_of_rules_add_up_to_the_logarithm_of_the_score(self):
        self.begin(self.PROPOSITIONS)
        for item in self.ask(explain=True)["items"]:
            self.assertTrue(item["contributions"])
            self.assertAlmostEqual(math.log(item["score"]), sum(item["contributions"].values()), delta=1e-5)

    def test_a_limit_of_0_gets_an_answer_without_items(self):
        self.begin(self.PROPOSITIONS)
        for candidates in ([], ["p1"]):
            answer = self.ask(limit=0, candidates=candidates)
            self.assertEqual((None, []), (answer["degraded"], answer["items"]))

    def test_a_placement_that_is_not_declared_is_as_if_it_had_no_line(self):
        self.begin(self.PROPOSITIONS)
        answer = self.ask(placement="nowhere", limit=3)
        self.assertEqual(("nowhere", None, 3), (answer["placement"], answer["degraded"], len(answer["items"])))

    def test_with_an_empty_catalogue_an_answer_is_empty_or_of_the_requests_own(self):
        self.begin([])
        self.assertEqual((None, []), (self.ask()["degraded"], self.ask()["items"]))
        self.assertEqual(["a", "b"], sorted(ids(self.ask(candidates=["a", "b"]))))

    def test_ten_thousand_candidates_are_ranked_and_one_more_is_too_many(self):
        self.begin(self.PROPOSITIONS)
        many = [f"p{i}" for i in range(1, 10_001)]
        answer = self.ask(candidates=many, limit=20_000)
        self.assertIsNone(answer["degraded"])
        self.assertEqual([f"p{i}" for i in range(12, 0, -1)], ids(answer)[:12])
        self.assertEqual(sorted(many), sorted(ids(answer)))
        self.assertEqual(many[12:], answer["unknown"])
        log = self.app.wait_log(answer)
        self.assertEqual(many, log["candidates"])
        self.assertRefused(self.ask(candidates=[*many, "one more"]), "too_large")

    def test_the_most_candidates_are_a_setting_and_hold_for_the_catalogue_too(self):
        self.begin(self.PROPOSITIONS, **{"ranker.max_candidates": 5})
        self.assertEqual(5, len(self.ask(candidates=[f"p{i}" for i in range(1, 6)])["items"]))
        self.assertRefused(self.ask(candidates=[f"p{i}" for i in range(1, 7)]), "too_large")
        self.assertEqual([f"p{i}" for i in range(12, 7, -1)], ids(self.ask(limit=100)))

    def test_what_cannot_be_a_request_is_a_dead_letter_with_the_reason_and_stops_nothing(self):
        self.begin(self.PROPOSITIONS)
        app, now = self.app, now_ms()

        def request(**fields):
            return encoded("rank_request", {"request_id": "bad", "user_id": "u", "timestamp": now, **fields})
        wanted = [("undecodable", "u", b"\xff\xfe what is this"), ("unknown_schema", "u", b"\xc3\x01" + b"\x07" * 8),
                  ("undecodable", "u", request()[:-2]), ("schema_mismatch", "u", b'{"request_id": "x"}'),
                  ("missing_key", None, request()), ("invalid_value", "u", None),
                  ("invalid_value", "v", request()), ("invalid_value", "u", request(limit=-1)),
                  ("invalid_value", "u", request(request_id="")), ("invalid_value", "u", request(timestamp=2**62))]
        good = []
        for _, key, value in wanted:
            app.produce("rank.requests", key, value)
            good.append(app.send({"user_id": "u"}))
        for answer in app.wait_answers(good):
            self.assertEqual(10, len(answer["items"]))
        letters = wait_until(lambda: len(found := self.fleet.dead_letters()) >= len(wanted) and found,
                             lambda: f"{self.fleet.dead_letters()}", 30)
        self.assertEqual(sorted((reason, value or b"") for reason, _, value in wanted),
                         sorted((d["reason"], fleets.bytes_of(d["value"]) or b"") for d in letters))
        for letter in letters:
            self.assertEqual(("ranker", self.fleet.topic("rank.requests")), (letter["worker"], letter["topic"]))
            self.assertTrue(letter["detail"])
        self.assertNotIn("bad", app.answers)
        details = " ".join(letter["detail"] for letter in letters)
        for part in ("-1", '"v"', '"u"', "request_id", str(2**62)):
            self.assertIn(part, details)


class Deadlines(Case):
    """Times are given with the request: nothing here depends on how fast this machine is."""

    def setUp(self):
        self.begin([proposition(f"p{i}", i) for i in range(1, 13)], **{"ranker.budget_ms": BUDGET_MS})

    def assertBase(self, answer, why):
        """By the base scores of the rules, without vectors."""
        self.assertEqual((why, "rules", [f"p{i}" for i in range(12, 2, -1)]),
                         (answer["degraded"], answer["model"], ids(answer)))
        for item, pop in zip(answer["items"], range(12, 2, -1)):
            self.assertAlmostEqual(pop, item["score"], delta=1e-4)

    def test_after_its_deadline_a_request_gets_no_items(self):
        for ago in (0, 1, 1000, DAY_MS):
            self.assertRefused(self.ask(deadline=now_ms() - ago), "deadline")
        self.assertIsNone(self.ask(deadline=now_ms() + 60_000)["degraded"])

    def test_a_deadline_that_comes_nearer_gets_less_and_less_but_always_an_answer(self):
        kinds = Counter()
        for ahead in [-2, 0, 1, 2, 3, 4, 6, 9, 15, 25, 5000] * 8:
            answer = self.ask(deadline=now_ms() + ahead, limit=10)
            kinds[answer["degraded"], len(answer["items"])] += 1
        self.assertLessEqual(set(kinds), {(None, 10), ("deadline", 10), ("deadline", 0), ("overload", 10),
                                          ("overload", 0)})
        self.assertGreater(kinds[None, 10], 0)
        self.assertGreater(kinds["deadline", 0], 0)

    def test_a_request_that_has_waited_half_of_its_budget_is_ranked_by_base_scores(self):
        answer = self.ask(arrived=now_ms() - BUDGET_MS * 6 // 10)
        self.assertBase(answer, "overload")
        answer = self.ask(arrived=now_ms() - 40_000, deadline=now_ms() + 30_000)
        self.assertBase(answer, "overload")
        own = self.ask(arrived=now_ms() - BUDGET_MS * 6 // 10, candidates=["p1", "new", "p2"], explain=True)
        self.assertEqual(("overload", ["new"]), (own["degraded"], own["unknown"]))
        self.assertLess(ids(own).index("p2"), ids(own).index("p1"))
        self.assertIsNone(self.ask(arrived=now_ms() - BUDGET_MS // 10)["degraded"])

    def test_a_request_that_has_waited_for_longer_is_refused(self):
        self.assertRefused(self.ask(arrived=now_ms() - BUDGET_MS * 8 // 10), "overload")
        self.assertRefused(self.ask(arrived=now_ms() - DAY_MS), "overload")
        self.assertRefused(self.ask(arrived=now_ms() - 40_000, deadline=now_ms() + 5_000), "overload")
        self.assertIsNone(self.ask()["degraded"])

    def test_a_request_of_the_future_has_not_waited(self):
        self.assertIsNone(self.ask(arrived=now_ms() + DAY_MS)["degraded"])


class Catalogue(Case):
    PLACEMENTS = {
        "default": {"rules": BY_POP},
        "german": {"rules": BY_POP, "filters": [{"attribute": "country", "equals": "de"}]},
        "genres": {"rules": BY_POP, "filters": [{"attribute": "genres", "in": ["noir", "drama"]}]},
        "cheap": {"rules": BY_POP, "filters": [{"attribute": "price", "from": 5, "to": 20},
                                               {"attribute": "stock", "equals": "true"}]},
        "year": {"rules": BY_POP, "filters": [{"attribute": "year", "in": ["1995", "2000.0"]}]},
        "fresh": {"rules": BY_POP, "hide": [{"event": "dismiss", "within": "1d"},
                                            {"event": "convert", "within": "1h"}]},
    }

    def test_only_what_passes_the_filters_comes_from_the_catalogue(self):
        def one(id, pop, **attributes):
            return proposition(id, pop, attributes=attributes)
        self.begin([
            one("de", 9, country="de"), one("at", 8, country="at"), one("both", 7, country=["at", "de"]),
            one("none", 6),
            one("noir", 5, genres=["noir"]), one("mixed", 4, genres=["x", "drama"]), one("other", 3, genres=["x"]),
            one("at5", 2, price=5, stock=True), one("at20", 1.5, price=20.0, stock=True),
            one("at21", 30, price=20.001, stock=True), one("gone", 31, price=10, stock=False),
            one("text", 32, price="10", stock=True), one("y1995", 1.25, year=1995), one("y2000", 1.125, year=2000),
            one("y95", 40, year="95")])
        self.assertEqual(["de", "both"], ids(self.ask(placement="german")))
        self.assertEqual(["noir", "mixed"], ids(self.ask(placement="genres")))
        self.assertEqual(["at5", "at20"], ids(self.ask(placement="cheap")))
        self.assertEqual(["y1995", "y2000"], ids(self.ask(placement="year")))
        self.assertEqual(["at", "none"], ids(self.ask(placement="german", candidates=["none", "at"])),
                         "filters are not for a request's own candidates")

    def test_what_is_inactive_or_not_valid_now_is_never_taken_from_the_catalogue(self):
        now = now_ms()
        self.begin([
            proposition("always", 9), proposition("inactive", 99, active=False),
            proposition("yet to come", 98, valid_from=now + DAY_MS), proposition("over", 97, valid_until=now - 1),
            proposition("in time", 8, valid_from=now - 1, valid_until=now + DAY_MS)])
        self.assertEqual(["always", "in time"], ids(self.ask()))

    def test_validity_begins_and_ends_by_itself_and_changes_count_at_once(self):
        now = now_ms()
        self.begin([proposition("always", 5), proposition("soon", 9, valid_from=now + 4000),
                    proposition("ending", 8, valid_until=now + 4000)])
        if now_ms() < now + 3000:       # else this machine is too slow to see it
            self.assertEqual(["ending", "always"], ids(self.ask()))
        self.wait_for(["soon", "always"], "validity did not change")
        self.assertGreaterEqual(now_ms(), now + 4000)
        self.app.entity("proposition", proposition("always", 10))
        self.wait_for(["always", "soon"], "the new attribute does not count")
        self.app.entity("proposition", proposition("soon", 9, active=False))
        self.wait_for(["always"], "it is still active")
        self.app.entity("proposition", proposition("new", 20))
        self.wait_for(["new", "always"], "the new one does not come")
        self.fleet.produce_tombstone("propositions", "new")
        self.wait_for(["always"], "it was removed")
        self.assertEqual(["new"], self.ask(candidates=["new"])["unknown"])

    def test_what_a_user_dismissed_or_bought_is_hidden_from_that_user_for_a_time(self):
        self.begin([proposition(f"p{i}", i) for i in range(1, 5)])
        now = now_ms()

        def shown(**request):
            answer = self.ask(**{"user_id": "u", "placement": "fresh", **request})
            self.assertIsNone(answer["degraded"])
            return ids(answer)

        def did(event, id, at):
            self.app.event({"event_id": f"{event} {id}", "event": event, "user_id": "u", "timestamp": at,
                            "propositions": [id]}, at)
        all_four = ["p4", "p3", "p2", "p1"]
        self.assertEqual(all_four, shown())
        did("dismiss", "p4", now)
        self.assertEqual(["p3", "p2", "p1"], shown(timestamp=now))
        did("convert", "p2", now)
        self.assertEqual(["p3", "p1"], shown(timestamp=now))
        self.assertEqual(["p3", "p2", "p1"], shown(timestamp=now + 3_600_001))
        self.assertEqual(["p3", "p2", "p1"], shown(timestamp=now + DAY_MS))
        self.assertEqual(all_four, shown(timestamp=now + DAY_MS + 1))
        self.assertEqual(all_four, shown(timestamp=now, user_id="v"))
        self.assertEqual(all_four, shown(timestamp=now, placement="default"))
        self.assertEqual(["p4", "p2"], shown(candidates=["p2", "p4"]), "they are the application's choice")
        late = self.ask(user_id="u", placement="fresh", timestamp=now, arrived=now_ms() - BUDGET_MS * 6 // 10)
        self.assertEqual(("overload", ["p3", "p1"]), (late["degraded"], ids(late)))


# ---------------------------------------------------------------- diversity, exploration, samples

UTILITIES = {"a": 4.0, "b": 2.0, "c": 1.0}


def propensities(order, share, temperature):
    """Of each place: P(the first j) / P(the first j - 1), under the mixture of the best order and a draw."""
    weights = {id: pop ** (1 / temperature) for id, pop in UTILITIES.items()}
    best = sorted(weights, key=weights.get, reverse=True)
    drawn, left, before, out = 1.0, sum(weights.values()), 1.0, []
    for place, id in enumerate(order, 1):
        drawn *= weights[id] / left
        left -= weights[id]
        now = share * drawn + (1 - share) * (list(order[:place]) == best[:place])
        out.append(now / before)
        before = now
    return out


class Choice(Case):
    PLACEMENTS = {
        "default": {"rules": BY_POP},
        "diverse": {"rules": BY_POP, "diversity": {"attribute": "genres", "most": 1, "first": 3}},
        "exploring": {"rules": BY_POP, "exploration": {"share": 0.5, "temperature": 2}},
        "unlogged": {"rules": BY_POP, "log": 0},
        "sampled": {"rules": BY_POP, "log": 0.3},
    }

    def test_among_the_first_there_are_no_more_of_a_value_than_diversity_allows(self):
        self.begin([proposition("n1", 9, ["noir"]), proposition("n2", 8, ["noir", "drama"]),
                    proposition("n3", 7, ["noir"]), proposition("d1", 6, ["drama"]), proposition("c1", 5, ["comedy"]),
                    proposition("x1", 4)])
        wanted = ["n1", "d1", "c1", "n2", "n3", "x1"]
        self.assertEqual(wanted, ids(self.ask(placement="diverse")))
        self.assertEqual(wanted, ids(self.ask(placement="diverse", candidates=["x1", "c1", "d1", "n3", "n2", "n1"])))
        self.assertEqual(["n1", "n2", "n3", "d1", "c1", "x1"], ids(self.ask()))

    def test_orders_are_drawn_as_often_as_their_propensities_say_and_a_repeat_is_the_same(self):
        self.begin([proposition(id, pop) for id, pop in UTILITIES.items()])
        sent = [self.app.send({"request_id": f"r{i}", "placement": "exploring", "user_id": f"u{i % 7}"})
                for i in range(3000)]
        counts = Counter()
        for answer in self.app.wait_answers(sent):
            order = ids(answer)
            counts[tuple(order)] += 1
            for want, item in zip(propensities(order, 0.5, 2), answer["items"]):
                self.assertAlmostEqual(want, item["propensity"], delta=1e-9)
        orders = list(itertools.permutations(UTILITIES))
        expected = [len(sent) * math.prod(propensities(order, 0.5, 2)) for order in orders]
        self.assertAlmostEqual(len(sent), sum(expected), delta=1e-6)
        chi2 = sum((counts[order] - want) ** 2 / want for order, want in zip(orders, expected))
        self.assertLess(chi2, 20.5)             # of 5 degrees of freedom, once in a thousand
        for request in sent[:40]:
            repeat = self.ask(**request)
            first = self.app.answers[request["request_id"]][0]
            self.assertEqual(first["items"], repeat["items"])
            log = self.app.wait_log(request)
            self.assertEqual([log["candidates"][place] for place in log["shown"]], ids(first))
            self.assertEqual(log["propensities"], [item["propensity"] for item in first["items"]])
            self.assertEqual([log["scores"][place] for place in log["shown"]], [i["score"] for i in first["items"]])
            self.assertEqual((0.5, 2.0, False), (log["explored_share"], log["temperature"], log["diverse"]))
            for id, utility in zip(log["candidates"], log["utilities"], strict=True):
                self.assertAlmostEqual(math.log(UTILITIES[id]), utility, 12)

    def test_what_does_not_explore_is_logged_as_such(self):
        self.begin([proposition("n1", 9, ["noir"]), proposition("d1", 6, ["drama"])])
        for placement in ("default", "diverse"):
            sent = self.app.send({"request_id": placement, "placement": placement, "user_id": "u"})
            log = self.app.wait_log(sent)
            self.assertEqual((0.0, placement == "diverse", []),
                             (log["explored_share"], log["diverse"], log["utilities"]))

    def test_of_a_placements_requests_that_share_is_logged_that_it_says(self):
        self.begin([proposition("a", 1)])
        sent = {name: [self.app.send({"request_id": f"{name}{i}", "placement": name, "user_id": f"u{i % 5}"})
                       for i in range(1000)] for name in ("unlogged", "sampled", "default")}
        for requests in sent.values():
            self.app.wait_answers(requests)
        self.app.wait(lambda: all(self.app.logs.get(r["request_id"]) for r in sent["default"]), "logs are missing")
        logged = {name: [r["request_id"] for r in requests if self.app.logs.get(r["request_id"])]
                  for name, requests in sent.items()}
        self.assertEqual([], logged["unlogged"])
        # 300 of 1000, six standard deviations to each side.
        self.assertTrue(213 <= len(logged["sampled"]) <= 387, len(logged["sampled"]))
        for id in logged["sampled"]:
            self.assertEqual(0.3, self.app.logs[id][0]["share"])
        repeated = self.ask(request_id=logged["sampled"][0], placement="sampled", user_id="u0")
        self.app.wait(lambda: len(self.app.logs[repeated["request_id"]]) == 2, "a repeat is logged as well")


if __name__ == "__main__":
    unittest.main()
