"""Records whose schema cannot be looked up, or not any more: what waits holds up nobody else, and what was found once
stays found, whatever the registry says by the time the log is replayed."""
import struct
import time
import unittest

import clients
from confluent_kafka import Producer
from fleet import Fleet, seeded, wait_until
from registry import Refused, RegistryStandIn

CLICKS = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [30d]}}
  - {name: prop_clicks, scope: proposition, count: {event: click, windows: [30d]}}
"""
GENRES = CLICKS + "  - {name: genre_clicks, scope: user*proposition.genre, count: {event: click, windows: [30d]}}\n"
USERS = [f"u{i}" for i in range(16)]
LIMIT_S = 120
GARBAGE = 400
SLOW_S = 0.02


class Case(unittest.TestCase):
    def start(self, features, partitions, **settings):
        self.registry = RegistryStandIn().start()
        self.addCleanup(self.registry.stop)
        self.fleet = Fleet(self, features, partitions, **{"schema_registry.url": self.registry.url}, **settings)
        self.fleet.create_topics()
        self.now = int(time.time() * 1000)
        self.number = 0
        self.expected = {}

    def click(self, user):
        self.number += 1
        self.expected[user] = self.expected.get(user, 0) + 1
        return {"event_id": f"e{self.number}", "event": "click", "user_id": user, "timestamp": self.now,
                "propositions": ["p"], "context": {}}

    def send_json(self, users):
        self.fleet.produce_json("events", [(user, self.click(user)) for user in users])

    def produce(self, topic, messages):
        producer = Producer({"bootstrap.servers": self.fleet.stack.brokers, "partitioner": "murmur2_random"})
        for key, value in messages:
            producer.produce(self.fleet.topic(topic), key=key, value=value)
        self.assertEqual(0, producer.flush(60))

    def values(self, scope="user"):
        """{first part of the key: its value}. It asks no registry."""
        last = {}
        for _, _, _, value in clients.read_all(self.fleet, "features"):
            record = clients.decoded(self.registry, value)
            if record["scope"] == scope:
                last[record["key"][0]] = next(iter(record["values"].values()))
        return last

    def wait_values(self, wanted, scope="user"):
        wait_until(lambda: self.values(scope) == wanted, lambda: f"{self.values(scope)}, not {wanted}", LIMIT_S)


class Replayed(Case):
    """No checkpoint is written: a worker that starts again replays everything."""

    def setUp(self):
        self.start(CLICKS, 1, instance="a", checkpoint_interval_ms=600000, shared_checkpoint_interval_ms=600000)
        self.value = clients.serialized(self.registry, clients.OLD_EVENT, self.fleet.topic("events"), self.click("u"))
        self.schema_id = struct.unpack(">I", self.value[1:5])[0]

    def hide(self):
        """The registry does not know the id any more; returns what ends that."""
        real = self.registry.schemas.schema

        def schema(number):
            if number == self.schema_id:
                raise Refused(404, 40403, f"Schema {number} not found")
            return real(number)
        self.registry.schemas.schema = schema
        return lambda: setattr(self.registry.schemas, "schema", real)

    def test_what_was_a_dead_letter_is_counted_when_it_is_sent_again_and_not_before(self):
        show = self.hide()
        worker = self.fleet.start("features")
        self.send_json(["v"])
        self.produce("events", [("u", self.value)])
        wait_until(lambda: len(self.fleet.dead_letters()) == 1, "no dead letter", LIMIT_S)
        self.fleet.settle()
        worker.kill()
        show()
        self.fleet.start("features")
        self.send_json(["v"])
        self.fleet.settle()
        self.assertEqual({"v": 2}, self.values())
        self.assertEqual({"p": 2}, self.values("proposition"))
        self.produce("events", [("u", self.value)])
        self.wait_values({"v": 2, "u": 1})
        self.wait_values({"p": 3}, "proposition")
        self.assertEqual(1, len(self.fleet.dead_letters()))

    def test_what_was_counted_is_waited_for_when_it_cannot_be_decoded_again(self):
        worker = self.fleet.start("features")
        self.produce("events", [("u", self.value)])
        self.wait_values({"u": 1})
        self.fleet.settle()
        worker.kill()
        show = self.hide()
        worker = self.fleet.start("features", ready=False)
        self.send_json(["u"])
        wait_until(lambda: "it was counted before" in worker.get("/readyz")[1], lambda: worker.get("/readyz"), LIMIT_S)
        self.assertEqual(503, worker.get("/readyz")[0])
        show()
        self.wait_values({"u": 2})
        self.wait_values({"p": 2}, "proposition")
        worker.wait_ready(LIMIT_S)
        self.assertEqual([], self.fleet.dead_letters())


class Waiting(Case):
    def test_an_attribute_that_waits_is_said_by_every_worker_and_loses_no_event(self):
        self.start(GENRES, 4)
        workers = self.fleet.start_two()
        self.send_json(USERS)
        self.fleet.settle()
        entity = {"id": "p", "timestamp": 1, "attributes": {"genre": ["drama"], "price": 2}}
        value = clients.serialized(self.registry, clients.PROPOSITION, self.fleet.topic("propositions"), entity)
        self.registry.fail(500, path="/schemas/ids/")
        self.produce("propositions", [("p", value)])
        self.send_json(USERS)
        for worker in workers:
            wait_until(lambda w=worker: w.get("/readyz")[0] == 503 and self.registry.url in w.get("/readyz")[1],
                       lambda w=worker: w.get("/readyz"), LIMIT_S)
            self.assertEqual(200, worker.get("/healthz")[0])
        self.registry.recover()
        for worker in workers:
            worker.wait_ready(LIMIT_S)
        self.wait_values(self.expected)
        self.wait_values({user: 1 for user in USERS}, "user*proposition.genre")
        self.assertEqual([], self.fleet.dead_letters())

    def test_garbage_with_an_id_of_its_own_in_every_record_holds_up_only_its_partition(self):
        self.start(CLICKS, 4)
        worker = self.fleet.start("features")
        admits = self.registry.admits
        self.registry.admits = lambda *arguments: (time.sleep(SLOW_S), admits(*arguments))[1]
        self.produce("events", [("u0", b"\x00" + struct.pack(">I", 100_000 + i) + b"xx") for i in range(GARBAGE)])
        self.send_json(USERS)

        def buried():
            return worker.metrics().get('flotilla_features_dead_letters_total{reason="unknown_schema"}', 0)

        def others():
            self.assertEqual(200, worker.get("/healthz")[0])
            return self.values()
        wait_until(others, "no value of the other partitions", LIMIT_S)
        self.assertLess(buried(), GARBAGE)
        wait_until(lambda: buried() == GARBAGE, lambda: f"{buried()} dead letters", LIMIT_S)
        self.wait_values(self.expected)

    def test_no_event_is_lost_or_counted_twice_while_everything_comes_and_goes(self):
        self.start(CLICKS, 6)
        rnd = seeded(self, 111)
        workers = self.fleet.start_two()
        schemas = [{**clients.OLD_EVENT, "fields": clients.OLD_EVENT["fields"] +
                    [{"name": f"more{i}", "type": "int", "default": 0}]} for i in range(20)]
        for turn in range(8):
            messages = []
            for user in (rnd.choice(USERS) for _ in range(60)):
                schema = schemas[rnd.randrange(min(len(schemas), 4 * (turn + 1)))]
                messages.append((user, clients.serialized(self.registry, schema, self.fleet.topic("events"),
                                                          self.click(user))))
            rnd.choice([lambda: self.registry.fail(500, path="/schemas/ids/"),
                        lambda: self.registry.hang(path="/schemas/ids/"), self.registry.recover])()
            self.produce("events", messages)
            what = rnd.randrange(4)
            if what == 0:
                workers.append(self.fleet.start("features", ready=False))
            elif what == 1 and len(workers) > 1:
                workers.pop(rnd.randrange(len(workers))).stop()
            elif what == 2:
                workers.pop(rnd.randrange(len(workers))).kill()
                workers.append(self.fleet.start("features", ready=False))
            if rnd.random() < 0.6:
                self.registry.recover()
        self.registry.recover()
        for worker in workers:
            worker.wait_ready(LIMIT_S)
        self.fleet.settle()
        self.wait_values(self.expected)
        self.assertEqual([], self.fleet.dead_letters())
