"""Kafka clients as other teams have them, each producing events in its own way: confluent-kafka for Python with a
schema registry, Kafka's own for Java with Avro single-object encoding, kcat with JSON.

All of them have send(codec, events): it returns once the events are acknowledged, in their order.
"""
import io
import json
import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import fastavro
import stack as stacks
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")      # in the order of Kafka's numbers
LIMIT_S = 60
JAVA = stacks.ROOT / "tests/support/java"

# Schemas of an application's own. The first one knows no request_id; where fields stand, and that they are called
# Event in any namespace, is all that they share with schemas/event.avsc.
OLD_EVENT = {"type": "record", "name": "Event", "namespace": "com.example.shop", "fields": [
    {"name": "user_id", "type": "string"},
    {"name": "timestamp", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "value", "type": ["null", "double"], "default": None},
    {"name": "context", "type": {"type": "map", "values": "string"}, "default": {}},
    {"name": "propositions", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "event", "type": "string"},
    {"name": "event_id", "type": "string"},
]}
TOKEN_TYPE = {"type": "fixed", "name": "Token", "namespace": "com.example.shop", "size": 4}
SESSION_TYPE = {"type": "record", "name": "Session", "namespace": "com.example.shop", "fields": [
    {"name": "token", "type": TOKEN_TYPE},
    {"name": "channel", "type": {"type": "enum", "name": "Channel", "symbols": ["WEB", "APP"]}},
    {"name": "before", "type": ["null", "Session"]},
    {"name": "flags", "type": {"type": "map", "values": "boolean"}},
]}
# Its next version: more fields, some of them where they must be skipped, and types that are promoted.
EVENT = {**OLD_EVENT, "fields": [
    {"name": "session", "default": None, "type": ["null", SESSION_TYPE]},
    {"name": "request_id", "type": ["string", "null"], "default": ""},
    {"name": "value", "type": ["int", "null", "double"], "default": 0},
    *(f for f in OLD_EVENT["fields"] if f["name"] in ("user_id", "timestamp", "context", "propositions")),
    {"name": "load_seconds", "type": "float", "default": 0.25},
    {"name": "event", "type": "bytes"},
    {"name": "event_id", "type": "string"},
]}
# Of attributes it has lists and whole numbers only.
PROPOSITION = {"type": "record", "name": "Entity", "namespace": "com.example.shop", "fields": [
    {"name": "attributes", "type": {"type": "map", "values": [{"type": "array", "items": "string"}, "int"]}},
    {"name": "timestamp", "type": "long"},
    {"name": "id", "type": "string"},
]}
SESSION = {"token": b"\xc3\x01{\x00", "channel": "APP", "flags": {"new": True, "": False}, "before": None}


def registry_client(registry):
    return SchemaRegistryClient({"url": registry.url})


def serialized(registry, schema, topic, record):
    """A record as the value of a Kafka record, its schema (a Schema, or what is written as JSON) registered."""
    schema = schema if isinstance(schema, Schema) else json.dumps(schema)
    with registry_client(registry) as client:
        return AvroSerializer(client, schema)(record, SerializationContext(topic, MessageField.VALUE))


def event_in_parts(registry):
    """EVENT as a Schema whose parts are under subjects of their own, one of them a part of the other."""
    registry.register("token", TOKEN_TYPE)
    token, session = (
        {"name": f"com.example.shop.{name}", "subject": name.lower(), "version": 1} for name in ("Token", "Session"))
    fields = [{**f, "type": "Token"} if f["name"] == "token" else f for f in SESSION_TYPE["fields"]]
    registry.register("session", {**SESSION_TYPE, "fields": fields}, [token])
    fields = [{**f, "type": ["null", "Session"]} if f["name"] == "session" else f for f in EVENT["fields"]]
    return Schema(json.dumps({**EVENT, "fields": fields}), "AVRO", [SchemaReference(**session)])


class PythonClient:
    """Confluent framing: AvroSerializer with subjects as they are by default."""

    def __init__(self, fleet, registry):
        self.brokers, self.topic = fleet.stack.brokers, fleet.topic("events")
        client = registry_client(registry)
        self.old, self.new = (AvroSerializer(client, json.dumps(schema)) for schema in (OLD_EVENT, EVENT))
        self.producers = {}
        self.sent = 0

    def producer(self, codec):
        if codec not in self.producers:
            self.producers[codec] = Producer({"bootstrap.servers": self.brokers, "compression.type": codec,
                                              "partitioner": "murmur2_random"})
        return self.producers[codec]

    def serialize(self, event):
        """With one schema or the other, as long as it has what the event has."""
        self.sent += 1
        context = SerializationContext(self.topic, MessageField.VALUE)
        if self.sent % 2 and event.get("request_id") is None:
            return self.old(event, context)
        session = {**SESSION, "before": SESSION} if self.sent % 3 else None
        return self.new({"session": session, "request_id": None, "value": None, **event,
                         "event": event["event"].encode()}, context)

    def send(self, codec, events):
        producer, problems = self.producer(codec), []
        for event in events:
            producer.produce(self.topic, key=event["user_id"], value=self.serialize(event),
                             on_delivery=lambda error, _: error and problems.append(str(error)))
        left = producer.flush(LIMIT_S)
        if problems or left:
            raise RuntimeError(f"{left} of {len(events)} events are not acknowledged: {problems[:3]}")


class JavaClient:
    """One process for all codecs. It ends with the test."""

    def __init__(self, test, fleet):
        jars = subprocess.run(
            ["bash", "-c", '. "$1" && java_client_jars', "bash", stacks.ROOT / "deploy/local/lib.sh"],
            capture_output=True, encoding="utf-8", check=True).stdout
        java = os.path.join(os.environ["JAVA_HOME"], "bin/java") if os.environ.get("JAVA_HOME") else "java"
        self.log = fleet.folder / "java-client.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", java, "-Xmx128m", "-XX:TieredStopAtLevel=1",
                 f"-Djava.io.tmpdir={fleet.folder}", "-cp", f"{jars}/*", JAVA / "ProduceEvents.java",
                 fleet.stack.brokers, fleet.topic("events"), stacks.ROOT / "schemas/event.avsc"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, encoding="utf-8")
        test.addCleanup(self.end)

    def send(self, codec, events):
        for event in events:
            self.process.stdin.write(json.dumps({"codec": codec, "event": event}) + "\n")
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        if self.process.stdout.readline() != f"{len(events)}\n":
            raise RuntimeError(f"the Java client: {self.log.read_text(encoding='utf-8')[-2000:]}")

    def end(self):
        self.process.kill()
        self.process.communicate()


class KcatClient:
    """One process a call, as from a shell; JSON with headers that nobody asked for."""

    def __init__(self, fleet):
        self.fleet = fleet

    def send(self, codec, events):
        lines = "".join(f"{event['user_id']}\t{json.dumps(event, ensure_ascii=False)}\n" for event in events)
        self.fleet.kcat("-P", "-t", self.fleet.topic("events"), "-K", "\t", "-z", codec, "-H", "source=shell",
                        "-H", "traceparent=", "-X", "topic.partitioner=murmur2_random", stdin=lines)


# ---------------------------------------------------------------- what stands in a topic

def read_all(fleet, topic):
    """All records of a topic of the fleet, as (partition, offset, key, value), marks of transactions left out."""
    ends = {partition: end for (name, partition), end in fleet.ends().items() if name == fleet.topic(topic)}
    consumer = Consumer({"bootstrap.servers": fleet.stack.brokers, "group.id": "nobody", "enable.auto.commit": False,
                         "enable.partition.eof": True})
    consumer.assign([TopicPartition(fleet.topic(topic), partition, 0) for partition in ends])
    records, waiting = [], set(ends)
    try:
        while waiting:
            message = consumer.poll(LIMIT_S)
            if message is None:
                raise TimeoutError(f"{topic}: partitions {waiting} are not read to their end")
            if message.error():
                waiting.discard(message.partition())
                continue
            records.append((message.partition(), message.offset(), message.key(), message.value()))
    finally:
        consumer.close()
    return records


def decoded(registry, value):
    """A value in Confluent framing, by what the stand-in knows: it may be stopped."""
    schema = json.loads(registry.schemas.ids[int.from_bytes(value[1:5], "big")].text)
    return fastavro.schemaless_reader(io.BytesIO(value[5:]), schema)


def deserialized(fleet, registry, topic):
    """The records of a topic as the Python client reads them."""
    context = SerializationContext(fleet.topic(topic), MessageField.VALUE)
    with registry_client(registry) as client:
        read = AvroDeserializer(client)
        return [read(value, context) for _, _, _, value in read_all(fleet, topic)]


def plain(value):
    """What fastavro made of a record, and what `flotilla tail` printed of it, in the same form: all numbers are
    floats, a missing one is None."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, datetime):
        return float((value - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return None if value != value else float(value)
    return value


def batches(fleet, topic, partition):
    """[(first offset, last offset, codec)] of a partition, from the files of its log (Kafka's record batch, version
    2): what a broker has, not what a client was asked for."""
    found = []
    for path in sorted(Path(fleet.stack.directory).glob(f"kafka/data/{fleet.topic(topic)}-{partition}/*.log")):
        log, at = path.read_bytes(), 0
        while at + 61 <= len(log):
            first, length = (int.from_bytes(log[at + i:at + j], "big") for i, j in ((0, 8), (8, 12)))
            if length == 0:
                break                       # preallocated
            attributes, last_delta = (int.from_bytes(log[at + i:at + j], "big") for i, j in ((21, 23), (23, 27)))
            found.append((first, first + last_delta, CODECS[attributes & 7]))
            at += 12 + length
    return found
