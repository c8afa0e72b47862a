"""Events of other teams' clients: Python's with a schema registry, Java's, kcat; each in its framing and with every
codec. However they come, the values are the same; and where a registry is away, what needs it waits, and nothing else.
"""
import json
import sys
import time
import unittest
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import avro  # noqa: E402
import clients  # noqa: E402
import fleet as fleets  # noqa: E402
import oracle  # noqa: E402
import streams  # noqa: E402
from clients import CODECS, JavaClient, KcatClient, PythonClient  # noqa: E402
from fleet import Expected, Fleet, assert_equal_values, attributes_first, wait_until  # noqa: E402
from registry import RegistryStandIn  # noqa: E402

EVENTS = 6000
STREAM_SEED = 9                 # in 2012, in the past by any clock; 21 users, and no value depends on a total
PARTITIONS = 4
FRAMINGS = {"python": b"\x00", "java": b"\xc3\x01", "kcat": b"{"}


def stream():
    """(features, lines) whose events are all in the past, and none a dead letter."""
    features, lines = streams.generate(STREAM_SEED, "medium")
    lines = attributes_first([{name: part for name, part in line.items() if name != "kafka_timestamp"}
                              for line in lines])
    entities = [line for line in lines if "event" not in line]
    return features, entities + [line for line in lines if "event" in line][:EVENTS]


def dealt(rng, events):
    """[(client, codec, events)]: runs of consecutive events, to each client with each codec in turn."""
    hands, deals = [], []
    while events:
        if not hands:
            hands = [(client, codec) for client in FRAMINGS for codec in CODECS]
            rng.shuffle(hands)
        count = rng.randint(25, 60)
        deals.append((*hands.pop(), events[:count]))
        events = events[count:]
    return deals


def registry_of(test):
    """A registry that stops with the test."""
    registry = RegistryStandIn().start()
    test.addCleanup(registry.stop)
    return registry


class Clients(unittest.TestCase):
    def published_from_one_client(self, features, lines):
        fleet = Fleet(self, features, PARTITIONS).create_topics()
        fleet.send_entities(lines)
        fleet.start_two()
        fleet.send("events", [line for line in lines if "event" in line])
        fleet.settle()
        for worker in fleet.running():
            worker.stop()
        return fleet.published()

    def published_from_all_clients(self, features, lines):
        registry = registry_of(self)
        fleet = Fleet(self, features, PARTITIONS, **{"schema_registry.url": registry.url}).create_topics()
        fleet.send_entities(lines)
        fleet.start_two()
        producers = {"python": PythonClient(fleet, registry), "java": JavaClient(self, fleet),
                     "kcat": KcatClient(fleet)}
        deals = dealt(fleets.seeded(self, 5), [line["event"] for line in lines if "event" in line])
        for client, codec, events in deals:
            producers[client].send(codec, events)
        fleet.settle()
        self.check_what_was_sent(fleet, deals)
        self.assertEqual([], fleet.dead_letters())
        self.assertEqual(2, len(registry.schemas.subjects[fleet.topic("events-value")]))
        return fleet.published()

    def check_what_was_sent(self, fleet, deals):
        """The log itself has every framing in batches of every codec, and users have events of all clients."""
        codec_of = {(partition, offset): codec for partition in range(PARTITIONS)
                    for first, last, codec in clients.batches(fleet, "events", partition)
                    for offset in range(first, last + 1)}
        found, users = Counter(), {}
        for partition, offset, key, value in clients.read_all(fleet, "events"):
            client = next(name for name, start in FRAMINGS.items() if value.startswith(start))
            found[client, codec_of[partition, offset]] += 1
            users.setdefault(key, set()).add(client)
        # librdkafka leaves a batch as it is where it would become no smaller: so not each is of the codec asked for.
        self.assertEqual({(client, codec) for client in FRAMINGS for codec in CODECS}, found.keys())
        for client in FRAMINGS:
            self.assertEqual(sum(len(events) for by, _, events in deals if by == client),
                             sum(found[client, codec] for codec in CODECS), client)
        self.assertGreater(sum(of == set(FRAMINGS) for of in users.values()), len(users) * 0.9)

    def test_values_of_events_of_all_clients_and_codecs_equal_those_of_one_client_and_the_oracles(self):
        features, lines = stream()
        expected = Expected(features, lines)
        self.assertEqual([], expected.global_priors())
        together = self.published_from_all_clients(features, lines)
        assert_equal_values(self, expected, together)
        alone = self.published_from_one_client(features, lines)
        compared, differences = oracle.compare(alone, together, expected.features)
        self.assertEqual([], differences[:20])
        self.assertGreater(compared, 1000)


# ---------------------------------------------------------------- a registry that is away, or does not know

CLICKS = """
features:
  - {name: clicks, scope: user, count: {event: click, windows: [30d]}}
  - {name: genre_clicks, scope: user*proposition.genre, count: {event: click, windows: [30d]}}
"""
USERS = [f"u{i}" for i in range(16)]
DAY_MS = 86_400_000


def as_texts(records):
    return sorted(json.dumps(clients.plain(record), sort_keys=True) for record in records)


class Registry(unittest.TestCase):
    def setUp(self):
        self.registry = registry_of(self)
        self.fleet = Fleet(self, CLICKS, PARTITIONS, **{"schema_registry.url": self.registry.url}).create_topics()
        self.now = int(time.time() * 1000)
        self.events = 0

    def click(self, user, **more):
        self.events += 1
        return {"event_id": f"e{self.events}", "event": "click", "user_id": user, "timestamp": self.now + self.events,
                "propositions": ["p"], "context": {}, **more}

    def send_json(self, users):
        KcatClient(self.fleet).send("lz4", [self.click(user) for user in users])

    def produce(self, *values):
        """Records of the first user."""
        self.fleet.produce("events", [(USERS[0], value) for value in values])

    def serialized(self, schema, record):
        return clients.serialized(self.registry, schema, self.fleet.topic("events"), record)

    def clicks(self):
        """{user: clicks} as published. It asks no registry, which may be away: the stand-in itself is looked into."""
        last = {}
        for _, _, _, value in clients.read_all(self.fleet, "features"):
            record = clients.decoded(self.registry, value)
            if record["scope"] == "user":
                last[record["key"][0]] = record["values"]["clicks_30d"]
        return last

    def partition_of(self):
        """{user: partition}, of those who have events."""
        return {key.decode(): partition for partition, _, key, _ in clients.read_all(self.fleet, "events")}

    def wait_says_registry(self, workers, what=""):
        """Until one of the workers says to its operator that it waits for the registry, where that is, and what for."""
        def says():
            for worker in workers:
                self.assertTrue(worker.is_running(), worker.text()[-2000:])
            texts = [worker.get(path)[1] for worker in workers for path in ("/readyz", "/status")]
            return any(self.registry.url in text and what in text for text in texts)
        wait_until(says, lambda: f"nobody waits for the registry: "
                                 f"{[(w.get('/readyz'), w.get('/status')) for w in workers]}", 30)

    def assertDeadLetter(self, reason, value, mentions):
        letter, = self.fleet.dead_letters()
        self.assertEqual((self.fleet.topic("events"), reason, value),
                         (letter["topic"], letter["reason"], fleets.bytes_of(letter["value"])))
        self.assertIn(mentions, letter["detail"])

    def test_a_partition_waits_while_the_registry_is_away_and_the_others_go_on(self):
        workers = self.fleet.start_two()
        self.send_json(USERS)
        self.fleet.settle()
        partition = self.partition_of()
        behind = {user: 1 for user in USERS if partition[user] == partition[USERS[0]]}
        others = {user: 2 for user in USERS if user not in behind}
        self.assertGreater(len(behind), 1)
        self.assertGreater(len(others), 1)
        value = self.serialized(clients.OLD_EVENT, self.click(USERS[0]))
        self.registry.stop()
        self.produce(value)
        self.wait_says_registry(workers)
        self.send_json(USERS)
        wait_until(lambda: others.items() <= self.clicks().items(),
                   lambda: f"{self.clicks()} are published, not {others}", 60)
        self.assertEqual(behind | others, self.clicks())
        self.registry.start()
        self.fleet.settle()
        self.assertEqual({user: 3 if user == USERS[0] else 2 for user in USERS}, self.clicks())
        self.assertEqual([], self.fleet.dead_letters())

    def test_a_worker_that_is_restarted_without_the_registry_goes_on_when_it_is_back(self):
        worker = self.fleet.start("features", instance="only")
        python = PythonClient(self.fleet, self.registry)
        python.send("zstd", [self.click(user) for user in USERS for _ in range(3)])
        self.fleet.settle()
        worker.kill()
        python.send("snappy", [self.click(user) for user in USERS])
        self.registry.stop()
        worker = self.fleet.start("features", ready=False, instance="only")
        self.wait_says_registry([worker])
        self.send_json(USERS)
        self.registry.fail(503, path="/schemas/ids/")       # it can register what it writes, and read nothing
        self.registry.start()
        self.wait_says_registry([worker], "schema id")
        self.registry.recover()
        worker.wait_ready()
        self.fleet.settle()
        self.assertEqual({user: 5 for user in USERS}, self.clicks())
        self.assertEqual([], self.fleet.dead_letters())

    def test_attributes_whose_schema_cannot_be_asked_for_are_waited_for(self):
        record = {"id": "p", "timestamp": 1, "attributes": {"genre": ["drama", "noir"], "price": 2}}
        value = clients.serialized(self.registry, clients.PROPOSITION, self.fleet.topic("propositions"), record)
        self.fleet.produce("propositions", [("p", value)])
        self.registry.fail(500, path=f"/schemas/ids/{int.from_bytes(value[1:5], 'big')}")
        worker = self.fleet.start("features", ready=False)
        self.wait_says_registry([worker], "schema id")
        self.registry.recover()
        worker.wait_ready()
        self.send_json(USERS)
        self.fleet.settle()
        self.assertEqual([], self.fleet.dead_letters())
        self.assertEqual({(user, genre): 1 for user in USERS for genre in ("drama", "noir")},
                         {tuple(r["key"]): r["values"]["genre_clicks_30d"] for r in self.fleet.published()
                          if r["scope"] == "user*proposition.genre"})

    def test_an_id_that_the_registry_does_not_know_is_a_dead_letter(self):
        self.fleet.start("features")
        value = b"\x00" + (4711).to_bytes(4, "big") + avro.event("e", "click", USERS[0], self.now)
        self.send_json(USERS)
        self.produce(value)
        self.send_json(USERS)
        self.fleet.settle()
        self.assertDeadLetter("unknown_schema", value, "4711")
        self.assertEqual({user: 2 for user in USERS}, self.clicks())

    def test_a_schema_that_cannot_become_an_event_is_a_dead_letter(self):
        self.fleet.start("features")
        schema = {**clients.OLD_EVENT, "fields": [f for f in clients.OLD_EVENT["fields"] if f["name"] != "user_id"]}
        good = self.serialized(clients.OLD_EVENT, self.click(USERS[0]))
        self.registry.schemas.level = "NONE"
        value = self.serialized(schema, {k: v for k, v in self.click(USERS[0]).items() if k != "user_id"})
        self.produce(value, good)
        self.fleet.settle()
        self.assertDeadLetter("schema_mismatch", value, "user_id")
        self.assertEqual({USERS[0]: 1}, self.clicks())

    def test_a_schema_with_references_is_put_together(self):
        self.fleet.start("features")
        schema = clients.event_in_parts(self.registry)
        session = {**clients.SESSION, "before": clients.SESSION}
        events = [self.click(USERS[0], event=b"click", session=session, request_id=None, value=5) for _ in range(3)]
        self.produce(*(self.serialized(schema, event) for event in events))
        self.fleet.settle()
        self.assertEqual([], self.fleet.dead_letters())
        self.assertEqual({USERS[0]: 3}, self.clicks())

    def test_what_is_written_is_read_by_the_python_client_and_by_tail(self):
        self.fleet.send("propositions", [{"id": "p", "timestamp": 1, "attributes": {"genre": ["drama", "noir"]}}])
        self.fleet.start_two()
        tomorrow = self.click(USERS[0], timestamp=self.now + DAY_MS, value=0.1)     # becomes a dead letter
        self.fleet.send("events", [{"event": event} for event in [*map(self.click, USERS), tomorrow]])
        self.fleet.settle()
        for topic in ("propositions", "events", "features", "dead-letters"):
            with self.subTest(topic=topic):
                read, tailed = clients.deserialized(self.fleet, self.registry, topic), self.fleet.tail(topic)
                self.assertTrue(read)
                self.assertEqual(as_texts(read), as_texts(tailed))
