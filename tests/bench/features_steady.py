"""Figures of workers that have time to spare: how fresh values are, and what it costs to wait."""
import json
import time

from features_drains import drain_worker
from features_world import between, traffic
from usage import cpu_s, thread_cpu_s

WARM_UP_S = 5
COMMIT_INTERVAL_MS = 100        # by default


# ---------------------------------------------------------------- freshness

def capacity(world):
    """Events a second that a worker takes in which publishes at once, in epochs no longer than those of one that is
    not behind: longer ones would write less."""
    topic = world.bench_a()
    samples = drain_worker(world, topic, world.filled[topic], publish_interval_ms=0,
                           max_commit_interval_ms=COMMIT_INTERVAL_MS)
    return between(samples[0], samples[-1]).per_s


def freshness(world):
    """From an event's Kafka timestamp to the instant at which its values can be read, at half load."""
    rate = world.options.rate
    if not rate:
        whole = capacity(world)
        rate = int(whole / 2)
        world.say(f"drained at {whole:,.0f} events/s; {rate:,} are sent from here on")
    topic = world.events("fresh")
    with world.draining(topic, publish_interval_ms=0) as (fleet, _):
        worker = fleet.start("features")
        before = cpu_s(worker.process)
        took = json.loads(world.run(world.options.pace, world.brokers, topic, world.bench_a_file(), rate,
                                    world.options.seconds, fleet.topic("features")))
        used, metrics = cpu_s(worker.process) - before, worker.metrics()
    world.forget(topic)
    epochs = metrics["flotilla_transaction_epochs_total"]
    world.say(f"{took['sent']:,} sent, at most {took['late_ms']:.0f} ms late; the worker used "
              f"{used / world.options.seconds:.2f} of a core; {epochs:,.0f} epochs of "
              f"{metrics['flotilla_transaction_records_total'] / epochs:,.0f} records, committed in "
              f"{metrics['flotilla_transaction_commit_seconds_sum'] / epochs * 1000:.0f} ms on average")
    rows = []
    for name, what in (("user", "user"), ("proposition", "proposition, by way of feature.deltas")):
        for part, bound_ms in (("p50_ms", 30), ("p99_ms", 150)):
            wanted_ms, got_ms = COMMIT_INTERVAL_MS + bound_ms, took[name][part]
            rows.append((f"event to value at {rate:,}/s, {part[:3].replace('p50', 'median')}, of the {what}",
                         f"{wanted_ms} ms" if name == "user" else "-", f"{got_ms:.0f} ms", got_ms / wanted_ms))
    return rows


# ---------------------------------------------------------------- idle

def share_of_core(process, seconds):
    """(all of it, by threads)"""
    before, threads, since = cpu_s(process), thread_cpu_s(process), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - since
    used = thread_cpu_s(process) - threads
    return (cpu_s(process) - before) / passed, {name: s / passed for name, s in used.most_common()}


def idle(world):
    """Processor time of a worker with little to do, and with nothing."""
    seconds, rate = world.options.seconds, world.options.idle_rate
    topic = world.events("idle")
    with world.draining(topic) as (fleet, offsets):
        worker = fleet.start("features")
        time.sleep(WARM_UP_S)
        nothing, _ = share_of_core(worker.process, seconds)
        with traffic(world, topic, rate, seconds + 3 * WARM_UP_S):
            time.sleep(WARM_UP_S)
            before, epochs = offsets.committed(), worker.metrics()["flotilla_transaction_epochs_total"]
            little, threads = share_of_core(worker.process, seconds)
            events, epochs = (offsets.committed() - before,
                              worker.metrics()["flotilla_transaction_epochs_total"] - epochs)
    world.forget(topic)
    world.say(f"{events:,} events in {seconds} s, {epochs:,.0f} epochs; by threads: " +
              ", ".join(f"{name} {share:.2%}" for name, share in threads.items()))
    return [(f"CPU at {rate:,} events/s", "2 % of a core", f"{little:.2%}", little / 0.02),
            ("CPU without any events", "-", f"{nothing:.2%}", None)]
