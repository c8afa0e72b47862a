"""The worker `features` on a real Kafka: every value equals the oracle's, whatever happens to the workers.

More streams than usual: STREAM_SEEDS=100-120. A random test prints its SEED; with it, it does the same again.
"""
import json
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import avro  # noqa: E402
import fleet as fleets  # noqa: E402
import streams  # noqa: E402
from fleet import Expected, Fleet, assert_equal_values, attributes_first, wait_until  # noqa: E402

RANKLENS = Path(os.environ.get("SHARED_DIR", ROOT.parent / "shared")) / "data/ranklens/events.jsonl.gz"
DAY_MS = 86_400_000


def click(number, user, proposition, timestamp, name="click", **more):
    """A line of a stream, with the Kafka timestamp of its event."""
    event = {"event_id": f"e{number}", "event": name, "user_id": user, "timestamp": timestamp,
             "propositions": [proposition], **more}
    return {"event": event, "kafka_timestamp": timestamp}


def publish(test, features, lines):
    """The fleet after two new workers have taken in the stream."""
    fleet = Fleet(test, features).create_topics()
    fleet.send_entities(lines)
    fleet.start_two()
    fleet.send("events", [line for line in lines if "event" in line])
    fleet.settle()
    return fleet


# ---------------------------------------------------------------- streams of every kind

def chosen_seeds():
    """Of streams that Kafka can hold. 6 and 14 (in 2047) have no bursts, 9 and 36 (in 2057) evict users' keys."""
    asked = os.environ.get("STREAM_SEEDS")
    if not asked:
        return 6, 9, 14, 36
    first, _, last = asked.partition("-")
    return range(int(first), int(last or first) + 1)


class Streams(unittest.TestCase):
    def test_values_after_generated_streams_equal_the_oracles(self):
        for seed in chosen_seeds():
            features, lines = streams.generate(seed, "small")
            lines = attributes_first(lines)
            if not fleets.is_after_1970(lines):
                continue
            with self.subTest(seed=seed):
                expected = Expected(features, lines)
                fleet = publish(self, features, lines)
                assert_equal_values(self, expected, fleet.published(), exclude=expected.global_priors())
                for worker in fleet.running():
                    worker.stop()

    def test_a_global_prior_that_is_published_after_everything_else_is_that_of_the_oracle(self):
        rng = fleets.seeded(self, 11)
        rate = "rate: {of: click, per: impression, windows: [1h, 30d], weight: 5, prior: global}"
        count = "count: {event: touch, windows: [1h]}"
        scopes = ("user", "proposition", "proposition*context.device", "user*proposition")
        features = "features:\n" + "".join(
            f"  - {{name: f{i}_{kind[:4]}, scope: {scope}, {kind}}}\n"
            for i, scope in enumerate(scopes) for kind in (rate, count))
        start = 1_700_000_000_000
        lines = [click(i, f"u{rng.randrange(6)}", f"p{rng.randrange(5)}", start + i * 1000,
                       rng.choice(["click", "impression"]), context={"device": rng.choice(["tv", "mobile"])})
                 for i in range(600)]
        fleet = publish(self, features, lines)
        touched = [click(f"touch-{u}-{p}-{d}", f"u{u}", f"p{p}", start + 600_000, "touch", context={"device": d})
                   for u in range(6) for p in range(5) for d in ("tv", "mobile")]
        fleet.send("events", touched)
        fleet.settle()
        assert_equal_values(self, Expected(features, lines + touched), fleet.published())

    @unittest.skipUnless(RANKLENS.exists(), f"RankLens is not there: {RANKLENS}")
    def test_values_after_all_of_ranklens_equal_the_oracles(self):
        converted = subprocess.run([sys.executable, ROOT / "tests/oracle/ranklens_to_stream.py", RANKLENS],
                                   capture_output=True, encoding="utf-8", check=True).stdout
        lines = [json.loads(line) for line in converted.splitlines() if not line.startswith('{"request"')]
        lines = attributes_first(lines)
        features = (ROOT / "tests/oracle/features.ranklens.yaml").read_text(encoding="utf-8")
        fleet = publish(self, features, lines)
        expected = Expected(features, lines)
        assert_equal_values(self, expected, fleet.published(), exclude=expected.global_priors())


# ---------------------------------------------------------------- workers that come and go

class Chaos:
    """What happens to the workers of a fleet while events are sent, by a seeded schedule."""

    def __init__(self, test, fleet, seed, instances):
        self.rng = fleets.seeded(test, seed)
        self.fleet = fleet
        self.instances = instances          # names of static members, or none
        self.copies = {}                    # instance, or a number -> worker
        self.began = time.monotonic()

    def start(self):
        free = [i for i in self.instances if i not in self.copies] if self.instances else [len(self.fleet.workers)]
        if not free:
            return
        name = self.rng.choice(free)
        settings = {"instance": name} if self.instances else {}
        self.copies[name] = self.fleet.start("features", ready=False, **settings)
        self.say("start", name)

    def end(self, how):
        """kill or stop."""
        name = self.rng.choice(sorted(self.copies))
        self.say(how, name)
        getattr(self.copies.pop(name), how)()

    def say(self, what, name):
        print(f"{time.monotonic() - self.began:6.2f} s  {what} {name}")

    def step(self):
        """Mostly, who was killed comes back at once; one to three copies stay."""
        action = self.rng.choices(["kill", "stop", "start", "again"], weights=[3, 2, 3, 3])[0]
        if action == "start" and len(self.copies) < 3:
            self.start()
        elif action in ("kill", "stop") and len(self.copies) > 1:
            self.end(action)
        else:
            self.end("kill")
            self.start()

    def feed(self, lines, steps):
        """Sends the events, a part before each step."""
        sender = subprocess.Popen([fleets.BIN / "flotilla", "send", "events", "-", *self.fleet.options()],
                                  stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  encoding="utf-8", env=fleets.environment())
        part = -(-len(lines) // steps)
        for i in range(0, len(lines), part):
            for line in lines[i:i + part]:
                sender.stdin.write(json.dumps(line) + "\n")
            sender.stdin.flush()
            time.sleep(self.rng.uniform(0.1, 1.2))
            self.step()
        _, problems = sender.communicate(timeout=60)
        if sender.returncode != 0:
            raise AssertionError(f"flotilla send: {problems}")


class Workers(unittest.TestCase):
    def chaos(self, seed, stream_seed, instances, recorder_dies=False):
        features, lines = streams.generate(stream_seed, "small")
        lines = attributes_first(lines)
        expected = Expected(features, lines)
        fleet = Fleet(self, features).create_topics().migrate()
        fleet.send_entities(lines)
        fleet.start("recorder")
        chaos = Chaos(self, fleet, seed, instances)
        chaos.start()
        chaos.start()
        chaos.feed([line for line in lines if "event" in line], steps=14)
        for worker in fleet.running():
            worker.wait_ready()
        fleet.settle()
        published = fleet.published()
        assert_equal_values(self, expected, published, exclude=expected.global_priors())
        wait_until(lambda: fleets.by_key(fleet.recorded()) == fleets.by_key(published),
                   "PostgreSQL does not have what is published", 30)

    def test_killed_workers_with_names_of_their_own_change_no_value(self):
        self.chaos(seed=1, stream_seed=19, instances=("a", "b", "c", "d"))

    def test_killed_workers_without_names_change_no_value(self):
        self.chaos(seed=2, stream_seed=17, instances=())

    def test_a_worker_that_is_killed_while_it_restores_changes_no_value(self):
        features, lines = streams.generate(12, "small")
        lines = attributes_first(lines)
        expected = Expected(features, lines)
        fleet = Fleet(self, features, checkpoint_interval_ms=60_000).create_topics()
        fleet.send_stream(lines)
        rng = fleets.seeded(self, 3)
        for _ in range(6):
            worker = fleet.start("features", ready=False, instance="only")
            time.sleep(rng.uniform(0.05, 0.8))
            worker.kill()
        fleet.start("features", instance="only")
        fleet.settle()
        assert_equal_values(self, expected, fleet.published(), exclude=expected.global_priors())

    def test_all_workers_killed_at_once_and_restarted_go_on_where_they_were(self):
        features, lines = streams.generate(18, "small")
        lines = attributes_first(lines)
        expected = Expected(features, lines)
        fleet = Fleet(self, features).create_topics()
        fleet.send_entities(lines)
        events = [line for line in lines if "event" in line]
        for part in range(3):
            workers = [fleet.start("features", ready=False, instance=f"w{i}") for i in range(2)]
            for worker in workers:
                worker.wait_ready()
            fleet.send("events", events[len(events) * part // 3:len(events) * (part + 1) // 3])
            if part == 2:
                break
            for worker in workers:
                worker.kill()
        fleet.settle()
        assert_equal_values(self, expected, fleet.published(), exclude=expected.global_priors())

    def test_sigterm_loses_nothing_that_was_handled_and_a_successor_needs_no_time(self):
        features, lines = streams.generate(21, "small")
        lines = attributes_first(lines)
        expected = Expected(features, lines)
        fleet = Fleet(self, features).create_topics()
        fleet.send_entities(lines)
        events = [line for line in lines if "event" in line]
        for start in range(0, len(events), -(-len(events) // 3)):
            worker = fleet.start("features")
            fleet.send("events", events[start:start + -(-len(events) // 3)])
            worker.stop()
        fleet.start("features")
        fleet.settle()
        assert_equal_values(self, expected, fleet.published(), exclude=expected.global_priors())


# ---------------------------------------------------------------- records that are no good

CLICKS = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [365d]}}
  - {name: prop_clicks, scope: proposition, count: {event: click, windows: [365d]}}
  - {name: genre_clicks, scope: proposition.genre, count: {event: click, windows: [365d]}}
  - {name: tier_clicks, scope: user.tier, count: {event: click, windows: [365d]}}
"""


def as_json(record):
    return json.dumps(record).encode()


def event_json(number, timestamp, **other):
    return as_json({"event_id": f"hostile{number}", "event": "click", "user_id": "u", "timestamp": timestamp,
                    "propositions": ["p"], **other})


def hostile_events(now):
    """(why it is none, the reason in the dead letter, bytes)"""
    good = avro.event("x", "click", "u", now, ["p"])
    return [
        ("nothing that is known", "undecodable", b"\xff\xfe\x00\x01 what is this"),
        ("one byte", "undecodable", b"\xc3"),
        ("an Avro header without a body", "undecodable", avro.header("event")),
        ("an Avro record cut in its middle", "undecodable", avro.header("event") + good[:len(good) // 2]),
        ("an Avro record with bytes behind it", "undecodable", avro.header("event") + good + b"\x00"),
        ("a text of 4 EiB", "undecodable", avro.header("event") + b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 8),
        ("a text of negative length", "undecodable", avro.header("event") + avro.long(-5) + good),
        ("a number of eleven bytes", "undecodable", avro.header("event") + b"\xff" * 10 + b"\x01"),
        ("a list of 2^40 texts", "undecodable", avro.header("event") + avro.text("x") + avro.text("click")
         + avro.text("u") + avro.long(now) + avro.long(1 << 40)),
        ("a text that is not UTF-8", "undecodable", avro.header("event") + avro.event(b"\xff\xfe", "click", "u", now)),
        ("a schema nobody knows", "unknown_schema", b"\xc3\x01" + b"\x01\x02\x03\x04\x05\x06\x07\x08" + good),
        ("half an object of JSON", "undecodable", b'{"event_id": "x", "event": '),
        ("JSON, too deep", "too_large", b'{"a":' * 50_000),
        ("JSON without a field that must be given", "schema_mismatch", as_json({"event_id": "x", "event": "click"})),
        ("JSON with a text for a number", "schema_mismatch", event_json(1, "now")),
        ("JSON with a text for a list", "schema_mismatch", event_json(2, now, propositions="p")),
        ("an event of tomorrow", "future_timestamp", event_json(3, now + DAY_MS)),
        ("a time that is none", "invalid_value", event_json(4, 2**63 - 1)),
        ("another user than the key says", "invalid_value", event_json(5, now, user_id="v")),
    ]


class HostileRecords(unittest.TestCase):
    def fleet_with_two_workers(self):
        fleet = Fleet(self, CLICKS).create_topics()
        fleet.send("propositions", [{"id": "p", "timestamp": 1, "attributes": {"genre": "drama"}}])
        fleet.send("users", [{"id": "u", "timestamp": 1, "attributes": {"tier": "gold"}}])
        return fleet

    def assertDead(self, fleet, topic, wanted):
        """The dead letters of a topic are those wanted, (why, reason, bytes), each exactly once."""
        letters = [d for d in fleet.dead_letters() if d["topic"] == fleet.topic(topic)]
        named = {value: why for why, _, value in wanted}
        got = [(named.get(fleets.bytes_of(d["value"]), d["value"]), d["reason"]) for d in letters]
        self.maxDiff = 10_000
        self.assertEqual(sorted((why, reason) for why, reason, _ in wanted), sorted(got))
        places = [(d["partition"], d["offset"]) for d in letters]
        self.assertEqual(len(set(places)), len(places))
        for letter in letters:
            self.assertEqual("features", letter["worker"])
            self.assertTrue(letter["detail"], letter)

    def assertValue(self, fleet, scope, key, name, value):
        values = {(r["scope"], *r["key"]): r["values"] for r in fleet.published()}
        self.assertEqual(value, values.get((scope, *key), {}).get(name), f"{name} of {scope} {key}")

    def test_hostile_events_are_dead_letters_once_each_and_stop_nothing(self):
        fleet = self.fleet_with_two_workers()
        now = int(time.time() * 1000)
        wanted = hostile_events(now)
        messages = []
        for number, (_, _, value) in enumerate(wanted):
            messages += [("u", event_json(f"good{number}", now)), ("u", value)]
        messages.append(("u", avro.header("event") + avro.event("last", "click", "u", now, ["p"])))
        fleet.start_two()
        fleet.produce("events", messages)
        fleet.settle()
        self.assertDead(fleet, "events", wanted)
        good = len(wanted) + 1
        for scope, key, name in (("user", "u", "clicks_365d"), ("proposition", "p", "prop_clicks_365d"),
                                 ("proposition.genre", "drama", "genre_clicks_365d"),
                                 ("user.tier", "gold", "tier_clicks_365d")):
            self.assertValue(fleet, scope, [key], name, good)

    def test_an_event_without_a_key_is_a_dead_letter_with_that_reason(self):
        fleet = self.fleet_with_two_workers()
        now = int(time.time() * 1000)
        fleet.start_two()
        lost = event_json("lost", now)
        fleet.produce("events", [("u", event_json("a", now)), (None, lost), ("u", event_json("b", now))])
        fleet.settle()
        self.assertDead(fleet, "events", [("no key", "missing_key", lost)])
        self.assertValue(fleet, "user", ["u"], "clicks_365d", 2)

    def test_an_event_is_of_the_future_a_millisecond_after_the_allowed_skew_and_not_before(self):
        fleet = self.fleet_with_two_workers()
        fleet.start_two()
        kafka = 1_700_000_000_000
        fleet.send("events", [
            {"event": {"event_id": f"e{ahead}", "event": "click", "user_id": "u", "timestamp": kafka + ahead},
             "kafka_timestamp": kafka} for ahead in (0, 300_000, 300_001, 400_000)])
        fleet.settle()
        letters = fleet.dead_letters()
        self.assertEqual(["future_timestamp"] * 2, [d["reason"] for d in letters])
        self.assertEqual([kafka] * 2, [d["timestamp"] for d in letters])
        self.assertValue(fleet, "user", ["u"], "clicks_365d", 2)

    def test_hostile_attributes_are_dead_letters_once_though_every_copy_reads_them(self):
        fleet = self.fleet_with_two_workers()
        wanted = [("nothing that is known", "undecodable", b"\xff\xfe"),
                  ("a schema nobody knows", "unknown_schema", b"\xc3\x01" + b"\x08" * 8),
                  ("no attributes of this kind", "schema_mismatch",
                   as_json({"id": "q", "timestamp": 2, "attributes": {"genre": {"a": {}}}})),
                  ("no time", "schema_mismatch", as_json({"id": "q"}))]
        messages = [("q", value) for _, _, value in wanted]
        fleet.produce("propositions", messages[:2])
        fleet.produce("users", messages[:2])
        fleet.start_two()
        fleet.produce("propositions", messages[2:])
        fleet.produce("users", messages[2:])
        fleet.send("propositions", [{"id": "q", "timestamp": 2, "attributes": {"genre": "noir"}}])
        wait_until(lambda: len(fleet.dead_letters()) >= 8, lambda: f"dead letters: {fleet.dead_letters()}", 30)
        fleet.workers[0].kill()
        fleet.start("features")
        fleet.send("events", [click(1, "u", "q", 1_700_000_000_000)])
        fleet.settle()
        self.assertDead(fleet, "propositions", wanted)
        self.assertDead(fleet, "users", wanted)
        self.assertValue(fleet, "proposition.genre", ["noir"], "genre_clicks_365d", 1)

    def test_hostile_deltas_are_dead_letters_once_each_and_stop_nothing(self):
        fleet = self.fleet_with_two_workers()
        fleet.start_two()
        fleet.send("events", [click(1, "u", "p", 1_700_000_000_000)])
        fleet.settle()
        wanted = [("nothing that is known", "undecodable", b"\xff\xfe"),
                  ("a schema nobody knows", "unknown_schema", b"\xc3\x01" + b"\x08" * 8),
                  ("half a delta", "undecodable", avro.header("feature_delta") + avro.text(b"12345678")),
                  ("a text for bytes", "schema_mismatch", as_json({"fingerprints": 1, "cell": ""}))]
        for partition in range(4):
            fleet.produce("feature.deltas", [("p", wanted[partition][2])], partition=partition)
        fleet.send("events", [click(2, "u", "p", 1_700_000_000_001)])
        fleet.settle()
        self.assertDead(fleet, "feature.deltas", wanted)
        self.assertValue(fleet, "proposition", ["p"], "prop_clicks_365d", 2)

    def test_dead_letters_are_not_repeated_when_the_worker_is_killed_and_restores(self):
        fleet = self.fleet_with_two_workers()
        now = int(time.time() * 1000)
        wanted = hostile_events(now)
        for part in range(3):
            worker = fleet.start("features", instance="only")
            fleet.produce("events", [("u", value) for _, _, value in wanted[part::3]])
            if part < 2:
                worker.kill()
        fleet.settle()
        self.assertDead(fleet, "events", wanted)


# ---------------------------------------------------------------- partitions, definitions, attributes

class Start(unittest.TestCase):
    def refusal(self, fleet, **settings):
        """What a worker says that ends by itself."""
        worker = fleet.start("features", ready=False, **settings)
        self.assertNotEqual(0, worker.wait_end(60))
        return worker.text()

    def test_topics_that_are_not_partitioned_alike_are_refused_by_name_and_number(self):
        fleet = Fleet(self, CLICKS).create_topics()
        for topic, partner in (("events", "state.user"), ("feature.deltas", "state.shared")):
            with self.subTest(topic):
                fleet.stack.kafka_tool("org.apache.kafka.tools.TopicCommand", "--create", "--partitions", "3",
                                       "--topic", fleet.topic(f"other.{topic}"))
                said = self.refusal(fleet, **{f"topics.{topic}": f"other.{topic}"})
                for part in (fleet.topic(f"other.{topic}"), fleet.topic(partner), "3", "4"):
                    self.assertIn(part, said)

    def test_topics_that_are_not_there_are_refused_with_the_command_that_makes_them(self):
        self.assertIn("flotilla topics create", self.refusal(Fleet(self, CLICKS)))

    def test_definitions_that_are_wrong_are_refused_with_their_line(self):
        fleet = Fleet(self, CLICKS.replace("count", "cuont", 1)).create_topics()
        worker = fleet.start("features", ready=False)
        self.assertEqual(2, worker.wait_end(30))
        self.assertRegex(worker.text(), r"\.yaml:3\b.*cuont")


class Definitions(unittest.TestCase):
    BEFORE = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [30d]}}
  - {name: spend, scope: user, sum: {event: convert, windows: [30d]}}
  - {name: prop_clicks, scope: proposition, count: {event: click, windows: [30d]}}
  - {name: prop_spend, scope: proposition, sum: {event: convert, windows: [30d]}}
"""
    AFTER = """
features:
  - {name: prop_converts, scope: proposition, count: {event: convert, windows: [30d]}}
  - {name: prop_clicks, scope: proposition, count: {event: click, windows: [30d]}}
  - {name: converts, scope: user, count: {event: convert, windows: [30d]}}
  - {name: clicks, scope: user, count: {event: click, windows: [30d]}}
  - {name: pairs, scope: user*proposition, count: {event: click, windows: [30d]}}
"""
    KEPT = ("clicks_30d", "prop_clicks_30d")

    def events(self, first, start):
        """Three users, three propositions: each pair clicks and converts."""
        return [click(f"{first}-{u}-{p}-{name}", f"u{u}", f"p{p}", start, name, value=2.5)
                for u in range(3) for p in range(3) for name in ("click", "convert")]

    def change(self, end):
        """Values before and after new definitions, the workers ended in this way in between."""
        start = 1_700_000_000_000
        old, new = self.events("old", start), self.events("new", start + 1000)
        fleet = publish(self, self.BEFORE, old)
        assert_equal_values(self, Expected(self.BEFORE, old), fleet.published())
        for worker in fleet.running():
            getattr(worker, end)()
        fleet.define(self.AFTER)
        fleet.start_two()
        fleet.send("events", new)
        fleet.settle()
        got = fleet.published()
        all_events, since = Expected(self.AFTER, old + new), Expected(self.AFTER, new)
        added = [name for _, name, _ in (o for f in since.features for o in f.outputs()) if name not in self.KEPT]
        assert_equal_values(self, all_events, got, exclude=added)
        assert_equal_values(self, since, got, exclude=self.KEPT)

    def test_after_a_stop_known_features_keep_their_values_and_new_ones_start_from_zero(self):
        self.change("stop")

    def test_after_a_kill_known_features_keep_their_values_and_new_ones_start_from_zero(self):
        self.change("kill")


class Attributes(unittest.TestCase):
    START = 1_700_000_000_000

    def setUp(self):
        self.fleet = Fleet(self, CLICKS).create_topics()
        self.sent = 0

    def probe(self):
        """One more click of u on p, taken in; {genre: clicks}"""
        self.sent += 1
        self.fleet.send("events", [click(self.sent, "u", "p", self.START + self.sent)])
        wait_until(lambda: self.counts("proposition").get("p") == self.sent, "the click is not counted", 30)
        self.fleet.settle()                         # the genre's count may be another worker's to publish
        return self.counts("proposition.genre")

    def counts(self, scope):
        return {r["key"][0]: next(iter(r["values"].values())) for r in self.fleet.published() if r["scope"] == scope}

    def probe_until(self, condition):
        """Attributes come through another topic than events: clicks until they are known. Every click counts once."""
        def is_known():
            genres = self.probe()
            return [genres] if condition(genres) else None
        return wait_until(is_known, "the new attributes are not taken in", 30)[0]

    def genre(self, genre, timestamp):
        self.fleet.send("propositions", [{"id": "p", "timestamp": timestamp, "attributes": {"genre": genre}}])

    def test_attributes_that_change_count_from_then_on_and_are_gone_after_a_tombstone(self):
        self.genre("drama", 10)
        self.fleet.start_two()
        self.assertEqual({"drama": 1}, self.probe())
        self.genre("noir", 20)
        genres = self.probe_until(lambda g: "noir" in g)
        self.assertEqual(self.sent, sum(genres.values()))
        before = self.probe()
        self.assertEqual(genres["drama"], before["drama"])
        self.fleet.produce_tombstone("propositions", "p")
        after = self.probe_until(lambda g: sum(g.values()) < self.sent)
        self.assertEqual(after, self.probe())
        self.genre("comedy", 5)                     # what was removed has no timestamp any more
        self.probe_until(lambda g: "comedy" in g)

    def test_an_older_record_does_not_replace_a_newer_one(self):
        self.genre("drama", 10)
        self.genre("noir", 9)
        self.fleet.start_two()
        self.assertEqual({"drama": 1}, self.probe())

    def test_users_attributes_live_likewise(self):
        self.fleet.send("users", [{"id": "u", "timestamp": 1, "attributes": {"tier": "gold"}}])
        self.fleet.start("features")
        self.probe()
        self.assertEqual({"gold": 1}, self.counts("user.tier"))
        self.fleet.produce_tombstone("users", "u")
        self.probe_until(lambda _: sum(self.counts("user.tier").values()) < self.sent)


if __name__ == "__main__":
    unittest.main()
