"""Figures of workers that have more to read than they can: how fast, how much faster together, how much memory."""
from statistics import median

from features_world import Copy, between, drain, second_half, wait_logged
from usage import resident_bytes


def start(fleet, **settings):
    """A worker that has just been given its partitions and has nothing to restore."""
    worker = fleet.start("features", ready=False, **settings)
    wait_logged(worker, "checkpoints_read")
    return worker


def told(name, samples):
    whole, half = between(samples[0], samples[-1]), second_half(samples)
    return (f"{name}: {whole.per_cpu_s:,.0f} events per CPU-second, second half {half.per_cpu_s:,.0f}; "
            f"{whole.per_s:,.0f}/s in {whole.wall_s:.1f} s")


# ---------------------------------------------------------------- throughput

def drain_worker(world, topic, total, **settings):
    with world.draining(topic, **settings) as (fleet, offsets):
        return drain([start(fleet).process], offsets, total)


def drain_copy(world, topic, total):
    with Copy(world, topic) as copy:
        return drain([copy.process], copy.offsets, total)


def throughput(world):
    """Events per CPU-second of the worker as a share of the bare copy's."""
    topic = world.bench_a()
    total = world.filled[topic]
    runs = {"copy": [], "worker": []}
    for number in range(world.options.rounds):
        for name, drained in (("copy", drain_copy), ("worker", drain_worker)):
            samples = drained(world, topic, total)
            runs[name].append(samples)
            world.say(f"round {number + 1}, {told(name, samples)}")
    rows = []
    for part, cut in (("whole run", lambda samples: between(samples[0], samples[-1])), ("second half", second_half)):
        worker, copy = (median(cut(samples).per_cpu_s for samples in runs[name]) for name in ("worker", "copy"))
        rows.append((f"events per CPU-second, {part}", "0.6 of the bare copy",
                     f"{worker:,.0f} against {copy:,.0f}", worker / copy))
    worker, copy = (median(between(s[0], s[-1]).per_s for s in runs[name]) for name in ("worker", "copy"))
    return [*rows, ("events/s by the wall clock, broker beside it", "-", f"{worker:,.0f} against {copy:,.0f}",
                    worker / copy)]


# ---------------------------------------------------------------- two

def drain_together(world, topic, total, count):
    with world.draining(topic) as (fleet, offsets):
        workers = [fleet.start("features", ready=False) for _ in range(count)]
        shares = [wait_logged(worker, "checkpoints_read")["partitions"] for worker in workers]
        if min(shares) != max(shares):
            raise RuntimeError(f"partitions were not shared evenly: {shares}")
        return drain([worker.process for worker in workers], offsets, total)


def two(world):
    """Two workers against one. The broker has what they leave of the cores."""
    topic = world.bench_a()
    runs = {1: [], 2: []}
    for number in range(world.options.rounds):
        for count, drains in runs.items():
            samples = drain_together(world, topic, world.filled[topic], count)
            drains.append(between(samples[0], samples[-1]))
            world.say(f"round {number + 1}, {told(f'{count} of them', samples)}")
    rows = []
    for what, wanted, value in (("by the wall clock, broker beside them", "1.8 of one", "per_s"),
                                ("a CPU-second of all of them", "-", "per_cpu_s")):
        one, both = (median(getattr(d, value) for d in runs[count]) for count in (1, 2))
        rows.append((f"two workers: events/s {what}", wanted, f"{both:,.0f} against {one:,.0f}", both / one))
    return rows


# ---------------------------------------------------------------- growth

def of_population(world, users, events):
    """A topic with one event of each user and so many events of any after them."""
    return world.events(f"population-{users}", world.options.fill, "BROKERS", "NAME", users, events, 1)


def after_all_users(samples, users):
    """From the first sample on at which there was an event of each."""
    return between(next(s for s in samples if s.done >= users), samples[-1])


def growth(world):
    """Events per CPU-second once all users are there: many users against few, the same events otherwise."""
    figures = []
    for users in (world.options.few_users, world.options.many_users):
        topic = of_population(world, users, world.options.growth_events)
        samples = drain_worker(world, topic, world.filled[topic])
        figures.append(after_all_users(samples, users).per_cpu_s)
        world.say(f"{users:,} users, {told('all', samples)}; after the first of each user {figures[-1]:,.0f}")
        world.forget(topic)
    few, many = figures
    return [(f"events per CPU-second at {world.options.many_users:,} users against {world.options.few_users:,}",
             "0.7", f"{many:,.0f} against {few:,.0f}", many / few)]


# ---------------------------------------------------------------- memory

def empty_bytes(world):
    """What a worker without any events takes."""
    with world.draining(world.events("none")) as (fleet, _):
        return resident_bytes(fleet.start("features").process)


def memory(world):
    """Resident memory a user, when all events are in and their values are published."""
    users = world.options.memory_users
    topic = of_population(world, users, world.options.memory_events)
    with world.draining(topic) as (fleet, offsets):
        worker = start(fleet)
        drain([worker.process], offsets, world.filled[topic])
        world.wait_still(fleet, "features")
        resident = resident_bytes(worker.process)
        metrics = worker.metrics()
    world.forget(topic)
    empty = empty_bytes(world)
    state = metrics["flotilla_features_state_bytes"]
    world.say(f"resident {resident / 1e6:,.1f} MB, of an empty worker {empty / 1e6:,.1f} MB; state as the worker "
              f"counts it {state / 1e6:,.1f} MB in {metrics['flotilla_features_state_keys']:,.0f} keys")
    net, gross = (resident - empty) / users, resident / users
    events = (users + world.options.memory_events) / users
    return [(f"memory a user, {users:,} users, {events:.1f} events each: without an empty worker's", "200 bytes",
             f"{net:.0f} bytes", net / 200),
            ("the same with everything the process has", "-", f"{gross:.0f} bytes", gross / 200)]
