"""Figures of workers that begin with a state: how fast they read it, and how soon they work again after a kill."""
import time
from statistics import median

from features_drains import of_population, start
from features_world import SAMPLE_S, drain, logged, on_core, traffic, wait_logged
from fleet import wait_until
from usage import cpu_s

RESTORE_CORE = 0
WORKING_LIMIT_S = 120
BEFORE_KILL_S = 5               # of traffic
HALF_A_SECOND = 0.5             # of traffic that has not been committed yet: the worker has caught up


def checkpointed(world, fleet, offsets, users, **settings):
    """A worker that has taken an event of each user in and written the state of all of them."""
    worker = start(fleet, **settings)
    drain([worker.process], offsets, users)
    ends = world.wait_still(fleet, "state.user", users)
    world.say(f"checkpoints of {worker.metrics()['flotilla_features_state_keys']:,.0f} keys are there, "
              f"{ends:,} offsets long")
    return worker


# ---------------------------------------------------------------- restore

def restore_once(fleet):
    """The line of the log that tells of it, and CPU-seconds from the start of the process on."""
    with on_core(RESTORE_CORE):
        worker = fleet.start("features", ready=False)
        line = wait_logged(worker, "checkpoints_read")
        used = cpu_s(worker.process)
    worker.wait_ready()
    worker.stop()
    return line, used


def restore(world):
    """Keys a second from a checkpoint, on one core. The log behind it is there, but nothing of it is replayed."""
    users = world.options.restore_users
    topic = of_population(world, users, 0)
    runs = []
    with world.draining(topic) as (fleet, offsets):
        checkpointed(world, fleet, offsets, users, checkpoint_interval_ms=1000).stop()
        for number in range(world.options.rounds):
            line, used = restore_once(fleet)
            runs.append((line["keys"] / line["seconds"], line["keys"] / used))
            world.say(f"round {number + 1}: {line['keys']:,} keys of {line['records']:,} records in "
                      f"{line['seconds']:.2f} s, {used:.2f} CPU-seconds; {line['to_replay_records']:,} to replay")
    world.forget(topic)
    by_clock, by_cpu = (median(run[i] for run in runs) for i in (0, 1))
    return [(f"restore of {users:,} users on one core: keys/s", "1,000,000", f"{by_clock:,.0f}", by_clock / 1e6),
            ("the same: keys per CPU-second, start of the process included", "-", f"{by_cpu:,.0f}", by_cpu / 1e6)]


# ---------------------------------------------------------------- restart

def kill_and_restart(world, fleet, offsets, worker):
    """(new worker, seconds from the kill to its first commit, to having caught up with the traffic)"""
    killed = time.monotonic()
    worker.kill()
    worker = fleet.start("features", ready=False, instance="restarted")
    before, first, deadline = offsets.committed(), None, killed + WORKING_LIMIT_S
    while time.monotonic() < deadline:
        time.sleep(SAMPLE_S)
        committed = offsets.committed()
        if not logged(worker, "checkpoints_read"):
            before = committed          # the end of the transaction under way when it was killed
        elif first is None and committed > before:
            first = time.monotonic() - killed
        if first and offsets.end() - committed < HALF_A_SECOND * world.options.restart_rate:
            return worker, first, time.monotonic() - killed
    raise TimeoutError(f"the worker does not work again {WORKING_LIMIT_S} s after it was killed: {worker.log}")


def restart(world):
    """kill -9 of a worker with a name of its own, under traffic, started again at once."""
    users, rate = world.options.restart_users, world.options.restart_rate
    topic = of_population(world, users, 0)
    times = []
    with world.draining(topic) as (fleet, offsets):
        worker = checkpointed(world, fleet, offsets, users, instance="restarted")
        with traffic(world, topic, rate, world.options.rounds * (BEFORE_KILL_S + WORKING_LIMIT_S)):
            for number in range(world.options.rounds):
                wait_until(worker.is_ready, "not ready", WORKING_LIMIT_S)
                time.sleep(BEFORE_KILL_S)
                worker, first, caught_up = kill_and_restart(world, fleet, offsets, worker)
                line = logged(worker, "checkpoints_read")
                times.append((first, caught_up))
                world.say(f"round {number + 1}: first commit after {first:.2f} s, caught up after {caught_up:.2f} s; "
                          f"{line['keys']:,} keys in {line['seconds']:.2f} s, {line['to_replay_records']:,} to replay")
    world.forget(topic)
    first, caught_up = (median(t[i] for t in times) for i in (0, 1))
    return [(f"kill -9 to the first commit, {users:,} users, {rate:,} events/s", "3 s", f"{first:.2f} s", first / 3),
            ("the same until it has caught up", "-", f"{caught_up:.2f} s", caught_up / 3)]
