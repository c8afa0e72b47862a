"""That what was measured is right: values of some hundred keys of bench-A after a drain, recomputed by the oracle."""
import random
import re

import oracle
from confluent_kafka import Consumer, TopicPartition
from features_drains import start
from features_world import FEATURES, KAFKA_LIMIT_S, PARTITIONS, drain
from fleet import plain
from ranking import decoded

SEED = 7
BUSIEST = ["u000000", "u007919", "p00000", "p07919"]     # of bench-A, by its Zipf


def last_records(brokers, topic):
    """{key: the value of its last committed record}"""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "values", "enable.auto.commit": False,
                         "isolation.level": "read_committed", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    last, ends = {}, 0
    while ends < PARTITIONS:
        records = consumer.consume(10_000, KAFKA_LIMIT_S)
        if not records:
            raise TimeoutError(f"{topic} could not be read to its end")
        for record in records:
            if record.error():
                ends += 1
            else:
                last[record.key().decode()] = record.value()
    consumer.close()
    return last


def events_in(path):
    """(key, value) of a file of bench-A's generator."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        key, value = data[at + 1], data[at + 2] | data[at + 3] << 8
        yield data[at + 4:at + 4 + key], data[at + 4 + key:at + 4 + key + value]
        at += 4 + key + value


def lines_about(path, users, propositions):
    """({"event": ...} of these users, those of these propositions with no others listed)"""
    of_users, of_propositions = [], []
    for user, value in events_in(path):
        if user in users:
            of_users.append({"event": decoded("event", value)})
        if not propositions.isdisjoint(re.findall(rb"p\d{5}", value)):
            event = decoded("event", value)
            event["propositions"] = [p for p in event["propositions"] if p.encode() in propositions]
            of_propositions.append({"event": event})
    return of_users, of_propositions


def expected(features, lines, keys):
    state = oracle.State(features)
    for _ in oracle.replay(state, oracle.accepted(lines)):
        pass
    return [oracle.printable(record) for record in state.key_values() if record["key"][0] in keys]


def values(world):
    """Values of sampled keys, and those of the busiest, that differ from the oracle's."""
    topic, random_of = world.bench_a(), random.Random(SEED)
    with world.draining(topic) as (fleet, offsets):
        worker = start(fleet)
        drain([worker.process], offsets, world.filled[topic])
        world.wait_still(fleet, "features")
        last = last_records(world.brokers, fleet.topic("features"))
    keys = {key for letter in "up" for key in random_of.sample(
        sorted(key for key in last if key[0] == letter), world.options.sampled_keys)}
    keys |= {key for key in BUSIEST if key in last}
    got = [plain(decoded("feature_values", last[key])) for key in sorted(keys)]
    features = oracle.read_features(FEATURES.read_text())
    users, propositions = ({key.encode() for key in keys if key[0] == letter} for letter in "up")
    want = []
    for scope, lines in zip(("user", "proposition"), lines_about(world.bench_a_file(), users, propositions)):
        want += expected([f for f in features if f.scope == scope], lines, keys)
    compared, differences = oracle.compare(want, got, features)
    for difference in differences[:20]:
        world.say(difference)
    return [(f"values of {len(keys)} keys (seed {SEED}) that differ from the oracle's", "0",
             f"{len(differences)} of {compared:,}", None)]
