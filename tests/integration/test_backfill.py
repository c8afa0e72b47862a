"""`flotilla backfill`: every value of a training set equals the oracle's, however it was made.

All of RankLens; generated streams of every kind (SEEDS=100-199 for others); runs that are killed at any point. What a
label is, is worked out by hand. SHARED_DIR is where RankLens lies.
"""
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections import defaultdict
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/oracle")]
import oracle  # noqa: E402
import streams  # noqa: E402
from training_sets import TrainingSet, assert_equal_sets  # noqa: E402

FLOTILLA = Path(os.environ.get("BIN_DIR", ROOT / "build/workers")).resolve() / "flotilla"
RANKLENS = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared")) / "data/ranklens/events.jsonl.gz"
RANKLENS_ROWS, RANKLENS_REQUESTS = 235_200, 9_800
RUN_LIMIT_S = 600
TOLERANCE = 1e-6                # float32 against double, as the oracle compares them
# The command takes every FLOTILLA_… for a setting of its own.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("FLOTILLA_")}
FOREVER = "36500d"

SIMPLE = """features:
  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}
  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h], weight: 1, prior: 0.5}}
  - {name: hour, scope: context, time: {part: hour_of_day, zone: UTC}}
  - {name: place, scope: candidate, position: {at_serving: 0}}
"""
START = 1_700_000_000_000


def chosen_seeds():
    asked = os.environ.get("SEEDS")
    if not asked:
        return range(1, 13)
    first, _, last = asked.partition("-")
    return range(int(first), int(last or first) + 1)


# ---------------------------------------------------------------- small makers

def request(id, at, candidates, user="u", **more):
    return {"request": {"request_id": id, "user_id": user, "timestamp": START + at, "candidates": candidates, **more}}


def event(name, at, propositions, request_id=None, user="u", **more):
    """Its id hangs on what it is."""
    made = {"event_id": f"{name}-{at}-{propositions}-{request_id}", "event": name, "user_id": user,
            "timestamp": START + at, "propositions": propositions, **more}
    return {"event": {**made, "request_id": request_id} if request_id else made}


def later():
    """What ends every window of a story."""
    return event("later", 3_600_000, [])


class Case(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="flotilla backfill ")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        self.made = 0

    def write(self, name, lines):
        path = self.folder / name
        streams.write_lines(path, lines)
        return path

    def features(self, text=SIMPLE):
        path = self.folder / "features.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def run_backfill(self, *arguments):
        return subprocess.run([FLOTILLA, "backfill", *map(str, arguments)], capture_output=True, encoding="utf-8",
                              env=ENVIRONMENT, timeout=RUN_LIMIT_S)

    def backfill(self, *arguments, status=0):
        """(the set, what was printed)"""
        self.made += 1
        directory = self.folder / f"set {self.made}"
        run = self.run_backfill("--out", directory, *arguments)
        self.assertEqual(status, run.returncode, run.stdout + run.stderr)
        return TrainingSet(directory), run.stdout

    def of_stream(self, lines, *arguments, features=SIMPLE, status=0):
        stream = self.write("stream.jsonl", lines)
        return self.backfill("--features", self.features(features), "--stream", stream, *arguments, status=status)

    def assertFails(self, status, text, *arguments):
        run = self.run_backfill(*arguments)
        self.assertEqual(status, run.returncode, run.stdout + run.stderr)
        self.assertIn(text, run.stderr)


# ---------------------------------------------------------------- against the oracle

def in_order(lines):
    """Accepted lines as a backfill replays them: an entity's oldest records first, other records of attributes at their
    times, then requests, then events, of equal times by arrival."""
    oldest = {}
    for line in lines:
        for side in ("user", "proposition"):
            if side in line:
                key, at = (side, line[side]["id"]), line[side]["timestamp"]
                oldest[key] = min(at, oldest.get(key, at))

    def place(numbered):
        number, line = numbered
        if "event" in line:
            return line["time"], 2, number
        if "request" in line:
            return line["request"]["timestamp"], 1, number
        side = "user" if "user" in line else "proposition"
        at = line[side]["timestamp"]
        return -math.inf if at == oldest[side, line[side]["id"]] else at, 0, number

    accepted = list(oracle.accepted(lines))
    # In order of time a repeat may come near what it repeats from afar: accepted ones have ids of their own.
    for number, line in enumerate(accepted):
        if "event" in line:
            accepted[number] = {**line, "event": {**line["event"], "event_id": str(number)}}
    return [line for _, line in sorted(enumerate(accepted), key=place)]


def expected_vectors(features, lines):
    """[(request, proposition, {name: value})] as the oracle says."""
    definitions = oracle.read_features(features)
    state = oracle.State(definitions)
    return [(r["request_id"], r["proposition_id"], r["vector"]) for r in oracle.replay(state, lines, training=True)]


class Vectors(Case):
    def assertVectors(self, expected, got):
        """expected: rows of expected_vectors(), in the order of the set."""
        ids = [id for id, _, first, end in got.requests for _ in range(end - first)]
        self.assertEqual([(id, proposition) for id, proposition, _ in expected], list(zip(ids, got.propositions)))
        for place, name in enumerate(got.columns):
            values = [math.nan if row[name] is None else row[name] for _, _, row in expected]
            with np.errstate(over="ignore"):
                values = np.array(values, dtype=np.float64).astype(np.float32)
            ours = got.vectors[:, place]
            same = np.isclose(values, ours, rtol=TOLERANCE, atol=1e-12, equal_nan=True)
            if not same.all():
                i = int(np.argmin(same))
                self.fail(f"{name}: {(~same).sum()} of {len(same)} differ, the first: {expected[i][:2]} is "
                          f"{ours[i]}, the oracle says {values[i]}")


class AgainstTheOracle(Vectors):
    def test_vectors_of_random_streams_equal_the_oracles(self):
        """Late events, repeats, records of attributes at all times, requests that are asked in the past."""
        for seed in chosen_seeds():
            with self.subTest(seed=seed):
                features, lines = streams.generate(seed, "small")
                got, _ = self.of_stream(lines, "--only", "requests", "--with-unshown", "--incomplete", "--label-window",
                                        FOREVER, features=features)
                self.assertVectors(expected_vectors(features, in_order(lines)), got)

    def test_of_separate_files_the_set_is_the_same(self):
        seed = chosen_seeds()[0]
        features, lines = streams.generate(seed, "small")
        lines = [{k: v for k, v in line.items() if k != "kafka_timestamp"} for line in lines]
        options = ["--with-unshown", "--incomplete", "--only", "requests", "--features", self.features(features)]
        for kind in ("event", "user", "proposition", "request"):
            options += [f"--{kind}s", self.write(f"{kind}s.jsonl", [line[kind] for line in lines if kind in line])]
        self.backfill(*options)
        self.of_stream(lines, "--with-unshown", "--incomplete", "--only", "requests", features=features)
        assert_equal_sets(self, self.folder / "set 1", self.folder / "set 2", same_source=False)


@unittest.skipUnless(RANKLENS.exists(), f"RankLens is not there: {RANKLENS}")
class RankLens(Vectors):
    FEATURES = ROOT / "tests/oracle/features.ranklens.yaml"

    def test_all_of_ranklens_equals_the_oracle(self):
        """Every value of 235,200 vectors, and every label: an item's is 1 if it was clicked within two minutes."""
        converted = subprocess.run([sys.executable, ROOT / "tests/oracle/ranklens_to_stream.py", RANKLENS],
                                   capture_output=True, encoding="utf-8", check=True).stdout
        lines = [json.loads(line) for line in converted.splitlines()]
        got, _ = self.backfill("--features", self.FEATURES, "--stream", self.write("ranklens.jsonl", lines),
                               "--incomplete", "--label-window", "2m")
        self.assertEqual((RANKLENS_REQUESTS, RANKLENS_ROWS), (len(got.requests), len(got.labels)))
        shown, clicked = {}, defaultdict(set)
        for line in lines:
            e = line.get("event", {"event": ""})
            if e["event"] == "impression":
                shown[e["request_id"]] = e["timestamp"]
            elif e["event"] == "click" and e["timestamp"] <= shown[e["request_id"]] + 120_000:
                clicked[e["request_id"]].update(e["propositions"])
        ids = [id for id, _, first, end in got.requests for _ in range(end - first)]
        labels = [float(proposition in clicked[id]) for id, proposition in zip(ids, got.propositions)]
        self.assertGreater(sum(labels), 40_000)
        self.assertEqual(labels, list(got.labels))
        self.assertVectors(expected_vectors(self.FEATURES.read_text(encoding="utf-8"), in_order(lines)), got)


# ---------------------------------------------------------------- what is in a set

class Sets(Case):
    def test_a_label_is_what_happened_to_what_was_shown(self):
        """The rules of common/backfill/join.h, at once."""
        got, printed = self.of_stream([
            request("r", 0, ["a", "b", "c", "d"]),
            event("impression", 10, ["c", "a", "b"], "r"),
            event("click", 20, ["a"], "r"), event("click", 21, ["a"], "r"),
            event("convert", 30, ["a"]),                            # without an id: of the newest that shows it
            event("click", 60_010, ["b"], "r"), event("click", 60_011, ["c"], "r"),
            event("click", 40, ["d"], "r"), later()],
            "--labels", "click=1,convert=5", "--label-window", "1m")
        self.assertEqual([("a", 6.0, 1), ("b", 1.0, 2), ("c", 0.0, 0), ("d", None, -1)], got.rows("r"))
        self.assertEqual({"click": 2, "convert": 1}, got.counts["rows"]["by_label"])
        self.assertIn("used       1 of 1 requests", printed)
        self.assertEqual([1, 2, 0], [v for v in got.column("place") if not math.isnan(v)])
        self.assertTrue(math.isnan(got.column("place")[3]))

    def test_an_impression_without_a_request_is_one_and_does_not_see_itself(self):
        got, _ = self.of_stream([event("impression", 0, ["a", "b", "a"], context={"device": "tv"}),
                                 event("click", 5, ["b"]), event("impression", 10, ["b"]), later()])
        first, second = [r[0] for r in got.requests]
        self.assertEqual([("a", 0.0, 0), ("b", 1.0, 1)], got.rows(first))
        self.assertEqual([("b", 0.0, 0)], got.rows(second))
        # (clicks + 1 * 0.5) / (impressions + 1): none before the first; one of each before the second
        self.assertEqual([0.5, 0.5, 0.75], list(got.column("ctr_1h")))
        self.assertEqual([0, 2], got.user_seen)
        self.assertEqual([0, 0, 2], list(got.seen))
        self.assertEqual({"context.device": "tv"}, got.segments[0])

    def test_what_was_shown_before_it_was_asked_for_is_ranked_when_it_was_shown(self):
        """The application's clock is ahead of its users': nothing is read that knows its own impression or label."""
        got, printed = self.of_stream([event("impression", 0, ["b", "a"], "r"), event("click", 3, ["b"], "r"),
                                       request("r", 10_000, ["a", "b", "c"]), later()])
        self.assertEqual([("b", 1.0, 0), ("a", 0.0, 1)], got.rows("r"))
        self.assertEqual([0.0, 0.0], list(got.column("clicks_1h")))
        self.assertEqual(1, got.counts["requests"]["not_used"]["shown_before_asked"])
        self.assertIn("clocks differ", printed)

    def test_of_what_happened_at_the_same_time_nothing_is_known_before_it(self):
        """Times of whole seconds: the click stands before its impression, and is its label, not its past."""
        got, _ = self.of_stream([event("click", 1000, ["b"]), event("impression", 1000, ["b", "a"]),
                                 event("click", 1000, ["a"]), later()])
        self.assertEqual([("b", 1.0, 0), ("a", 1.0, 1)], got.rows(got.requests[0][0]))
        self.assertEqual(([0.0, 0.0], [0]), (list(got.column("clicks_1h")), got.user_seen))

    def test_what_is_not_used_is_counted_by_reason(self):
        lines = [request("early", 0, ["a"]), event("impression", 1, ["a"], "early"),
                 request("shown", 1000, ["a"]), event("impression", 1001, ["a"], "shown"),
                 request("never", 1002, ["a"]), request("empty", 1003, []),
                 event("impression", 1004, ["b"]), later(),
                 request("open", 3_599_000, ["a"]), event("impression", 3_599_001, ["a"], "open")]
        got, printed = self.of_stream(lines, "--from", START + 500)
        self.assertEqual({"out_of_range": 1, "kind_not_asked_for": 0, "no_candidates": 1, "not_shown": 1,
                          "shown_before_asked": 0, "labels_not_complete": 1, "not_in_sample": 0},
                         got.counts["requests"]["not_used"])
        self.assertEqual((6, 2), (got.counts["requests"]["found"], got.counts["requests"]["used"]))
        self.assertIn("never shown", printed)
        self.assertIn("labels are not complete yet", printed)
        got, _ = self.of_stream(lines, "--from", START + 500, "--with-unshown", "--incomplete", "--only", "requests")
        self.assertEqual(["shown", "never", "open"], [r[0] for r in got.requests])
        got, _ = self.of_stream(lines, "--only", "impressions")
        self.assertEqual([("b", 0.0, 0)], got.rows(got.requests[0][0]))

    def test_a_sample_is_a_share_and_the_same_each_time(self):
        lines = [line for i in range(2000) for line in (request(f"r{i}", i, ["a"]),
                                                        event("impression", i, ["a"], f"r{i}"))] + [later()]
        some, _ = self.of_stream(lines, "--sample", "0.25")
        again, _ = self.of_stream(lines, "--sample", "0.25")
        more, _ = self.of_stream(lines, "--sample", "0.5")
        ids = [{r[0] for r in s.requests} for s in (some, again, more)]
        self.assertEqual(ids[0], ids[1])
        self.assertLess(ids[0], ids[2])
        self.assertTrue(400 < len(ids[0]) < 600, len(ids[0]))       # 500, five standard deviations around
        # What is left out is state all the same: each sees all clicks and impressions before it.
        number = int(some.requests[-1][0][1:])
        self.assertAlmostEqual(0.5 / (number + 1), float(some.column("ctr_1h")[-1]), places=6)

    def test_impressions_have_a_name_of_the_applications_own(self):
        got, _ = self.of_stream([request("r", 0, ["a", "b"]), event("view_list", 1, ["b", "a"], "r"),
                                 event("open", 2, ["a"]), later()], "--impression", "view_list", "--labels", "open")
        self.assertEqual([("a", 1.0, 1), ("b", 0.0, 0)], got.rows("r"))

    def test_segments_are_texts_and_booleans_as_they_were(self):
        got, _ = self.of_stream([
            {"user": {"id": "u", "timestamp": START, "attributes": {"tier": "gold", "age": 7, "new": True}}},
            {"user": {"id": "u", "timestamp": START + 50, "attributes": {"tier": "basic"}}},
            {"proposition": {"id": "a", "timestamp": START, "attributes": {"brand": "x", "long": "y" * 65}}},
            request("r", 0, ["a"], context={"device": "tv"}), event("impression", 1, ["a"], "r"),
            request("q", 100, ["a"]), event("impression", 101, ["a"], "q"), later()])
        self.assertEqual([{"context.device": "tv", "user.tier": "gold", "user.new": "true"}, {"user.tier": "basic"}],
                         got.segments)

    def test_attributes_that_are_known_from_later_only_are_told(self):
        """Of two propositions one has its only record behind the request."""
        lines = [{"proposition": {"id": id, "timestamp": START + at, "attributes": {}}}
                 for id, at in (("a", 0), ("b", 1))]
        got, printed = self.of_stream([*lines, request("r", 0, ["a", "b"]), event("impression", 1, ["a", "b"], "r"),
                                       later()])
        self.assertEqual({"first_known_behind_the_first_request": 1}, got.counts["attributes"])
        self.assertIn("1 users and propositions have their first record behind the first request", printed)

    def test_a_short_log_has_a_label_window_that_fits_it(self):
        """A tenth of 20 seconds; the click after three seconds is too late then."""
        lines = [request("r", 0, ["a", "b"]), event("impression", 0, ["a", "b"], "r"), event("click", 1500, ["a"], "r"),
                 event("click", 3000, ["b"], "r"), event("later", 20_000, [])]
        got, printed = self.of_stream(lines)
        self.assertEqual([("a", 1.0, 0), ("b", 0.0, 1)], got.rows("r"))
        self.assertEqual(2000, got.info["label_window_ms"])
        self.assertIn("a tenth of what the log spans", printed)
        run = self.run_backfill("--out", self.folder / "x", "--features", self.folder / "features.yaml", "--stream",
                                self.folder / "stream.jsonl", "--label-window", "30m")
        self.assertEqual(2, run.returncode)
        self.assertIn("1 whose label window is still open at the end of the log", run.stderr)


    def test_a_log_that_goes_on_long_after_the_range_completes_its_labels(self):
        """The next event is a day later: too late to be of use, but it says that nothing else happened."""
        lines = [request("r", 0, ["a", "b"]), event("impression", 0, ["a", "b"], "r"), event("click", 1, ["b"], "r"),
                 event("later", 86_400_000, [])]
        got, printed = self.of_stream(lines, "--to", START + 1)
        self.assertEqual([("a", 0.0, 0), ("b", 1.0, 1)], got.rows("r"))
        self.assertIn("after_range", printed)


class Refusals(Case):
    def test_what_makes_no_sense_is_refused_with_what_would(self):
        stream = self.write("s.jsonl", [later()])
        features = self.features()
        base = ["--out", self.folder / "set", "--features", features, "--stream", stream]
        for arguments, text in (
                (["--features", features, "--stream", stream], "give --out DIR"),
                ([*base, "--labels", "click=x"], "click=1,convert=5"),
                ([*base, "--labels", "impression"], "impression is no label"),
                ([*base, "--label-window", "soon"], "30s, 5m, 1h or 7d"),
                ([*base, "--sample", "0"], "a share above 0"),
                ([*base, "--only", "clicks"], "requests, impressions or both"),
                ([*base, "--from", "yesterday"], "2025-01-01T12:00:00Z"),
                ([*base, "--from", "2025"], "is it a year"),
                ([*base, "--to", "1740787200"], "or are they seconds"),
                ([*base[2:], "--out", self.folder], "holds other files"),
                ([*base[2:], "--out", stream], "Not a directory"),
                ([*base, "--from", "2025-01-02", "--to", "2025-01-01"], "--from is not before --to"),
                ([*base, "--events", stream], "--stream or --events"),
                ([*base, "--users", stream], "beside --events"),
                ([*base], "nothing to train on")):
            with self.subTest(arguments=arguments[6:]):
                self.assertFails(2, text, *arguments)

    def test_a_finished_set_is_not_touched(self):
        self.of_stream([request("r", 0, ["a"]), event("impression", 1, ["a"], "r"), later()])
        before = (self.folder / "set 1/set.json").read_bytes()
        self.assertFails(2, "is a finished set", "--out", self.folder / "set 1", "--features",
                         self.folder / "features.yaml", "--stream", self.folder / "stream.jsonl")
        self.assertEqual(before, (self.folder / "set 1/set.json").read_bytes())

    def test_the_journal_of_a_run_that_was_killed_at_its_very_end_is_removed(self):
        """Else a later set under the same name would be made of old records."""
        lines = [request("r", 0, ["a"]), event("impression", 1, ["a"], "r"), later()]
        _, printed = self.of_stream(lines, "--keep-journal")
        self.assertTrue((self.folder / "set 1.journal").exists())
        self.assertFails(2, "is a finished set", "--out", self.folder / "set 1", "--features",
                         self.folder / "features.yaml", "--stream", self.folder / "stream.jsonl")
        self.assertFalse((self.folder / "set 1.journal").exists())


# ---------------------------------------------------------------- logged vectors

class Logged(Case):
    def lines(self, **changes):
        """A request that was scored live, and what score.log has of it; columns in another order, one missing."""
        fingerprints = {f.name: f.fingerprint() for f in oracle.read_features(SIMPLE)}
        values = {"ctr_1h": [0.5, 0.5], "clicks_1h": [1.0, 1.0], **changes}
        scored = {"request_id": "r", "user_id": "u", "timestamp": START + 5000, "placement": "home",
                  "context": {"device": "tv"}, "model": "m", "version": 3, "variant": "champion", "degraded": None,
                  "share": 0.5, "features": list(values), "fingerprints": "".join(
                      map(chr, b"".join(bytes.fromhex(fingerprints[name.rpartition("_")[0]]) for name in values))),
                  "candidates": ["a", "b"], "vectors": "".join(
                      map(chr, np.array(list(values.values()), dtype="<f4").T.tobytes())),
                  "scores": [0.25, 0.75], "shown": [1, 0], "propensities": [1.0, 1.0]}
        return [event("click", 0, ["z"]), request("r", 5000, ["a", "b"]), {"scored": scored},
                event("impression", 7000, ["b", "a"], "r"), event("click", 7010, ["a"], "r"), later()]

    def test_what_was_scored_is_taken_with_all_that_is_known_of_it(self):
        got, printed = self.of_stream(self.lines())
        self.assertEqual([("a", 1.0, 1), ("b", 0.0, 0)], got.rows("r"))
        self.assertEqual(([1], [1.0]), (got.sources, got.shares))       # the others are there, too
        self.assertEqual([0.25, 0.75], list(got.scores))
        self.assertEqual([1.0, 1.0], list(got.propensities))
        self.assertEqual(1, got.counts["requests"]["used_logged"])
        columns = {c["name"]: c for c in got.counts["logged"]["columns"]}
        self.assertEqual((2, 0), (columns["clicks_1h"]["values"], columns["clicks_1h"]["different"]))
        self.assertEqual(2, columns["hour"]["not_logged"])
        self.assertNotIn("place", columns)
        self.assertIn("4 logged values with what was computed: none differ", printed)

    def test_a_value_of_the_users_own_that_differs_is_a_defect(self):
        got, printed = self.of_stream(self.lines(clicks_1h=[1.0, 2.0]), status=3)
        self.assertEqual([1.0, 2.0], list(got.column("clicks_1h")))             # what was scored is what is trained on
        self.assertIn("DEFECT", printed)
        self.assertEqual([{"request": "r", "proposition": "b", "column": "clicks_1h", "logged": 2, "replayed": 1}],
                         got.counts["logged"]["examples"])

    def test_what_happened_close_to_the_request_explains_a_difference(self):
        """Within a second nobody knows which came first; and a ranker that says it was behind need not be equal."""
        lines = self.lines(clicks_1h=[3.0, 3.0])
        for more in ([event("click", 4500, ["z"])], [event("click", 5900, ["z"])]):
            _, printed = self.of_stream(lines + more)
            self.assertIn("late or close", printed)
        lines[2]["scored"]["degraded"] = "stale_state"
        got, _ = self.of_stream(lines)
        columns = {c["name"]: c for c in got.counts["logged"]["columns"]}
        self.assertEqual((0, 2), (columns["clicks_1h"]["different"], columns["clicks_1h"]["event_came_late"]))

    def test_a_shared_value_that_differs_is_a_warning(self):
        lines = self.lines(ctr_1h=[0.5, 0.75])
        _, printed = self.of_stream(lines)
        self.assertIn("may lag", printed)
        self.of_stream(lines, "--strict", status=3)

    def test_a_logged_record_without_its_request_is_one(self):
        got, _ = self.of_stream([line for line in self.lines() if "request" not in line])
        self.assertEqual([("a", 1.0, 1), ("b", 0.0, 0)], got.rows("r"))
        self.assertEqual([{"context.device": "tv"}], got.segments)
        self.assertEqual([0.5], got.shares)                             # it stands for another that was not logged

    def test_a_logged_record_that_contradicts_itself_is_not_used(self):
        lines = self.lines()
        lines[2]["scored"]["vectors"] = "\x00" * 12
        got, printed = self.of_stream(lines)
        self.assertEqual(0, got.counts["requests"]["used_logged"])
        self.assertEqual([0], got.sources)
        self.assertEqual([1.0, 1.0], list(got.column("clicks_1h")))
        self.assertRegex(printed, r"left out +1 scored|do not fit together")


# ---------------------------------------------------------------- killed

class Killed(Case):
    def test_whoever_is_killed_at_any_point_goes_on_to_the_same_set(self):
        """kill -9 after a while that hangs on the seed, again and again, until a run comes to its end."""
        rng = random.Random(7)
        features, lines = streams.generate(3, "medium")
        options = ["--features", self.features(features), "--stream", self.write("stream.jsonl", lines),
                   "--with-unshown", "--incomplete", "--part-rows", "500"]
        started = time.monotonic()
        self.backfill(*options)
        whole_s = time.monotonic() - started
        kills = 0
        for number in range(4):
            directory = self.folder / f"killed {number}"
            kills += self.kill_until_done(["--out", directory, *options], whole_s, rng)
            assert_equal_sets(self, self.folder / "set 1", directory)
            self.assertFalse((self.folder / f"killed {number}.journal").exists())
        self.assertGreaterEqual(kills, 4)

    def kill_until_done(self, options, whole_s, rng):
        """How many runs were killed before one came to its end. The later it starts, the longer it may take."""
        for attempt in range(200):
            run = subprocess.Popen([FLOTILLA, "backfill", *map(str, options)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, encoding="utf-8", env=ENVIRONMENT)
            try:
                said = run.communicate(timeout=rng.uniform(0.02, 0.4) * whole_s * (1 + attempt / 10))
            except subprocess.TimeoutExpired:
                run.send_signal(signal.SIGKILL)
                run.communicate()
                continue
            # A run that was killed behind its last word has finished the set.
            if run.returncode != 2 or "is a finished set" not in said[1]:
                self.assertEqual(0, run.returncode, said)
            return attempt
        raise AssertionError("no run came to its end")

    def test_who_is_asked_to_stop_says_how_to_go_on(self):
        features, lines = streams.generate(3, "medium")
        command = [FLOTILLA, "backfill", "--out", self.folder / "set", "--features", self.features(features),
                   "--stream", "-"]
        run = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               encoding="utf-8", env=ENVIRONMENT)
        run.stdin.write("\n".join(json.dumps(line) for line in lines[:100]) + "\n")
        run.stdin.flush()
        time.sleep(0.3)
        run.send_signal(signal.SIGTERM)
        out, said = run.communicate(timeout=RUN_LIMIT_S)
        self.assertEqual((1, ""), (run.returncode, out))
        self.assertIn("stopped while reading; the same command begins anew", said)


if __name__ == "__main__":
    unittest.main()
