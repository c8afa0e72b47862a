"""Copies of workers that end, or stop, at failpoints: what brings a copy to a point, and the faults that draw points.

Needs programs that were built with -DFLOTILLA_FAILPOINTS=ON.
"""
import os
import signal
from fnmatch import fnmatch
from typing import NamedTuple

from fleet import wait_until

import points
from faults import fault
from faults_workers import is_taken_over, let_go

REACH_LIMIT_S = 60          # from the start of the process to the point, on a machine with much to do
LOAD_LIMIT_S = 120          # of a stream, with the faults that hold it up
TAKE_OVER_LIMIT_S = 60      # a transaction that was left open is ended by Kafka after 10 to 20 s
ROUND_VISITS = 4            # of a fault
PASSAGES = (1, 1, 2, 5, 20)

# What brings a program to a point; the first pattern that fits counts. A point that fits none is found by a test.
WAYS = (
    ("committer.before_init", "features", "start"),
    ("committer.initialized", "features", "start"),
    ("committer.before_abort", "features", "fenced"),
    ("committer.aborted", "features", "fenced"),
    ("features.epoch.rejected", "features", "fenced"),
    ("committer.*", "features", "load"),
    ("features.epoch.*", "features", "load"),
    ("features.checkpoint.*", "features", "load"),
    ("features.intake.*", "features", "load"),
    ("features.attributes.*", "features", "load"),
    ("features.revoke.*", "features", "rebalance"),
    ("features.drain.*", "features", "drain"),
    ("features.close.*", "features", "drain"),
    ("features.*", "features", "start"),
    ("group.*", "features", "start"),
    ("kafka.*", "features", "start"),
    ("tail.*", "features", "start"),
    ("recorder.claim.*", "recorder", "start"),
    ("recorder.group.*", "recorder", "start"),
    ("recorder.home.*", "recorder", "start"),
    ("recorder.assign.*", "recorder", "start"),
    ("recorder.revoke.*", "recorder", "rebalance"),
    ("recorder.rejoin.*", "recorder", "outclaimed"),
    ("recorder.drain.*", "recorder", "drain"),
    ("recorder.close.*", "recorder", "drain"),
    ("recorder.*", "recorder", "load"),
    ("db.*", "recorder", "load"),
    ("offsets.*", "recorder", "load"),
    ("ranker.close.*", "ranker", "drain"),
    ("ranker.drain.*", "ranker", "drain"),
    ("ranker.answers.before_flush", "ranker", "drain"),
    ("ranker.answers.flushed", "ranker", "drain"),
    ("ranker.revoke.*", "ranker", "rebalance"),
    ("ranker.group.*", "ranker", "start"),
    ("ranker.assign.*", "ranker", "start"),
    ("ranker.*", "ranker", "load"),
    ("migrations.*", "flotilla", "migrate"),
    ("models.*", "flotilla", "register"),
    ("replay.*", "flotilla", "replay"),
)

# Where a copy of features stops until others have its partitions, so that what it does next is refused.
FENCED_AT = "committer.before_offsets"

# Of a commit: a copy that stops here, and wakes when it has been replaced, must not add anything.
ZOMBIE_POINTS = ("committer.*", "features.epoch.*", "recorder.commit.*", "recorder.batch.*", "db.*", "offsets.*")


class Visit(NamedTuple):
    """A point, which passage of it, and what is done there."""

    point: str
    passage: int = 1
    action: str = "kill"

    def __str__(self):
        return f"{self.point}:{self.passage}:{self.action}"


def pattern_of(point):
    """The pattern of WAYS that counts for a point; None: there is none."""
    return next((pattern for pattern, *_ in WAYS if fnmatch(point, pattern)), None)


def way_of(point):
    """(program, what brings it there); None if nobody has said so."""
    return next((way for pattern, *way in WAYS if pattern == pattern_of(point)), None)


def all_points():
    return sorted(points.points(points.source()))


def points_of(program, *ways):
    """Points of a program that one of the ways leads to."""
    return [p for p in all_points() if (found := way_of(p)) and found[0] == program and found[1] in ways]


# ---------------------------------------------------------------- one visit

def has_fired(worker, visit):
    return any(r.get("event") == "failpoint" and r.get("point") == visit.point and r.get("action") == visit.action
               for r in worker.records())


def is_stopped(worker):
    """Whether the process has been stopped by a signal."""
    try:
        with open(f"/proc/{worker.process.pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def start_with(copy, *visits):
    """A new process of the copy, which is held, with failpoints armed."""
    if copy.is_running():
        copy.kill()
    copy.variables["FAILPOINT"] = ",".join(map(str, visits))
    try:
        copy.start()
    finally:
        del copy.variables["FAILPOINT"]
    return copy.worker


def is_ready(worker):
    return not worker.is_running() or worker.get("/readyz")[0] == 200


def lead(world, copy, worker, way):
    """Does what brings a worker to its point. Returns what is to be undone."""
    if way not in ("load", "start"):
        wait_until(lambda: is_ready(worker), f"{copy} does not start", REACH_LIMIT_S)
    if way == "drain":
        copy.signal(signal.SIGTERM)
    if way == "outclaimed":     # as if another recorder had the partitions, of which the group knows nothing
        world.fleet.rows("UPDATE consumer_offsets SET epoch = epoch + 1")
    if way == "rebalance":
        extra = world.new_copy(copy.kind, f"{copy.kind}-rebalance-{copy.name}-{os.urandom(2).hex()}")
        return lambda: let_go(world, extra, "stop")
    return lambda: None


def die_at(world, copy, visit):
    """Has a copy, which is held, end itself at a point. Raises TimeoutError if it does not get there."""
    way = way_of(visit.point)[1]
    if way == "fenced":
        die_fenced(world, copy, visit)
        return
    copy.may_die_of.add(signal.SIGKILL)
    try:
        worker = start_with(copy, visit)
        undo = lead(world, copy, worker, way)
        try:
            wait_until(lambda: not worker.is_running(), lambda: f"{copy} has not reached {visit}\n{world.story()}",
                       REACH_LIMIT_S)
        finally:
            undo()
        copy.wait_end()
    finally:
        copy.may_die_of.discard(signal.SIGKILL)
    if not has_fired(worker, visit):
        raise AssertionError(f"{copy} ended before {visit}: {worker.text()[-2000:]}")
    world.note(f"{copy} died at {visit}")


def successor_of(world, copy):
    """Another copy, so that there is one that takes over."""
    return world.new_copy(copy.kind, f"{copy.kind}-successor-{copy.name}-{os.urandom(2).hex()}")


def stop_at(world, copy, *visits):
    """Has a copy, which is held, stop itself at the first of the visits, until others have its partitions and go on
    with them. Returns its worker, which sleeps."""
    worker = start_with(copy, *visits)
    copy.is_frozen = True                   # whoever gives it back wakes it
    wait_until(lambda: is_stopped(worker) or not worker.is_running(),
               lambda: f"{copy} has not reached {visits[0]}\n{world.story()}", REACH_LIMIT_S)
    if not worker.is_running():
        raise AssertionError(f"{copy} ended before {visits[0]}: {worker.text()[-2000:]}")
    wait_until(lambda: is_replaced(world, copy), lambda: f"nobody takes over from {copy}\n{world.story()}",
               TAKE_OVER_LIMIT_S)
    return worker


def is_replaced(world, gone):
    if gone.kind == "features":
        return is_taken_over(world, gone)
    others = [copy.worker for copy in world.copies.of(gone.kind) if copy is not gone and copy.is_running()]
    return any(worker.get("/readyz")[0] == 200 for worker in others) and is_claimed_anew(world, gone)


def is_claimed_anew(world, gone):
    """Whether another recorder has said that it has partitions since this one stopped."""
    stopped = max(r["time"] for r in gone.worker.records())
    return any(r["event"] == "assigned" and r["time"] > stopped and r["partitions"]
               for copy in world.copies.of(gone.kind) if copy is not gone and copy.worker
               for r in copy.worker.records())


def die_fenced(world, copy, visit):
    """A copy of features stops in the middle of a commit, is replaced, wakes, and dies at a point behind the
    refusal."""
    successor = successor_of(world, copy)
    copy.may_die_of.add(signal.SIGKILL)
    try:
        worker = stop_at(world, copy, Visit(FENCED_AT, 2, "stop"), visit)
        copy.thaw()
        wait_until(lambda: not worker.is_running(), lambda: f"{copy} woke and has not reached {visit}\n{world.story()}",
                   REACH_LIMIT_S)
        copy.wait_end()
    finally:
        copy.may_die_of.discard(signal.SIGKILL)
    let_go(world, successor, "stop")
    if not has_fired(worker, visit):
        raise AssertionError(f"{copy} ended before {visit}: {worker.text()[-2000:]}")
    world.note(f"{copy} was fenced and died at {visit}")


def wake_as_zombie(world, copy, visit):
    """A copy stops at a point until it has been replaced, and wakes: it ends, or becomes a member again. What it adds
    meanwhile, if anything, is seen by the comparison."""
    successor = successor_of(world, copy)
    worker = stop_at(world, copy, visit)
    copy.thaw()
    wait_until(lambda: is_ready(worker), lambda: f"{copy} woke and neither ends nor comes back\n{world.story()}",
               REACH_LIMIT_S)
    world.note(f"{copy} woke at {visit} and {'came back' if worker.is_running() else 'ended'}")
    let_go(world, successor, "stop")


# ---------------------------------------------------------------- faults

def draw(world, rng, kind, *ways):
    """Some points of a kind, one after the other, all of one copy."""
    candidates = points_of(kind, *ways)
    with world.one(kind, rng) as copy:
        for _ in range(rng.randint(1, ROUND_VISITS)):
            point = rng.choice(candidates)
            die_at(world, copy, Visit(point, rng.choice(PASSAGES) if "load" in ways else 1))


@fault("failpoint-restart", weight=2, needs="failpoints")
def failpoint_restart(world, rng):
    """A copy dies at steps of its start: restore, replay, assignment."""
    draw(world, rng, "features", "start")


@fault("failpoint-drain", weight=1, needs="failpoints")
def failpoint_drain(world, rng):
    """A copy dies at steps of its end in good order."""
    draw(world, rng, "features", "drain")


@fault("failpoint-rebalance", weight=1, needs="failpoints")
def failpoint_rebalance(world, rng):
    """A copy dies while it gives partitions back."""
    draw(world, rng, "features", "rebalance")


@fault("failpoint-recorder-restart", weight=1, needs="failpoints recorder")
def failpoint_recorder_restart(world, rng):
    """A recorder dies at steps of its start."""
    draw(world, rng, "recorder", "start")


@fault("failpoint-recorder-drain", weight=1, needs="failpoints recorder")
def failpoint_recorder_drain(world, rng):
    """A recorder dies at steps of its end in good order, or while it gives partitions back."""
    draw(world, rng, "recorder", "drain", "rebalance")


def is_there_load(world):
    """Whether the stream goes on: what is handled brings workers to most of their points."""
    return not world.feeder.has_reached(1)


def die_under_load(world, copy, visit):
    """Like die_at(), where the stream may end before. Whether the point was reached; if not, the copy is killed."""
    copy.may_die_of.add(signal.SIGKILL)
    try:
        worker = start_with(copy, visit)
        wait_until(lambda: not worker.is_running() or not is_there_load(world), world.story, LOAD_LIMIT_S)
        copy.kill()
        return has_fired(worker, visit)
    finally:
        copy.may_die_of.discard(signal.SIGKILL)


def draw_under_load(world, rng, kind):
    candidates = points_of(kind, "load")
    with world.one(kind, rng) as copy:
        for _ in range(rng.randint(1, ROUND_VISITS)):
            visit = Visit(rng.choice(candidates), rng.choice(PASSAGES))
            reached = die_under_load(world, copy, visit)
            world.note(f"{copy} {'died at' if reached else 'did not come to'} {visit}")


@fault("failpoint-commit", weight=3, needs="failpoints")
def failpoint_commit(world, rng):
    """A copy dies at steps of a commit or a checkpoint, or while it takes records in."""
    draw_under_load(world, rng, "features")


@fault("failpoint-recorder-commit", weight=2, needs="failpoints recorder")
def failpoint_recorder_commit(world, rng):
    """A recorder dies at steps of its transaction."""
    draw_under_load(world, rng, "recorder")


def zombie_points(kind):
    return [p for p in points_of(kind, "load") if any(fnmatch(p, pattern) for pattern in ZOMBIE_POINTS)]


@fault("failpoint-zombie", weight=1, needs="failpoints")
def failpoint_zombie(world, rng):
    """A copy stops in the middle of a commit, and wakes when it has been replaced."""
    visit = Visit(rng.choice(zombie_points("features")), rng.choice(PASSAGES), "stop")
    with world.one("features", rng) as copy:
        if is_there_load(world):
            try:
                wake_as_zombie(world, copy, visit)
            except TimeoutError:
                if is_there_load(world):
                    raise
                copy.kill()
