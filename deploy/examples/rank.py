#!/usr/bin/env python3
"""An application that asks Flotilla what to show to some users: a line for each, with its propositions, best first.

  rank.py BROKERS PREFIX SCHEMA USER...

PREFIX is the setting kafka.prefix of the fleet, as a rule "". SCHEMA is share/flotilla/schemas/ranking.avsc of the
installation. Needs confluent-kafka and fastavro. A service would keep its clients open, and read `rankings` all the
time.
"""
import io
import json
import sys
import time
import uuid

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

brokers, prefix, schema_file, *users = sys.argv[1:]
schema = fastavro.schema.load_schema(schema_file)
# The partition of a user is chosen as Java clients do, as is that of the user's events.
producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random"})
consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"{prefix}rank-example", "enable.auto.commit": False})

# Before the first request is sent, so that no answer is missed: from where the topic ends.
places = [TopicPartition(prefix + "rankings", number)
          for number in consumer.list_topics(prefix + "rankings").topics[prefix + "rankings"].partitions]
for place in places:
    place.offset = consumer.get_watermark_offsets(place)[1]
consumer.assign(places)

waiting = {}
for user in users:
    request = {"request_id": str(uuid.uuid4()), "user_id": user, "timestamp": time.time_ns() // 1_000_000, "limit": 5}
    waiting[request["request_id"]] = user
    producer.produce(prefix + "rank.requests", key=user, value=json.dumps(request))
producer.flush()

until = time.monotonic() + 10
while waiting and time.monotonic() < until:
    message = consumer.poll(0.1)
    if message is None or message.error():
        continue
    value = message.value()
    # Ten bytes say the schema; five where the fleet has a schema registry.
    ranking = fastavro.schemaless_reader(io.BytesIO(value[5 if value[0] == 0 else 10:]), schema)
    # It may be the answer to somebody else, or come a second time: under the same request_id.
    if waiting.pop(ranking["request_id"], None) is not None:
        print(ranking["user_id"], *(item["proposition_id"] for item in ranking["items"]))
consumer.close()
if waiting:
    sys.exit(f"no answer within 10 s for {', '.join(waiting.values())}: see `flotilla status`")
