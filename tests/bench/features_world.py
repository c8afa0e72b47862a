"""What the figures of features.py are measured on: topics of events, workers that read them, and readings of both."""
import os
import subprocess
import time
from contextlib import contextmanager
from typing import NamedTuple

import stack as stacks
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from fleet import SETTINGS, Fleet, wait_until
from usage import cpu_s

FEATURES = stacks.ROOT / "tests/bench/features.features.yaml"
PARTITIONS = 4
# A topic's name is the fleet's prefix and a name: run n has the first n of these as its prefix and the others in the
# name of its events, so all runs read the same topic, each with a group and topics of its own.
LETTERS = "x" * 60
SAMPLE_S = 0.02
DRAIN_LIMIT_S = 1800
KAFKA_LIMIT_S = 30
STILL_S = 3                     # several times the interval at which a worker publishes

# Workers that are started together are given their partitions together.
os.environ["KAFKA_PROPERTIES"] = stacks.KAFKA_PROPERTIES + "\ngroup.initial.rebalance.delay.ms=1000"


class Sample(NamedTuple):
    """What had been done, and what it had cost, at a time."""
    at_s: float
    cpu_s: float
    done: int                   # events committed


class Drain(NamedTuple):
    """What it took to commit events, from the first of them or from some place in the middle."""
    events: int
    cpu_s: float
    wall_s: float

    @property
    def per_cpu_s(self):
        return self.events / self.cpu_s

    @property
    def per_s(self):
        return self.events / self.wall_s


def between(first, last):
    return Drain(last.done - first.done, last.cpu_s - first.cpu_s, last.at_s - first.at_s)


def second_half(samples):
    """From the first sample with half of the events on."""
    half = next(s for s in samples if 2 * s.done >= samples[-1].done)
    return between(half, samples[-1])


class Offsets:
    """How far a group has committed a topic. Asked of the broker: the process that is measured has no part in it."""

    def __init__(self, brokers, group, topic):
        # Not of committed records only: that would wait for the transaction under way.
        self.consumer = Consumer({"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False,
                                  "isolation.level": "read_uncommitted"})
        self.partitions = [TopicPartition(topic, p) for p in range(PARTITIONS)]

    def committed(self):
        """Records, of a topic that has lost none."""
        return sum(max(p.offset, 0) for p in self.consumer.committed(self.partitions, timeout=KAFKA_LIMIT_S))

    def end(self):
        return sum(self.consumer.get_watermark_offsets(p, timeout=KAFKA_LIMIT_S)[1] for p in self.partitions)

    def close(self):
        self.consumer.close()


@contextmanager
def on_core(number):
    """What is started meanwhile runs on this core alone; None: on any."""
    before = os.sched_getaffinity(0)
    if number is not None:
        os.sched_setaffinity(0, {number})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def traffic(world, topic, rate, seconds):
    """Events of bench-A at a rate, while it is entered."""
    sender = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", world.options.pace, world.brokers, topic,
                               world.bench_a_file(), str(rate), str(seconds)], stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        sender.kill()
        sender.wait()


class World:
    def __init__(self, test, options):
        self.test = test
        self.options = options
        self.stack = stacks.stack()
        self.brokers = self.stack.brokers
        self.admin = AdminClient({"bootstrap.servers": self.brokers})
        self.folder = stacks.logs()
        self.filled = {}            # topics of events: how many are in them
        self.runs = 0

    def say(self, text):
        print(f"  {text}", flush=True)

    # ------------------------------------------------------------ topics of events

    def create_topic(self, name):
        created = self.admin.create_topics([NewTopic(name, PARTITIONS, 1, config={
            "retention.ms": "-1", "message.timestamp.type": "CreateTime"})])
        created[name].result(KAFKA_LIMIT_S)
        wait_until(lambda: self.has_leaders(name), f"{name} has no leaders", KAFKA_LIMIT_S)

    def has_leaders(self, name):
        try:
            return self.count(name) >= 0
        except KafkaException:
            return False

    def delete_topics(self, names):
        for deleted in self.admin.delete_topics(names).values():
            deleted.result(KAFKA_LIMIT_S)

    def events(self, name, *fill):
        """The topic of events with this name. It is filled when it is first asked for: by the command, with NAME and
        BROKERS in the place of these words. Without one it stays empty."""
        topic = LETTERS + name
        if topic not in self.filled:
            self.create_topic(topic)
            started = time.monotonic()
            if fill:
                self.run(*fill, BROKERS=self.brokers, NAME=topic)
            self.filled[topic] = self.count(topic)
            self.say(f"{self.filled[topic]:,} events are there ({time.monotonic() - started:.0f} s)")
        return topic

    def forget(self, topic):
        """Makes room."""
        del self.filled[topic]
        self.delete_topics([topic])

    def run(self, *command, **words):
        done = subprocess.run([words.get(str(word), str(word)) for word in command], capture_output=True, text=True,
                              timeout=DRAIN_LIMIT_S)
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def count(self, topic):
        offsets = Offsets(self.brokers, "count", topic)
        try:
            return offsets.end()
        finally:
            offsets.close()

    def wait_still(self, fleet, name, least=0):
        """Until so many records are in a fleet's topic, and nothing has been written to it for a while."""
        ends, since = self.count(fleet.topic(name)), time.monotonic()
        deadline = since + DRAIN_LIMIT_S
        while ends < least or time.monotonic() < since + STILL_S:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} has {ends:,} records, or still grows")
            time.sleep(0.5)
            if (now := self.count(fleet.topic(name))) != ends:
                ends, since = now, time.monotonic()
        return ends

    def bench_a_file(self):
        """The events of bench-A in a file, for programs that send them at a rate."""
        path = self.folder / "bench-a.events"
        if not path.exists():
            self.run(self.options.generator, "file", path, PARTITIONS, self.options.events, 1)
        return path

    def bench_a(self):
        return self.events("bench-a", self.options.generator, "kafka", "BROKERS", "NAME", PARTITIONS,
                           self.options.events, 1)

    # ------------------------------------------------------------ workers

    def fleet(self, topic, **settings):
        """A new one on a topic of events, with the settings that programs have by themselves."""
        self.runs += 1
        prefix = LETTERS[:self.runs]
        fleet = Fleet(self.test, partitions=PARTITIONS, **{
            **dict.fromkeys(SETTINGS), "features.file": FEATURES, "kafka.prefix": prefix,
            "topics.events": topic.removeprefix(prefix), **self.options.settings, **settings})
        fleet.prefix = prefix
        fleet.create_topics()
        return fleet

    def offsets(self, fleet, topic):
        return Offsets(self.brokers, fleet.topic("features"), topic)

    @contextmanager
    def draining(self, topic, **settings):
        """A new fleet, without workers, and the offsets of its group. Its topics are deleted behind it."""
        fleet = self.fleet(topic, **settings)
        offsets = self.offsets(fleet, topic)
        try:
            yield fleet, offsets
        finally:
            offsets.close()
            for worker in fleet.running():
                worker.kill()
            self.delete_topics([name for name in self.admin.list_topics(timeout=KAFKA_LIMIT_S).topics
                                if name.startswith(fleet.prefix) and not name.startswith(fleet.prefix + LETTERS[0])])


def logged(worker, event):
    """The last line of this kind in a worker's log, or None."""
    return next((line for line in reversed(list(worker.records())) if line.get("event") == event), None)


def wait_logged(worker, event, limit_s=DRAIN_LIMIT_S):
    return wait_until(lambda: worker.is_running() and logged(worker, event),
                      lambda: f"no {event} in {worker.log}", limit_s)


def sample(processes, offsets):
    return Sample(time.monotonic(), sum(map(cpu_s, processes)), offsets.committed())


def drain(processes, offsets, total):
    """Samples until so many events are committed. Processes have just been given their partitions: what they had used
    until then is no part of it."""
    samples = [sample(processes, offsets)]
    while samples[-1].done < total:
        if samples[-1].at_s - samples[0].at_s > DRAIN_LIMIT_S:
            raise TimeoutError(f"{samples[-1].done:,} of {total:,} events after {DRAIN_LIMIT_S} s")
        time.sleep(SAMPLE_S)
        samples.append(sample(processes, offsets))
        if any(p.poll() is not None for p in processes):
            raise RuntimeError("a process has ended: see the logs")
    return samples


class Copy:
    """The bare copy of a topic while it is entered."""

    def __init__(self, world, topic):
        self.world = world
        self.topic = topic

    def __enter__(self):
        world = self.world
        world.runs += 1
        self.to = f"copy-{world.runs}"
        world.create_topic(self.to)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", world.options.copy, world.brokers, self.topic, self.to, self.to,
             str(world.options.copy_commit_ms)], stdout=subprocess.PIPE, text=True)
        self.offsets = Offsets(world.brokers, self.to, self.topic)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the copy does not start")
        return self

    def __exit__(self, *_):
        self.offsets.close()
        self.process.terminate()
        self.process.communicate(timeout=KAFKA_LIMIT_S)
        self.world.delete_topics([self.to])
