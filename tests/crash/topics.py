"""What stands on the topics of a fleet, as another Kafka client than its own sees it: records, ends, offsets."""
import io
import json
import time
from functools import cache

import avro
import fastavro
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from fleet import plain

REQUEST_S = 10
READ_LIMIT_S = 60
READ_BATCH = 2000
READ_TURN_S = 0.05          # it waits for a full batch


class Topics:
    """All methods ask the servers anew; they fail with KafkaException, or TimeoutError, while those do not answer."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.brokers = fleet.stack.brokers
        self.admin = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0,
                                  "reconnect.backoff.max.ms": 500})

    def partitions(self):
        """[(topic, partition)] of the fleet."""
        topics = self.admin.list_topics(timeout=REQUEST_S).topics
        return [(name, partition) for name, topic in topics.items() if name.startswith(self.fleet.prefix)
                for partition in topic.partitions]

    def ends(self, partitions, isolation=IsolationLevel.READ_UNCOMMITTED):
        """{(topic, partition): offset behind the last record}; READ_COMMITTED: before the first open transaction."""
        asked = self.admin.list_offsets({TopicPartition(*place): OffsetSpec.latest() for place in partitions},
                                        isolation_level=isolation, request_timeout=REQUEST_S)
        return {(place.topic, place.partition): future.result().offset for place, future in asked.items()}

    def committed(self, group):
        """{(topic, partition): offset} of a group."""
        name = self.fleet.topic(group)
        asked = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)],
                                                       request_timeout=REQUEST_S)
        return {(p.topic, p.partition): p.offset for p in asked[name].result().topic_partitions}

    def read(self, name):
        """All committed records of a topic, in the order of each partition."""
        topic = self.fleet.topic(name)
        consumer = Consumer({"bootstrap.servers": self.brokers, "group.id": f"{topic}.reader",
                             "enable.auto.commit": False, "isolation.level": "read_committed",
                             "enable.partition.eof": True, "auto.offset.reset": "error", "log_level": 0})
        try:
            places = [TopicPartition(*place, 0) for place in self.partitions() if place[0] == topic]
            for place in places:
                place.offset = consumer.get_watermark_offsets(place, timeout=REQUEST_S)[0]
            consumer.assign(places)
            messages, left, deadline = [], len(places), time.monotonic() + READ_LIMIT_S
            while left:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{topic}: {left} partitions are not at their end after {READ_LIMIT_S} s")
                for message in consumer.consume(READ_BATCH, timeout=READ_TURN_S):
                    if not message.error():
                        messages.append(message)
                    elif message.error().code() == KafkaError._PARTITION_EOF:
                        left -= 1
                    else:
                        raise RuntimeError(f"{topic}: {message.error()}")
            return messages
        finally:
            consumer.close()

    def remove(self):
        """Topics and groups of the fleet, as far as they are there."""
        names = sorted({topic for topic, _ in self.partitions()})
        groups = [g.group_id for g in self.admin.list_consumer_groups(request_timeout=REQUEST_S).result().valid
                  if g.group_id.startswith(self.fleet.prefix)]
        futures = self.admin.delete_topics(names, operation_timeout=REQUEST_S) if names else {}
        for future in futures.values():
            future.result()
        # Of a member that was killed a moment ago the group does not know yet; an empty group costs next to nothing.
        for future in (self.admin.delete_consumer_groups(groups) if groups else {}).values():
            future.exception()


# ---------------------------------------------------------------- decoding

@cache
def schema(name):
    return fastavro.parse_schema(json.loads((avro.SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8")))


def decoded(name, value):
    """A record of schemas/NAME.avsc in single-object encoding, or as JSON."""
    header = avro.header(name)
    if value[:1] == b"{":
        return json.loads(value)
    if value[:len(header)] != header:
        raise ValueError(f"not one of {name}: {value[:16].hex()}")
    return fastavro.schemaless_reader(io.BytesIO(value[len(header):]), schema(name), None)


def last_values(messages):
    """Of the topic features the last record of each scope and key, as the oracle prints them."""
    last = {}
    for message in messages:
        if message.value() is not None:
            record = decoded("feature_values", message.value())
            as_of = record["as_of"]
            record["as_of"] = as_of if isinstance(as_of, int) else round(as_of.timestamp() * 1000)
            last[record["scope"], tuple(record["key"])] = record
    return [plain(record) for record in last.values()]
