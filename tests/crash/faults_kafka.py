"""Faults of the broker and of the network before it. Those of one broker end with the broker running; those of three
(needs cluster) with all of them in sync."""
import signal
import time

from fleet import wait_until
from proxy import FROM_SERVER, TO_SERVER

from faults import fault
from faults_workers import SESSION_S, pause

FROZEN_LONG_S = 30
BROKEN_LIMIT_S = 20
OFFLINE_LIMIT_S = 60


# ---------------------------------------------------------------- one broker

@fault("kafka-kill", weight=2, needs="kafka")
def kafka_kill(world, rng):
    """kill -9 of the broker, in the middle of whatever is being committed; it comes back at once or later."""
    with world.server("kafka"):
        world.stack.run("kafka-kill")
        pause(rng, 4)
        world.stack.run("kafka-start")


@fault("kafka-kill-again", weight=0.5, needs="kafka")
def kafka_kill_again(world, rng):
    """kill -9 of the broker, and again while everybody is coming back to it."""
    with world.server("kafka"):
        for _ in range(2):
            world.stack.run("kafka-kill")
            world.stack.run("kafka-start")
            pause(rng, 2)


@fault("kafka-restart", weight=1, needs="kafka")
def kafka_restart(world, _rng):
    """The broker is stopped in good order and started."""
    with world.server("kafka"):
        world.stack.run("kafka-stop")
        world.stack.run("kafka-start")


def freeze(world, seconds):
    with world.server("kafka"):
        world.stack.signal_kafka(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            world.stack.signal_kafka(signal.SIGCONT)


@fault("kafka-frozen", weight=2, needs="kafka")
def kafka_frozen(world, rng):
    """SIGSTOP of the broker, for less or for more than a member's session."""
    freeze(world, rng.uniform(0.1, 2 * SESSION_S))


@fault("kafka-frozen-long", weight=0.2, needs="kafka")
def kafka_frozen_long(world, _rng):
    """SIGSTOP of the broker for 30 s: every session, request and transaction times out."""
    freeze(world, FROZEN_LONG_S)


@fault("kafka-disk-full", weight=0.5, needs="kafka proxy")
def kafka_disk_full(world, rng):
    """Not one block is left on the broker's disk until it ends by itself; then there is room, and it is started."""
    stack = world.stack
    if stack.disk is None:
        world.note("the broker has no small disk: this machine allows no mount namespace")
        return
    with world.server("kafka"):
        stack.disk.fill()
        try:
            wait_until(lambda: not stack.is_running("kafka"), "the broker goes on with a full disk", OFFLINE_LIMIT_S)
            pause(rng, 2)
        finally:
            stack.disk.free()
            stack.run("kafka-start")


# ---------------------------------------------------------------- the network

def for_a_while(world, rng, longest_s, do, *arguments, **named):
    """Does something to the proxy, and heals it after a while."""
    with world.server("proxy"):
        do(*arguments, **named)
        try:
            time.sleep(rng.uniform(0.05, longest_s))
        finally:
            world.stack.proxy.heal()


@fault("network-cut", weight=1, needs="proxy")
def network_cut(world, rng):
    """Every connection of the workers is reset, and every new one, for a while."""
    for_a_while(world, rng, 2 * SESSION_S, world.stack.proxy.cut)


@fault("network-resets", weight=1, needs="proxy")
def network_resets(world, rng):
    """Every connection is reset, several times; new ones are let through at once."""
    with world.server("proxy"):
        for _ in range(rng.randint(2, 6)):
            world.stack.proxy.cut()
            world.stack.proxy.heal()
            pause(rng, 1)


@fault("network-silent", weight=1, needs="proxy")
def network_silent(world, rng):
    """Connections stay open and nothing passes, for less or for more than a session; then all of it arrives."""
    for_a_while(world, rng, 3 * SESSION_S, world.stack.proxy.silence)


@fault("network-one-way", weight=1, needs="proxy")
def network_one_way(world, rng):
    """Requests arrive and answers do not, or no request arrives."""
    for_a_while(world, rng, 2 * SESSION_S, world.stack.proxy.silence, rng.choice([TO_SERVER, FROM_SERVER]))


@fault("network-slow", weight=1, needs="proxy")
def network_slow(world, rng):
    """So many bytes a second, and each chunk later."""
    for_a_while(world, rng, 6, world.stack.proxy.slow, bytes_per_s=rng.choice([20_000, 100_000, 1_000_000]),
                latency_s=rng.choice([0, 0.01, 0.1]))


@fault("network-half-frame", weight=1, needs="proxy")
def network_half_frame(world, rng):
    """Half of a request, or of an answer, passes, and its connection is reset; several times."""
    with world.server("proxy"):
        proxy = world.stack.proxy
        try:
            for _ in range(rng.randint(1, 6)):
                break_one(world, rng.choice([TO_SERVER, FROM_SERVER]))
                pause(rng, 0.3)
        finally:
            proxy.heal()


def break_one(world, direction):
    """Where broker or workers are away for long, no frame passes."""
    proxy = world.stack.proxy
    before = proxy.broken
    proxy.break_frame(direction)
    try:
        wait_until(lambda: proxy.broken > before, "", BROKEN_LIMIT_S)
    except TimeoutError:
        world.note("no frame passed that could be broken")


# ---------------------------------------------------------------- three brokers

INTERNAL = ("__transaction_state", "__consumer_offsets")


@fault("cluster-broker-kill", weight=2, needs="cluster")
def cluster_broker_kill(world, rng):
    """kill -9 of one of three: others lead its partitions; it comes back, and leads what it led before."""
    with world.server("kafka"):
        node = rng.choice(list(world.stack.nodes.values()))
        node.kill()
        time.sleep(rng.uniform(0.5, 6))
        node.start()
        whole_again(world)


@fault("cluster-broker-frozen", weight=1, needs="cluster")
def cluster_broker_frozen(world, rng):
    """SIGSTOP of one of three until others lead its partitions; when it wakes it believes that it leads them still."""
    with world.server("kafka"):
        node = rng.choice(list(world.stack.nodes.values()))
        node.freeze()
        try:
            time.sleep(rng.uniform(1, 10))
        finally:
            node.thaw()
        whole_again(world)


@fault("cluster-leaders-move", weight=1, needs="cluster")
def cluster_leaders_move(world, rng):
    """Another broker leads events and what is made of them."""
    with world.server("kafka"):
        number = rng.choice(list(world.stack.nodes))
        for topic in rng.sample(["events", "feature.deltas", "features", "state.user"], k=2):
            world.stack.move_leaders(world.fleet.topic(topic), number)


@fault("cluster-coordinator-moves", weight=1, needs="cluster")
def cluster_coordinator_moves(world, rng):
    """Another broker leads the partitions of transactions, or of groups: it is the coordinator from then on."""
    with world.server("kafka"):
        world.stack.move_leaders(rng.choice(INTERNAL), rng.choice(list(world.stack.nodes)))


def whole_again(world):
    """Who died or froze is in sync, and leads again what it led."""
    for topic in (*INTERNAL, world.fleet.topic("events")):
        world.stack.wait_in_sync(topic)
        world.stack.elect_preferred(topic)
