"""Applications of the ranker: they send requests, and read `rankings` and `score.log` with a client of their own.

Everything is written and read with fastavro by the schemas of the project, so no code of the fleet has a part in it.
"""
import array
import ctypes
import io
import json
import math
import secrets
import time
from collections import defaultdict
from functools import cache

import avro
import fastavro
import oracle
from confluent_kafka import Consumer, Producer, TopicPartition

ANSWER_LIMIT_S = 30
ACK_LIMIT_S = 30
TOLERANCE = 1e-6                # relative: vectors are float32
LARGEST = 3e38                  # for infinities, which cannot be subtracted


def now_ms():
    return time.time_ns() // 1_000_000


# ---------------------------------------------------------------- records

def without_logical_types(schema):
    """fastavro makes dates of timestamps otherwise."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: without_logical_types(value) for name, value in schema.items() if name != "logicalType"}
    return schema


@cache
def schema_of(name):
    text = (avro.SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8")
    return fastavro.parse_schema(without_logical_types(json.loads(text)))


def encoded(name, record):
    """A record in Avro's single-object encoding, fields that are left out by their defaults."""
    out = io.BytesIO()
    out.write(avro.header(name))
    fastavro.schemaless_writer(out, schema_of(name), record)
    return out.getvalue()


def decoded(name, value):
    head = avro.header(name)
    if not value.startswith(head):
        raise AssertionError(f"{value[:20]!r} does not begin as a {name} does")
    record = io.BytesIO(value[len(head):])
    try:
        found = fastavro.schemaless_reader(record, schema_of(name), None)
    except (UnicodeDecodeError, EOFError, ValueError) as e:
        raise AssertionError(f"no {name}: {value.hex()}") from e
    if record.read(1):
        raise AssertionError(f"bytes are left behind a {name}")
    return found


def entity(id, timestamp=None, **attributes):
    """A record of users or propositions as `flotilla send` takes it."""
    return {"id": id, "timestamp": now_ms() if timestamp is None else timestamp, "attributes": attributes}


# ---------------------------------------------------------------- an application

class Application:
    """Sends requests, events and attributes, and keeps what comes back: answers and logs are {request_id: [record]},
    in the order of their arrival. Each record has the place "at", (topic, partition, offset)."""

    TYPES = {"rankings": "ranking", "score.log": "score_log"}

    def __init__(self, test, fleet):
        self.fleet = fleet
        self.answers = defaultdict(list)
        self.logs = defaultdict(list)
        self.problems = []
        common = {"bootstrap.servers": fleet.stack.brokers, "log_level": 0}
        self.producer = Producer({**common, "partitioner": "murmur2_random", "linger.ms": 0, "acks": "all",
                                  "enable.idempotence": True, "message.max.bytes": 8_000_000})
        self.consumer = Consumer({**common, "group.id": fleet.topic("application"), "enable.auto.commit": False,
                                  "auto.offset.reset": "earliest", "fetch.wait.max.ms": 20,
                                  "fetch.message.max.bytes": 16_000_000})
        test.addCleanup(self.consumer.close)
        self.types = {fleet.topic(topic): name for topic, name in self.TYPES.items()}
        self.consumer.assign([TopicPartition(topic, partition, 0) for topic in self.types
                              for partition in range(fleet.settings["kafka.partitions"])])

    # ------------------------------------------------------------ out

    def produce(self, topic, key, value, timestamp=None):
        """Sends raw bytes without waiting; timestamp is Kafka's."""
        more = {} if timestamp is None else {"timestamp": timestamp}
        while True:
            try:
                self.producer.produce(self.fleet.topic(topic), key=key, value=value, on_delivery=self.on_delivery,
                                      **more)
                return
            except BufferError:
                self.producer.poll(0.1)

    def on_delivery(self, error, _message):
        if error:
            self.problems.append(str(error))

    def flush(self):
        """Until everything that was sent is acknowledged."""
        left = self.producer.flush(ACK_LIMIT_S)
        if left or self.problems:
            raise AssertionError(f"{left} records are not acknowledged: {self.problems[:3]}")

    def send_event(self, event, timestamp=None):
        self.produce("events", event["user_id"], encoded("event", event), timestamp)

    def event(self, event, timestamp=None):
        """Sends an event and waits for its acknowledgement."""
        self.send_event(event, timestamp)
        self.flush()

    def entity(self, side, record):
        """Sends a user or a proposition and waits for its acknowledgement."""
        self.produce(side + "s", record["id"], json.dumps(record).encode())
        self.flush()

    def send(self, request, arrived=None):
        """Sends a request without waiting for anything; arrived is its Kafka timestamp. The request, complete."""
        now = now_ms()
        request = {"request_id": secrets.token_hex(6), "user_id": "u0", "timestamp": now, **request}
        self.produce("rank.requests", request["user_id"], encoded("rank_request", request), arrived)
        self.producer.poll(0)
        return request

    # ------------------------------------------------------------ in

    def read(self, wait_s=0.0):
        """Takes in what is there, waiting for the first record."""
        for message in self.consumer.consume(1000, wait_s):
            if message.error():
                continue                        # a broker that is away, for the moment
            name = self.types[message.topic()]
            record = decoded(name, message.value())
            record["at"] = (message.topic(), message.partition(), message.offset())
            record["key"] = message.key().decode()
            (self.answers if name == "ranking" else self.logs)[record["request_id"]].append(record)

    def wait(self, condition, what, limit_s=ANSWER_LIMIT_S):
        """Reads until condition() is true, and gives its value."""
        deadline = time.monotonic() + limit_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {limit_s} s: {what() if callable(what) else what}\n{self.said()}")
            self.producer.poll(0)
            self.read(0.01)
        return value

    def said(self):
        """The end of what each ranker has logged, for texts of failures."""
        return "\n".join(f"{worker.log.name}: {worker.text()[-500:]}" for worker in self.fleet.workers
                         if worker.name == "ranker")

    def missing(self, requests):
        return [r["request_id"] for r in requests if not self.answers.get(r["request_id"])]

    def wait_answers(self, requests, limit_s=ANSWER_LIMIT_S):
        """The first answer to each request, in their order."""
        self.wait(lambda: not self.missing(requests),
                  lambda: f"{len(self.missing(requests))} of {len(requests)} requests are not answered", limit_s)
        return [self.answers[r["request_id"]][0] for r in requests]

    def wait_log(self, request):
        """The first record of score.log for a request."""
        id = request["request_id"]
        return self.wait(lambda: self.logs.get(id), f"request {id} is not in score.log")[0]

    def ask(self, arrived=None, **request):
        """The answer to a request."""
        sent = self.send(request, arrived)
        before = len(self.answers.get(sent["request_id"], []))
        return self.wait(lambda: self.answers.get(sent["request_id"], [])[before:],
                         f"request {sent} is not answered")[0]

    def ask_logged(self, **request):
        """(request, answer, record of score.log)"""
        sent = self.send(request)
        return sent, self.wait_answers([sent])[0], self.wait_log(sent)


# ---------------------------------------------------------------- vectors

def float32(value):
    """The nearest float32; infinities as large numbers."""
    value = ctypes.c_float(value).value
    return math.copysign(LARGEST, value) if math.isinf(value) else value


def vectors_of(log):
    """[{name: value}], one for each candidate, as a record of score.log has them."""
    values = array.array("f", log["vectors"])
    names = log["features"]
    if len(values) != len(names) * len(log["candidates"]):
        raise AssertionError(f"{len(values)} values for {len(log['candidates'])} candidates of {len(names)}")
    return [dict(zip(names, values[i:i + len(names)])) for i in range(0, len(values), len(names))]


def vector_rows(request_id, candidates, vectors):
    """As the oracle compares them."""
    return [{"request_id": request_id, "proposition_id": candidate,
             "vector": {name: None if math.isnan(value) else float32(value) for name, value in vector.items()}}
            for candidate, vector in zip(candidates, vectors)]


def expected_rows(state, request, candidates):
    """What the oracle says now. candidates: those of the request, or what was taken from the catalogue."""
    request = {**request, "candidates": candidates}
    return vector_rows(request["request_id"], candidates, state.vectors(request, [None] * len(candidates)))


def assert_logged(test, features, expected, logs):
    """The vectors of records of score.log are those expected, in the oracle's rows."""
    got = [row for log in logs for row in vector_rows(log["request_id"], log["candidates"], vectors_of(log))]
    compared, differences = oracle.compare(expected, got, features, tolerance=TOLERANCE)
    if differences:
        test.fail(f"{len(differences)} of {compared} values differ:\n" + "\n".join(differences[:20]))
    test.assertGreater(compared, 0)
    names = [name for feature in features for _, name, _ in feature.outputs()]
    fingerprints = b"".join(bytes.fromhex(f.fingerprint()) for f in features for _ in f.outputs())
    for log in logs:
        test.assertEqual(names, log["features"])
        test.assertEqual(fingerprints, log["fingerprints"])
