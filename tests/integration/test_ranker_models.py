"""The worker `ranker` with models, on real servers: their scores, their swaps, who is served by which.

XGBoost's own library trains the models and says what they predict. A random test prints its SEED.
"""
import array
import hashlib
import json
import math
import random
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import fleet as fleets  # noqa: E402
import numpy  # noqa: E402
import xgb  # noqa: E402
from confluent_kafka import Consumer, TopicPartition  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from ranking import Application, decoded, encoded, now_ms, vectors_of  # noqa: E402

FEATURES = """
features:
  - {name: pop,    scope: proposition,      attribute: {field: pop}}
  - {name: price,  scope: proposition,      attribute: {field: price}}
  - {name: clicks, scope: user,             count: {event: click, windows: [365d]}}
  - {name: seen,   scope: user*proposition, recency: {event: click}}
  - {name: hour,   scope: context,          time: {part: hour_of_day, zone: UTC}}
"""
COLUMNS = ("pop", "price", "clicks_365d", "seen", "hour")
PLACEMENTS = {"default": {"model": "shop", "rules": {"popularity": {"value": "pop"}}}}
CANDIDATES = [f"p{i}" for i in range(24)]
USERS = [f"u{i}" for i in range(24)]        # of all partitions
SWAP_LIMIT_S = 15
SEPARATOR = "\x1f"


def booster(seed, rounds=30):
    """A model whose splits lie where the values of this fleet are."""
    rng = random.Random(seed)
    rows = [[rng.uniform(0, 30), math.nan if rng.random() < 0.3 else rng.uniform(0, 90), rng.randint(0, 9),
             math.nan if rng.random() < 0.5 else rng.uniform(0, 100), rng.uniform(0, 24)] for _ in range(600)]
    labels = [float(rng.random() < 1 / (1 + math.exp(math.sin(row[0] * seed) + (row[2] - 4) / 3))) for row in rows]
    return xgb.Booster(rows, labels, rounds, objective="binary:logistic", max_depth=5, seed=seed)


class Case(unittest.TestCase):
    def begin(self, versions, rankers=2, **settings):
        """A fleet whose registry has these versions, each of its own seed."""
        self.fleet = Fleet(self, FEATURES, **settings).create_topics().migrate()
        self.fleet.configure(json.dumps({"placements": PLACEMENTS}))
        self.fleet.send("propositions", [
            {"id": id, "timestamp": now_ms(), "attributes": {"pop": 1.0 + i, **({"price": i * 3.5} if i % 3 else {})}}
            for i, id in enumerate(CANDIDATES)])
        self.app = Application(self, self.fleet)
        self.boosters = {}
        for number in range(1, versions + 1):
            self.boosters[number] = booster(number)
            path = self.fleet.folder / f"model {number}.{'json' if number % 2 else 'ubj'}"
            self.boosters[number].save(path)
            said = self.models("register", "--model", "shop", "--file", path, "--columns", ",".join(COLUMNS))
            self.assertIn(f"version {number}", said)
        workers = [self.fleet.start("ranker", ready=False) for _ in range(rankers)]
        for worker in workers:
            worker.wait_ready()

    def models(self, *arguments):
        return self.fleet.flotilla("models", *arguments)

    def ask_everybody(self, **request):
        """One answer for each user, so from each ranker."""
        return self.app.wait_answers([self.app.send({"user_id": user, "candidates": CANDIDATES, **request})
                                      for user in USERS])

    def who(self, answers):
        return {(a["model"], a["version"], a["variant"], a["degraded"]) for a in answers}

    def wait_served(self, *wanted):
        """Until everybody is served so: (model, version, variant, degraded)."""
        deadline = time.monotonic() + SWAP_LIMIT_S
        while (got := self.who(self.ask_everybody())) != set(wanted):
            if time.monotonic() > deadline:
                self.fail(f"served by {got}, not {wanted}\n{self.app.said()}")

    def promote(self, version, variant="champion"):
        self.models("promote", "shop", version)
        self.wait_served(("shop", version, variant, None))

    def status(self):
        return [json.loads(w.get("/status")[1])["models"] for w in self.fleet.running("ranker")]

    def rows(self, log):
        return [[vector[name] for name in COLUMNS] for vector in vectors_of(log)]


class Scores(Case):
    def test_before_there_is_a_model_rules_rank_and_say_so(self):
        self.begin(versions=1)
        self.wait_served(("rules", 0, "rules", "no_model"))
        self.assertEqual(CANDIDATES[::-1][:10], [i["proposition_id"] for i in self.app.ask(user_id="u")["items"]])

    def test_scores_and_margins_are_xgboosts_bit_for_bit_and_contributions_add_up(self):
        self.begin(versions=2)
        rng = fleets.seeded(self, 1)
        for i in range(200):
            now = now_ms() - rng.randint(0, 90_000)
            self.app.send_event({"event_id": f"e{i}", "event": "click", "user_id": rng.choice(USERS), "timestamp": now,
                                 "propositions": [rng.choice(CANDIDATES)]}, now)
        self.app.flush()
        for version in (1, 2):
            self.promote(version)
            model = self.boosters[version]
            sent = [self.app.send({"user_id": user, "explain": True, "limit": 100,
                                   "candidates": rng.sample(CANDIDATES, rng.randint(1, 24)) + ["unknown"]})
                    for user in USERS]
            for request, answer in zip(sent, self.app.wait_answers(sent)):
                log = self.app.wait_log(request)
                rows = self.rows(log)
                self.assertEqual(model.scores(rows), array.array("f", log["scores"]))
                margins = dict(zip(log["candidates"], model.margins(rows)))
                shown = [item["proposition_id"] for item in answer["items"]]
                self.assertEqual(sorted(margins, key=margins.get, reverse=True), shown)
                explained = dict(zip(log["candidates"], model.contributions(rows)))
                for item in answer["items"]:
                    got = item["contributions"]
                    self.assertEqual({*COLUMNS, "bias"}, set(got))
                    self.assertAlmostEqual(margins[item["proposition_id"]], sum(got.values()), delta=1e-5)
                    for name, want in zip((*COLUMNS, "bias"), explained[item["proposition_id"]]):
                        self.assertAlmostEqual(want, got[name], delta=1e-5)

    def test_calibrated_scores_are_published_in_the_order_of_the_margins(self):
        """The calibration is written by hand, and applied by NumPy."""
        self.begin(versions=1)
        knots, values = [-1.5, -0.25, 0.0, 0.75, 2.0], [0.01, 0.125, 0.125, 0.4, 0.9]
        calibration = json.dumps({"kind": "isotonic", "margins": knots, "values": values})
        self.fleet.rows("INSERT INTO model_versions (model, version, os_user, artifact, sha256, size, objective, trees, "
                        "depth, features, fingerprints, canary_rows, canary_margins, calibration) SELECT model, 2, "
                        "os_user, artifact, sha256, size, objective, trees, depth, features, fingerprints, canary_rows, "
                        f"canary_margins, '{calibration}' FROM model_versions")
        self.promote(1)
        self.models("plan", "shop", "--challenger", "name=dark,version=2,mode=shadow")

        def logged():
            return self.app.wait_log(self.app.send({"user_id": "u1", "candidates": CANDIDATES}))
        def calibrated(log):
            margins = numpy.array(self.boosters[1].margins(self.rows(log)))
            return margins, numpy.interp(margins, knots, values).astype(numpy.float32)

        wait_until(lambda: logged()["shadows"], self.app.said, SWAP_LIMIT_S)
        log = logged()
        margins, scores = calibrated(log)
        self.assertEqual(self.boosters[1].scores(self.rows(log)), array.array("f", log["scores"]))
        self.assertEqual(list(scores), [shadow["scores"] for shadow in log["shadows"]][0])
        self.promote(2)
        self.assertGreater(len(set(margins)), len(set(scores)))     # some share a score, and keep their order
        request = self.app.send({"user_id": "u1", "candidates": CANDIDATES, "limit": 100})
        answer, log = self.app.wait_answers([request])[0], self.app.wait_log(request)
        margins, scores = calibrated(log)
        self.assertEqual(list(scores), log["scores"])
        order = sorted(range(len(CANDIDATES)), key=lambda i: -margins[i])
        self.assertEqual([(CANDIDATES[i], scores[i]) for i in order],
                         [(item["proposition_id"], item["score"]) for item in answer["items"]])


class Swaps(Case):
    def test_a_rollback_of_the_first_model_goes_back_to_rules_and_forth(self):
        self.begin(versions=1)
        self.promote(1)
        self.models("rollback", "shop")
        self.wait_served(("rules", 0, "rules", None))
        self.models("rollback", "shop")
        self.wait_served(("shop", 1, "champion", None))
        self.models("promote", "shop", 0)
        self.wait_served(("rules", 0, "rules", None))

    def test_a_rollback_is_in_effect_on_every_ranker_at_once_with_postgresql_stopped(self):
        self.begin(versions=2)
        self.addCleanup(self.fleet.stack.run, "postgres-start")
        self.promote(1)
        self.promote(2)
        self.fleet.stack.run("postgres-stop")
        began = time.monotonic()
        self.models("rollback", "shop", "--reason", "fewer clicks")
        said = time.monotonic()
        self.wait_served(("shop", 1, "champion", None))
        print(f"the command took {said - began:.2f} s, then {time.monotonic() - said:.2f} s until all were served so")
        self.models("rollback", "shop")
        self.wait_served(("shop", 2, "champion", None))
        # Artifacts come from Kafka: a ranker that is started has them.
        for worker in self.fleet.running("ranker"):
            worker.kill()
        self.fleet.start("ranker")
        self.assertEqual({("shop", 2, "champion", None)}, self.who(self.ask_everybody()))
        self.models("rollback", "shop")
        self.wait_served(("shop", 1, "champion", None))

    def test_swaps_under_load_lose_no_request_and_never_fall_back_to_rules(self):
        self.begin(versions=3, **{"ranker.budget_ms": 300_000})
        self.promote(1)
        sent, steps = [], [("promote", 2), ("rollback",), ("promote", 3), ("rollback",), ("rollback",), ("promote", 2),
                           ("promote", 1), ("promote", 3)]
        for verb, *version in steps:
            process = fleets.subprocess.Popen(
                [fleets.BIN / "flotilla", "models", verb, "shop", *map(str, version), *self.fleet.options()],
                stdout=fleets.subprocess.DEVNULL, stderr=fleets.subprocess.PIPE, env=fleets.environment())
            until = None
            while until is None or time.monotonic() < until:
                sent += [self.app.send({"user_id": user, "candidates": CANDIDATES}) for user in USERS]
                self.app.read(0.01)
                if until is None and process.poll() is not None:
                    until = time.monotonic() + 0.3
            _, problems = process.communicate()
            self.assertEqual(0, process.returncode, problems)
        got = Counter((a["model"], a["version"], a["degraded"]) for a in self.app.wait_answers(sent))
        print(len(sent), got)
        # While a version is loaded, the champion before serves; rules never.
        self.assertLessEqual({("shop", version, None) for version in (1, 2, 3)}, set(got))
        self.assertEqual({"shop"}, {model for model, _, _ in got})
        # A machine with much to do may not tell in time where events end: the model ranks all the same.
        self.assertLessEqual({degraded for _, _, degraded in got}, {None, "loading", "stale_state"})
        self.assertEqual([1], list({len(self.app.answers[r["request_id"]]) for r in sent}))


def chi2(observed, expected):
    return sum((o - e) ** 2 / e for o, e in zip(observed, expected))


class Rollout(Case):
    def challenge(self, *fields):
        return self.models("plan", "shop", *(word for f in fields for word in ("--challenger", f)))

    def variants(self, users):
        sent = [self.app.send({"user_id": user, "candidates": CANDIDATES[:2]}) for user in users]
        return {a["user_id"]: (a["variant"], a["version"]) for a in self.app.wait_answers(sent)}

    def wait_plan(self, challengers):
        wait_until(lambda: all(models and models[0]["challengers"] == challengers and not models[0]["problem"]
                               for models in self.status()), self.status, SWAP_LIMIT_S)

    def test_users_are_assigned_by_their_shares_for_good_and_independently(self):
        self.begin(versions=4)
        self.promote(1)
        self.challenge("name=c1,version=2,mode=canary,share=0.1", "name=e1,version=3,mode=ab,share=0.3",
                       "name=s1,version=4,mode=shadow")
        self.wait_plan(3)
        users = [f"user-{i}" for i in range(4000)]
        first = self.variants(users)
        shares = {("champion", 1): 0.6, ("c1", 2): 0.1, ("e1", 3): 0.3}
        counts = Counter(first.values())
        self.assertEqual(set(shares), set(counts))
        expected = [share * len(users) for share in shares.values()]
        self.assertLess(chi2([counts[v] for v in shares], expected), 13.8)        # 2 degrees: once in a thousand
        # For good: other rankers, a share that grows.
        for worker in self.fleet.running("ranker"):
            worker.stop()
        self.fleet.start("ranker")
        self.assertEqual({u: first[u] for u in users[:500]}, self.variants(users[:500]))
        self.challenge("name=c1,share=0.2")
        self.wait_plan(3)
        wait_until(lambda: Counter(self.variants(users[:500]).values())[("c1", 2)]
                   > Counter(first[u] for u in users[:500])[("c1", 2)], "the share did not grow", SWAP_LIMIT_S)
        grown = self.variants(users)
        self.assertEqual([], [u for u in users if first[u][0] == "c1" and grown[u][0] != "c1"])
        self.assertLess(chi2([Counter(grown.values())[("c1", 2)]], [0.2 * len(users)]), 10.9)
        # Independently: another salt shuffles, so that of each old group the same share is in each new one.
        self.models("plan", "shop", "--salt", "other")
        wait_until(lambda: self.variants(users[:500]) != {u: grown[u] for u in users[:500]}, "not shuffled",
                   SWAP_LIMIT_S)
        shuffled = self.variants(users)
        pairs = Counter((grown[u], shuffled[u]) for u in users)
        old, new = Counter(grown.values()), Counter(shuffled.values())
        cells = [(a, b) for a in old for b in new]
        self.assertLess(chi2([pairs[c] for c in cells], [old[a] * new[b] / len(users) for a, b in cells]), 18.5)

    def test_shadows_are_scored_and_logged_and_never_shown(self):
        self.begin(versions=7)
        self.promote(1)
        self.challenge(*(f"name=s{v},version={v},mode=shadow" for v in range(2, 8)))
        self.wait_plan(6)
        answers = self.ask_everybody()
        self.assertEqual({("shop", 1, "champion", None)}, self.who(answers))
        for answer in answers:
            log = self.app.wait_log(answer)
            self.assertEqual([(f"s{v}", v) for v in range(2, 8)],
                             [(s["variant"], s["version"]) for s in log["shadows"]])
            for shadow in log["shadows"]:
                self.assertEqual(self.boosters[shadow["version"]].scores(self.rows(log)),
                                 array.array("f", shadow["scores"]))


class Refused(Case):
    def test_a_model_of_other_definitions_is_not_used_and_the_ranker_says_which_feature(self):
        self.begin(versions=1, rankers=1)
        self.promote(1)
        for worker in self.fleet.running("ranker"):
            worker.stop()
        self.fleet.define(FEATURES.replace("{field: price}", "{field: cost}"))
        worker = self.fleet.start("ranker")
        self.wait_served(("rules", 0, "rules", "fingerprint"))
        self.assertIn("price", worker.text())
        self.assertIn("price", self.status()[0][0]["problem"])

    def parts(self, version):
        """The artifact of a version as it is on its topic, in one part."""
        topic = self.fleet.topic("model.artifacts")
        consumer = Consumer({"bootstrap.servers": self.fleet.stack.brokers, "group.id": topic, "log_level": 0})
        self.addCleanup(consumer.close)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(self.fleet.settings["kafka.partitions"])])

        def find():
            for message in consumer.consume(100, 0.2):
                if not message.error() and message.key().decode().split(SEPARATOR)[1] == str(version):
                    return decoded("model_artifact", message.value())
            return None
        return wait_until(find, "the artifact is not on its topic", 15)

    def publish(self, artifact, previous):
        """An artifact and the plan that makes it champion."""
        key = SEPARATOR.join(["shop", str(artifact["version"]), str(artifact["part"])])
        self.app.produce("model.artifacts", key, encoded("model_artifact", artifact))
        self.app.flush()
        self.app.produce("models", "shop", encoded("rollout_plan", {
            "model": "shop", "timestamp": now_ms(), "actor": "test", "salt": "s", "champion": artifact["version"],
            "previous": previous}))
        self.app.flush()

    def damaged(self, good):
        """{what is wrong: (artifact, part of the reason)}"""
        data, margins = bytearray(good["bytes"]), bytearray(good["canary_margins"])
        data[len(data) // 2] ^= 1
        margins[0] ^= 1
        cut = good["bytes"][:len(data) // 2]
        other = hashlib.sha256(b"other").digest()
        return {
            "a bit of it is flipped": ({"bytes": bytes(data)}, "SHA-256"),
            "its SHA-256 is another": ({"sha256": other}, "SHA-256"),
            "it is cut": ({"bytes": cut}, "SHA-256"),
            "it was cut before it was signed": ({"bytes": cut, "sha256": hashlib.sha256(cut).digest()}, ""),
            "its canary rows give other margins": ({"canary_margins": bytes(margins)}, "canary"),
            "it is no model": ({"bytes": b"{}", "sha256": hashlib.sha256(b"{}").digest()}, ""),
        }

    def test_a_damaged_artifact_is_refused_with_its_reason_and_the_version_before_goes_on(self):
        self.begin(versions=2)
        self.promote(1)
        good = self.parts(1)
        for version, (what, (change, reason)) in enumerate(self.damaged(good).items(), 11):
            with self.subTest(what):
                self.publish({**good, **change, "version": version}, previous=1)
                workers = self.fleet.running("ranker")
                for worker in workers:
                    wait_until(lambda w=worker: self.refusals(w, version), worker.text, SWAP_LIMIT_S)
                    self.assertTrue(all(reason in text for text in self.refusals(worker, version)),
                                    self.refusals(worker, version))
                # The artifact is refused as it comes; the plan comes behind it.
                got = wait_until(lambda: (found := self.who(self.ask_everybody())) and
                                 {variant for _, _, variant, _ in found} == {"previous"} and found,
                                 "the plan is not followed", SWAP_LIMIT_S)
                self.assertEqual({("shop", 1)}, {(model, number) for model, number, _, _ in got})
                self.assertNotIn(None, {degraded for _, _, _, degraded in got})
                for models in self.status():
                    self.assertIn(f"version {version}", models[0]["problem"])
                    self.assertIn(reason, models[0]["problem"])
        # What was refused may come again, whole.
        self.publish({**good, "version": 11}, previous=1)
        self.wait_served(("shop", 11, "champion", None))
        self.promote(2)

    def refusals(self, worker, version):
        """Why a ranker could not use a version, as it has logged it."""
        return [str(r) for r in worker.records() if r.get("event") in ("artifact_refused", "model_refused")
                and (r.get("version") == version or f"version {version}" in str(r))]


if __name__ == "__main__":
    unittest.main()
