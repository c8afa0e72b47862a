"""What a world is fed: features of every kind, and events in the order in which they are sent, some of them no good.

A seed gives the same everywhere. To the features of tests/support/streams.py come two of each scope that is published:

  ledger_N  counts an event of that scope in a window that nothing ever leaves, so that the sum of all deltas is known;
  touch_N   counts the event `touch`, which no other feature is made of.

`second` is all events once more as `touch`: it reaches every key that the stream ever reached and changes nothing else,
so every value is published again, read from state that was restored and against totals that are final.
"""
import io
import json
import random
from typing import NamedTuple

import avro
import fastavro
import streams
from fleet import attributes_first, is_after_1970, oracle

from topics import schema

LEDGER, TOUCH = "ledger", "touch"
LEDGER_WINDOW = "36000d"        # of 60 buckets; what a stream has from decades before is in it
SIZE = "tiny"
HOSTILE_SHARE = 0.03

# Values that are no events, and the reasons that their dead letters have. Each has a number in it, so that no two are
# the same.
HOSTILE = (
    ("undecodable", lambda n: b"\xff\xfe%d" % n),
    ("undecodable", lambda n: avro.header("event") + avro.text(f"cut {n}")),
    ("undecodable", lambda n: b'{"event_id": "%d", "event": ' % n),
    ("unknown_schema", lambda n: b"\xc3\x01" + n.to_bytes(8, "little") + b"nobody knows"),
    ("schema_mismatch", lambda n: b'{"event_id": "%d", "event": "click"}' % n),
    ("invalid_value", lambda n: json.dumps({"event_id": f"{n}", "event": "click", "user_id": "somebody else",
                                            "timestamp": 1, "propositions": []}).encode()),
)


class Record(NamedTuple):
    """One of the topic events. line: as streams have it, None if it is no event."""

    key: str
    value: bytes
    timestamp: int
    reason: str | None      # of its dead letter, if it becomes one
    line: dict | None


class Load:
    """features: text of the features file. lines: attributes first, then events. first, second: Records to send."""

    def __init__(self, seed, hostile=True, size=SIZE):
        self.rng = random.Random(f"load {seed}")
        self.features, self.lines = self.stream(size)
        events = [line for line in self.lines if "event" in line]
        self.codec = self.rng.choice([as_json, as_avro])
        self.first = self.records(events, hostile)
        self.second = [record_of(touch_of(number, line), self.codec) for number, line in enumerate(events)]

    def attributes(self):
        """Lines of users and propositions."""
        return [line for line in self.lines if "event" not in line]

    def stream(self, size):
        """The features with two more of each scope, and a stream that Kafka can hold."""
        while True:
            features, lines = streams.generate(self.rng.getrandbits(32), size)
            lines = attributes_first(lines)
            if is_after_1970(lines):
                return with_ledgers(features, self.rng), lines

    def records(self, events, hostile):
        """Events, and in between what is none."""
        records = []
        for line in events:
            if hostile and self.rng.random() < HOSTILE_SHARE:
                reason, make = self.rng.choice(HOSTILE)
                records.append(Record(line["event"]["user_id"], make(len(records)), line["kafka_timestamp"], reason,
                                      None))
            records.append(record_of(line, self.codec))
        return records


def with_ledgers(features, rng):
    """The features file with a ledger and a touch of each scope that has values of its own."""
    known = oracle.read_features(features)
    scopes = {}
    for feature in known:
        if feature.kind in oracle.AGGREGATES and feature.kind not in oracle.WITH_CANDIDATE:
            scopes.setdefault(feature.scope, set()).update(feature.events())
    more = []
    for number, (scope, events) in enumerate(sorted(scopes.items())):
        counted = ((LEDGER, rng.choice(sorted(events)), LEDGER_WINDOW), (TOUCH, TOUCH, "1h"))
        more += [f"- {{name: {name}_{number}, scope: {scope}, count: {{event: {event}, windows: [{window}]}}}}"
                 for name, event, window in counted]
    return features.rstrip("\n") + "\n" + indented_alike(features, more)


def indented_alike(features, entries):
    """Entries of the list, as far to the right as those of the file."""
    first = next(line for line in features.splitlines() if line.lstrip().startswith("- "))
    indent = first[:len(first) - len(first.lstrip())]
    return "".join(f"{indent}{entry}\n" for entry in entries)


def touch_of(number, line):
    """The same user, propositions and context once more."""
    return {**line, "event": {**line["event"], "event_id": f"{TOUCH}-{number}", "event": TOUCH}}


def as_json(event):
    return json.dumps(event, ensure_ascii=False).encode()


def as_avro(event):
    out = io.BytesIO()
    known = {name: value for name, value in event.items() if value is not None}
    fastavro.schemaless_writer(out, schema("event"), known)
    return avro.header("event") + out.getvalue()


def record_of(line, codec):
    event = line["event"]
    is_ahead = event["timestamp"] > line["kafka_timestamp"] + oracle.MAX_CLOCK_SKEW_MS
    return Record(event["user_id"], codec(event), line["kafka_timestamp"], "future_timestamp" if is_ahead else None,
                  line)
