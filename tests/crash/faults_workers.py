"""Faults of workers: killed, ended, frozen, come and gone, with clocks that jump."""
import json
import signal
import time

from fleet import wait_until

from faults import fault

KINDS = ("features", "recorder")
SESSION_S = 3               # kafka.session.timeout.ms of the fleet
MOVED_LIMIT_S = 150         # a broker may be down meanwhile, and start again on a machine with much to do


def pause(rng, longest_s):
    """Some time, often next to none: what a fault meets depends on it."""
    time.sleep(longest_s * rng.random() ** 2)


# ---------------------------------------------------------------- killed and ended

def kill_one(world, rng, kind):
    with world.one(kind, rng) as copy:
        copy.kill()
        pause(rng, 1)


@fault("worker-kill", weight=3)
def worker_kill(world, rng):
    """kill -9 of one copy; it comes back at once or a little later."""
    kill_one(world, rng, "features")


@fault("recorder-kill", weight=2, needs="recorder")
def recorder_kill(world, rng):
    """kill -9 of one recorder."""
    kill_one(world, rng, "recorder")


@fault("worker-kill-again", weight=2)
def worker_kill_again(world, rng):
    """The same copy several times, so that it dies while it starts, restores, and just after."""
    with world.one("features", rng) as copy:
        for _ in range(rng.randint(2, 5)):
            copy.kill()
            copy.start()
            pause(rng, 1.5)


@fault("recorder-kill-again", weight=1, needs="recorder")
def recorder_kill_again(world, rng):
    """The same recorder several times, so that it dies while it starts and just after."""
    with world.one("recorder", rng) as copy:
        for _ in range(rng.randint(2, 5)):
            copy.kill()
            copy.start()
            pause(rng, 1)


@fault("worker-kill-all", weight=2)
def worker_kill_all(world, rng):
    """kill -9 of all copies at once; they come back at different times."""
    with world.all("features") as copies:
        for copy in copies:
            copy.signal(signal.SIGKILL)
        for copy in rng.sample(copies, k=len(copies)):
            copy.wait_end()
            pause(rng, 0.5)
            copy.start()


@fault("worker-stop", weight=2)
def worker_stop(world, rng):
    """SIGTERM in the middle of it: an end in good order, with status 0."""
    with world.one("features", rng) as copy:
        copy.stop()
        pause(rng, 1)


@fault("recorder-stop", weight=1, needs="recorder")
def recorder_stop(world, rng):
    """SIGTERM of a recorder in the middle of it."""
    with world.one("recorder", rng) as copy:
        copy.stop()
        pause(rng, 0.5)


@fault("worker-stop-and-kill", weight=1)
def worker_stop_and_kill(world, rng):
    """SIGTERM, and kill -9 while it drains."""
    with world.one("features", rng) as copy:
        copy.signal(signal.SIGTERM)
        pause(rng, 0.3)
        copy.kill()


# ---------------------------------------------------------------- copies that come and go

@fault("worker-joins", weight=2)
def worker_joins(world, rng):
    """One copy more for a while; it leaves in good order or killed."""
    extra = world.new_copy("features", f"features-extra-{rng.getrandbits(32):08x}")
    time.sleep(rng.uniform(0.5, 4))
    let_go(world, extra, rng.choice(["stop", "kill"]))


@fault("worker-leaves", weight=1)
def worker_leaves(world, rng):
    """One copy is away for longer than its session, so that its partitions move."""
    with world.one("features", rng) as copy:
        getattr(copy, rng.choice(["stop", "kill"]))()
        time.sleep(SESSION_S + rng.uniform(0.5, 2))


@fault("rebalance-storm", weight=1)
def rebalance_storm(world, rng):
    """Copies join and leave within moments, while others are still joining."""
    extras = []
    for number in range(rng.randint(3, 6)):
        extras.append(world.new_copy("features", f"features-storm-{rng.getrandbits(32):08x}"))
        time.sleep(rng.uniform(0.1, 0.8))
        if rng.random() < 0.5:
            let_go(world, extras.pop(rng.randrange(len(extras))), rng.choice(["stop", "kill"]))
    for extra in extras:
        let_go(world, extra, rng.choice(["stop", "kill"]))


def let_go(world, copy, how):
    """For ever. Whoever holds it is waited for."""
    with world.copies.held([copy]):
        copy.wanted = False
        getattr(copy, how)()


# ---------------------------------------------------------------- frozen

@fault("worker-frozen", weight=1)
def worker_frozen(world, rng):
    """SIGSTOP for less than the session."""
    freeze_one(world, rng, "features", rng.uniform(0.1, SESSION_S * 0.8))


@fault("recorder-frozen", weight=1, needs="recorder")
def recorder_frozen(world, rng):
    """SIGSTOP of a recorder, for less or for more than its session."""
    freeze_one(world, rng, "recorder", rng.uniform(0.1, SESSION_S * 2))


def freeze_one(world, rng, kind, seconds):
    with world.one(kind, rng) as copy:
        copy.start()
        copy.freeze()
        time.sleep(seconds)
        copy.thaw()


@fault("worker-zombie", weight=1)
def worker_zombie(world, rng):
    """SIGSTOP until its partitions have moved to others, who go on with them; then it wakes.

    What it adds then, if anything, is found by the comparison. That it does something is looked at here: it ends, or it
    is a member again and ready."""
    with world.one("features", rng) as copy:
        copy.start()
        wait_until(lambda: not copy.is_running() or copy.worker.get("/readyz")[0] == 200, "it does not start",
                   MOVED_LIMIT_S)
        if not copy.is_running():
            return
        successor = world.new_copy("features", f"features-successor-{rng.getrandbits(32):08x}")
        copy.freeze()
        frozen = copy.worker
        wait_until(lambda: is_taken_over(world, copy), lambda: f"nobody takes over from {copy}\n{world.story()}",
                   MOVED_LIMIT_S)
        pause(rng, 1)
        copy.thaw()
        wait_until(lambda: not frozen.is_running() or frozen.get("/readyz")[0] == 200,
                   lambda: f"{copy} neither ends nor comes back\n{world.story()}", MOVED_LIMIT_S)
        world.note(f"{copy} woke and {'came back' if frozen.is_running() else 'ended'}")
    let_go(world, successor, "stop")


def is_taken_over(world, gone):
    """Whether the other copies have every partition, restored, and have committed since they had."""
    others = [copy.worker for copy in world.copies.of(gone.kind) if copy is not gone]
    statuses = [status for worker in others if worker and (status := status_of(worker))]
    lanes = [lane for status in statuses for lane in status["partitions"]]
    owned = {(lane["topic"], lane["partition"]) for lane in lanes if not lane["restoring"]}
    wanted = {(world.fleet.topic(topic), partition) for topic in ("events", "feature.deltas")
              for partition in range(world.fleet.settings["kafka.partitions"])}
    return owned >= wanted and all(lane["committed"] >= 0 for lane in lanes)


def status_of(worker):
    """What a worker says on /status, None if it does not."""
    code, text = worker.get("/status")
    status = json.loads(text) if code == 200 else {}
    return status if "partitions" in status else None
