"""The journal that a backfill reads, made of a real Kafka's topics through journal_probe.c: what is in it, and in which
order, held against a plain sort of what was produced.

A random test prints its SEED; with it, it does the same again.
"""
import json
import os
import struct
import subprocess
import sys
import unittest
from collections import Counter, defaultdict, deque
from pathlib import Path

from confluent_kafka import Producer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import avro  # noqa: E402
from clients import CODECS, EVENT, serialized  # noqa: E402
from fleet import Fleet, seeded, wait_until  # noqa: E402
from kafka_admin import KafkaAdmin  # noqa: E402
from registry import RegistryStandIn  # noqa: E402

PROBE = Path(os.environ.get("UNIT_DIR", ROOT / "build/tests")).resolve() / "journal_probe"
FLUSH_LIMIT_S = 60
RUN_LIMIT_S = 120
PARTITIONS = 3
MAX_CLOCK_SKEW_MS = 300_000
RECENT_EVENT_IDS = 64
START_MS = 1_700_000_000_000
WINDOW_MS = 60_000
TO_MS = START_MS + 500_000
MEMORY_BYTES = 8192             # many runs
BEGINNING = -10**18
CLASSES = {"users": 0, "propositions": 0, "requests": 1, "scored": 2, "events": 3}
KINDS = {"users": "users", "propositions": "propositions", "events": "events", "rank.requests": "requests",
         "score.log": "scored"}


class Log:
    """What is produced, partition by partition: {(topic, partition): [(key, value, kafka_ms, what)]}, in order of
    offsets. what: the record as it is to come back, None for a tombstone, or a text: why it is left out."""

    def __init__(self, rng):
        self.rng = rng
        self.partitions = defaultdict(list)

    def add(self, topic, partition, key, value, kafka_ms, what):
        self.partitions[topic, partition].append((key, value, kafka_ms, what))

    def produce(self, fleet):
        for number, ((topic, partition), records) in enumerate(sorted(self.partitions.items())):
            producer = Producer({"bootstrap.servers": fleet.stack.brokers, "max.in.flight": 1,
                                 "compression.type": CODECS[number % len(CODECS)], "linger.ms": 20})
            for key, value, kafka_ms, _ in records:
                producer.produce(fleet.topic(topic), value, key, partition=partition, timestamp=kafka_ms)
            if producer.flush(FLUSH_LIMIT_S):
                raise RuntimeError("records are not acknowledged")


def event(rng, number, user):
    return {"event_id": f"e{number}", "event": rng.choice(["impression", "click"]), "user_id": user,
            "timestamp": START_MS + rng.randrange(0, 600_000, 1000),
            "propositions": [f"p{rng.randrange(9)}" for _ in range(rng.randrange(4))], "request_id": None,
            "value": None, "context": {}}


def single_object(e):
    return avro.header("event") + avro.event(e["event_id"], e["event"], e["user_id"], e["timestamp"],
                                             e["propositions"])


def add_events(log, rng, count):
    for number in range(count):
        user = f"u{rng.randrange(12)}"
        partition = int(user[1:]) % PARTITIONS
        e = event(rng, number, user)
        kafka_ms = e["timestamp"] + rng.randrange(-2000, 5000)
        key, value, what = user, json.dumps(e).encode() if rng.random() < 0.5 else single_object(e), e
        fate = rng.random()
        earlier = [r[3] for r in log.partitions["events", partition][-80:] if isinstance(r[3], dict)]
        if fate < 0.1 and earlier:
            again = rng.choice(earlier)
            key, what = again["user_id"], {**again, "timestamp": e["timestamp"]}
            value = single_object(what)
        elif fate < 0.12:
            value, what = rng.choice([(b"\xc3\x01cut", "undecodable"), (b"\xc3\x01garbage!..", "unknown_schema")])
        elif fate < 0.14:
            value, what = b"{\"event\": 5}", "schema_mismatch"
        elif fate < 0.16:
            key, what = "somebody else", "invalid_value"
        elif fate < 0.18:
            key, what = None, "missing_key"
        elif fate < 0.2:
            kafka_ms = e["timestamp"] - MAX_CLOCK_SKEW_MS - 1
            what = "future_timestamp"
        log.add("events", partition, key, value, kafka_ms, what)


def add_requests(log, rng, count):
    for number in range(count):
        q = {"request_id": f"r{number}", "user_id": f"u{rng.randrange(12)}",
             "timestamp": START_MS + rng.randrange(0, 600_000, 1000), "placement": "home", "candidates": ["p1", "p2"],
             "limit": 10, "deadline": None, "context": {"device": "tv"}, "explain": False}
        log.add("rank.requests", number % PARTITIONS, q["user_id"], json.dumps(q).encode(), q["timestamp"] + 5, q)
        if number % 3:
            continue
        s = {"request_id": q["request_id"], "user_id": q["user_id"], "timestamp": q["timestamp"], "placement": "home",
             "context": q["context"], "model": "shop", "version": 3, "variant": "champion", "degraded": None,
             "share": 0.5, "features": ["a", "b"], "fingerprints": "12345678abcdefgh", "candidates": ["p1", "p2"],
             "vectors": struct.pack("<4f", 1, 2, 3, float("nan")).decode("latin-1"), "scores": [0.25, 0.5],
             "shown": [1, 0], "propensities": [1, 0.5], "shadows": [], "explored_share": 0.1, "temperature": 0.5,
             "diverse": False, "utilities": [0.25, 0.5]}
        log.add("score.log", number % PARTITIONS, s["request_id"], json.dumps(s).encode(), s["timestamp"] + 9, s)


def add_entities(log, rng, topic, count):
    for number in range(count):
        kafka_ms = START_MS + number * 10_000
        x = {"id": f"{topic[0]}{rng.randrange(6)}", "timestamp": START_MS + rng.randrange(0, 600_000, 1000),
             "active": True, "valid_from": None, "valid_until": None,
             "attributes": {"n": number, "tags": ["x", "y"], "ok": True, "name": None}}
        tombstone = rng.random() < 0.15
        log.add(topic, int(x["id"][1:]) % PARTITIONS, x["id"], None if tombstone else json.dumps(x).encode(), kafka_ms,
                None if tombstone else x)


# ---------------------------------------------------------------- what is expected

class Arrived:
    """A record with its place: (time, class, the newest Kafka timestamp of its partition so far, partition, offset);
    users before propositions where all of that is the same."""

    def __init__(self, topic, partition, offset, newest_ms, record, removed=False):
        self.kind = KINDS[topic]
        self.arrival = (newest_ms, partition, offset)
        self.record, self.removed, self.time = record, removed, None

    def place(self):
        return (self.time, CLASSES[self.kind], *self.arrival, list(CLASSES).index(self.kind))


def in_order_of_arrival(log):
    """(Arrived, key, kafka_ms, what) of each partition, one after the other."""
    for (topic, partition), records in sorted(log.partitions.items()):
        newest_ms = BEGINNING
        for offset, (key, _, kafka_ms, what) in enumerate(records):
            newest_ms = max(newest_ms, kafka_ms)
            yield Arrived(topic, partition, offset, newest_ms, what), key, kafka_ms, what


def entity_times(history):
    """Times of one entity's records, in order of arrival: the rules of journal_entities.h, with all of them at hand."""
    since, kept, segment = BEGINNING, [], []

    def end():
        if not segment:
            return
        oldest = min(x.record["timestamp"] for x in segment)
        first = [x for x in segment if x.record["timestamp"] == oldest][-1]
        for x in segment:
            if x.record["timestamp"] == oldest and x is not first:
                continue
            x.time = max(since, BEGINNING if x is first and since == BEGINNING else x.record["timestamp"])
            kept.append(x)

    for x, kafka_ms in history:
        if not x.removed:
            segment.append(x)
            continue
        end()
        x.time = max([kafka_ms] + [y.time for y in kept])
        kept.append(x)
        since, segment = x.time, []
    end()
    return kept


def expected(log, to_ms=TO_MS):
    """(entries in order, counts of what is left out)."""
    entries, left_out = [], Counter()
    recent = defaultdict(lambda: deque(maxlen=RECENT_EVENT_IDS))
    histories = defaultdict(list)
    for x, key, kafka_ms, what in in_order_of_arrival(log):
        if isinstance(what, str):
            left_out[x.kind, what] += 1
        elif CLASSES[x.kind] == 0:
            x.removed = what is None
            histories[x.kind, key].append((x, kafka_ms))
        elif x.kind == "events":
            x.time = min(what["timestamp"], kafka_ms)
            ids = recent[what["user_id"]]
            if what["event_id"] in ids:
                left_out["events", "repeated_event_id"] += 1
                continue
            ids.append(what["event_id"])
            if x.time >= to_ms + 2 * WINDOW_MS:
                left_out["events", "after_range"] += 1
            else:
                entries.append(x)
        else:
            x.time = what["timestamp"]
            if x.time >= to_ms:
                left_out[x.kind, "after_range"] += 1
            else:
                entries.append(x)
    for (_, key), history in histories.items():
        for x in entity_times(history):
            x.record = x.record or {"id": key}
            entries.append(x)
    return sorted(entries, key=Arrived.place), left_out


def comparable(kind, time, removed, record):
    """Tombstones have nothing but the id; accepted events have ids of their own."""
    if removed:
        record = {"id": record["id"]}
    return kind, None if time in (None, BEGINNING) else time, removed, {
        name: value for name, value in record.items() if name != "event_id"}


# ---------------------------------------------------------------- the tests

class Journal(unittest.TestCase):
    def fleet(self, **settings):
        return Fleet(self, partitions=PARTITIONS, **settings).create_topics()

    @staticmethod
    def command(fleet, name, to_ms):
        settings = [f"{setting}={value}" for setting, value in fleet.settings.items()]
        return [PROBE, fleet.folder / name, str(MEMORY_BYTES), str(to_ms), str(WINDOW_MS), *settings]

    def probe(self, fleet, name="journal", to_ms=TO_MS, status=0):
        """(entries, what the last line says), or what it says on standard error."""
        run = subprocess.run(self.command(fleet, name, to_ms), capture_output=True, encoding="utf-8",
                             timeout=RUN_LIMIT_S)
        self.assertEqual(status, run.returncode, run.stderr)
        if status:
            return run.stderr
        *entries, last = [json.loads(line) for line in run.stdout.splitlines()]
        return entries, last

    def left_out(self, last):
        return Counter({(x["kind"], x["reason"]): x["count"] for x in last["counts"]["left_out"]})

    def assert_journal(self, log, entries, last):
        want, left_out = expected(log)
        self.assertEqual(left_out, self.left_out(last))
        self.assertEqual([comparable(x.kind, x.time, x.removed, x.record) for x in want],
                         [comparable(x["kind"], x["time"], x["removed"], x["record"]) for x in entries])

    def test_the_order_of_many_partitions_is_that_of_a_plain_sort(self):
        rng = seeded(self, 1)
        fleet, log = self.fleet(), Log(rng)
        add_events(log, rng, 3000)
        add_requests(log, rng, 300)
        add_entities(log, rng, "users", 60)
        add_entities(log, rng, "propositions", 60)
        log.produce(fleet)
        entries, last = self.probe(fleet)
        self.assert_journal(log, entries, last)
        self.assertFalse(last["sealed"])
        ends = {(p["topic"], p["partition"]): p["end"] for p in last["counts"]["partitions"]}
        self.assertEqual({place: len(records) for place, records in log.partitions.items()},
                         {place: end for place, end in ends.items() if end})
        for x in last["counts"]["left_out"]:
            self.assertRegex(x["example"], rf"^{fleet.topic('')}[a-z.]+ partition \d offset \d+$")

    def test_a_sealed_journal_stays_as_it_is_when_records_are_added(self):
        rng = seeded(self, 2)
        fleet, log, more = self.fleet(), Log(rng), Log(rng)
        add_events(log, rng, 50)
        log.produce(fleet)
        first, last = self.probe(fleet)
        add_events(more, rng, 50)
        more.produce(fleet)
        again, last_again = self.probe(fleet)
        self.assertTrue(last_again["sealed"])
        self.assertEqual((first, last["counts"]), (again, last_again["counts"]))
        other, last_other = self.probe(fleet, to_ms=TO_MS + 1)
        self.assertFalse(last_other["sealed"])
        self.assertGreater(len(other), len(first))

    def test_one_that_was_killed_while_it_read_begins_anew(self):
        rng = seeded(self, 6)
        fleet, log = self.fleet(), Log(rng)
        add_events(log, rng, 3000)
        log.produce(fleet)
        folder = fleet.folder / "journal"
        probe = subprocess.Popen(self.command(fleet, "journal", TO_MS), stdout=subprocess.DEVNULL)
        try:
            wait_until(lambda: any(folder.glob("run-*")) or probe.poll() is not None, "it writes nothing", RUN_LIMIT_S)
        finally:
            probe.kill()
            probe.wait()
        entries, last = self.probe(fleet)
        self.assert_journal(log, entries, last)

    def test_what_retention_has_taken_is_told(self):
        rng = seeded(self, 3)
        fleet, log, later = self.fleet(), Log(rng), Log(rng)
        add_events(log, rng, 40)
        log.produce(fleet)
        KafkaAdmin(fleet).delete_records("events")
        e = event(rng, 1000, "u1")
        later.add("events", 1, "u1", single_object(e), e["timestamp"], e)
        later.produce(fleet)
        entries, last = self.probe(fleet)
        self.assertEqual(1, len(entries))
        self.assertEqual(40, sum(p["first"] for p in last["counts"]["partitions"] if p["topic"] == "events"))

    def test_requests_need_no_topic_but_events_do(self):
        rng = seeded(self, 4)
        fleet, log = self.fleet(), Log(rng)
        add_events(log, rng, 20)
        log.produce(fleet)
        KafkaAdmin(fleet).delete_topics("rank.requests", "score.log")
        entries, last = self.probe(fleet)
        self.assert_journal(log, entries, last)
        KafkaAdmin(fleet).delete_topics("events")
        why = self.probe(fleet, name="other", status=1)
        self.assertIn(f"there is no topic {fleet.topic('events')}: run `flotilla topics create`", why)

    def test_records_with_the_schemas_of_a_registry_are_waited_for(self):
        rng = seeded(self, 5)
        with RegistryStandIn() as registry:
            fleet, log = self.fleet(**{"schema_registry.url": registry.url}), Log(rng)
            e = {**event(rng, 1, "u1"), "request_id": "r1", "value": 2.0}
            given = {**e, "event": e["event"].encode(), "session": None, "load_seconds": 0.5}
            value = serialized(registry, EVENT, fleet.topic("events"), given)
            log.add("events", 1, "u1", value, e["timestamp"], e)
            log.produce(fleet)
            entries, last = self.probe(fleet)
            self.assert_journal(log, entries, last)
        why = self.probe(fleet, name="without", status=1)
        self.assertIn("registry", why)


if __name__ == "__main__":
    unittest.main()
