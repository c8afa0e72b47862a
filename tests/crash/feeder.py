"""Sends records to the topic events at a steady pace, each once, and knows where each of them came to stand.

Kafka's own idempotent producer, not the fleet's: it goes on for as long as servers are away.
"""
import threading
import time

from confluent_kafka import Producer
from fleet import wait_until

DELIVERY_LIMIT_MS = 0       # none: a broker may be away for as long as a round takes
LIMIT_S = 300


class Feeder(threading.Thread):
    """places: of each record its (partition, offset), once it is acknowledged."""

    def __init__(self, fleet, records, seconds):
        super().__init__(name="feeder", daemon=True)
        self.topic = fleet.topic("events")
        self.records = records
        self.seconds = seconds
        self.places = [None] * len(records)
        self.acknowledged = self.sent = 0
        self.problem = None
        self.closing = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": fleet.stack.brokers, "partitioner": "murmur2_random", "enable.idempotence": True,
            "delivery.timeout.ms": DELIVERY_LIMIT_MS, "linger.ms": 2, "socket.timeout.ms": 5000,
            "reconnect.backoff.max.ms": 500, "log_level": 0})

    def run(self):
        began = time.monotonic()
        try:
            for number, record in enumerate(self.records):
                self.send(number, record)
                ahead_s = began + self.seconds * number / len(self.records) - time.monotonic()
                self.producer.poll(0)
                if ahead_s > 0 and self.closing.wait(ahead_s) or self.closing.is_set():
                    return
            while self.producer.flush(0.2) and not self.closing.is_set():
                pass
        except Exception as e:              # is raised again where somebody waits for records
            self.problem = e

    def send(self, number, record):
        def on_delivery(error, message):
            if error:
                self.problem = RuntimeError(f"record {number} was not delivered: {error}")
            else:
                self.places[number] = (message.partition(), message.offset())
                self.acknowledged += 1

        self.producer.produce(self.topic, record.value, record.key, timestamp=record.timestamp,
                              on_delivery=on_delivery)
        self.sent = number + 1

    def has_reached(self, share):
        if self.problem:
            raise self.problem
        return (self.acknowledged == len(self.records) if share >= 1
                else self.sent >= share * len(self.records))

    def wait_for(self, share):
        """Until that share of the records was handed to the client; 1: until all are acknowledged."""
        wait_until(lambda: self.has_reached(share), lambda: f"{self.acknowledged} of {len(self.records)} records are "
                   f"acknowledged, {self.sent} sent", LIMIT_S)

    def close(self):
        self.closing.set()
        self.join()
