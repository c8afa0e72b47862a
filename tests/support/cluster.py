"""Three Kafka brokers on loopback, each a controller as well, for a test that loses one.

Each is what deploy/local/kafka.sh makes, in a directory of its own; what has to differ is said in properties of its
own. Everything is replicated three times, and two replicas must have a record before it counts. There is no
PostgreSQL. A guard, a process of its own, ends and removes the brokers when this process is gone.
"""
import atexit
import json
import os
import secrets
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import stack as stacks
from fleet import wait_until

BROKERS = (1, 2, 3)
HEAP = "192m"
START_LIMIT_S = 90
ELECTION_LIMIT_S = 30
SHELL = """
set -euo pipefail
. "$1/lib.sh"
. "$1/kafka.sh"
shift
"$@"
"""
GUARD = """
trap '' INT TERM HUP
cat >/dev/null
. "$1/lib.sh"
for node in "$2"/*/; do
    stop_recorded "$node/kafka/pid" KILL 10
    cp "$node/kafka/kafka.log" "$3/kafka.$(basename "$node").log" 2>/dev/null
done
rm -rf "$2"
"""
LOCAL = stacks.ROOT / "deploy/local"


class Node:
    """One broker."""

    def __init__(self, cluster, number):
        self.number = number
        self.directory = Path(cluster.directory) / str(number)
        self.directory.mkdir()
        self.port, self.controller_port = stacks.free_port(), stacks.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {**os.environ, **cluster.settings, "STACK_DIR": str(self.directory),
                            "KAFKA_PORT": str(self.port), "KAFKA_CONTROLLER_PORT": str(self.controller_port)}

    def shell(self, *words):
        """Runs a function of kafka.sh for this broker: whether it succeeded."""
        with open(stacks.logs() / "cluster.log", "ab") as log:
            return subprocess.run(["bash", "-c", SHELL, "node", LOCAL, *words], env=self.environment, stdout=log,
                                  stdin=subprocess.DEVNULL, stderr=log, timeout=START_LIMIT_S).returncode == 0

    def launch(self):
        if not self.shell("kafka_prepare") or not self.shell("kafka_launch"):
            raise RuntimeError(f"broker {self.number} does not start: see {stacks.logs() / 'cluster.log'}")

    def wait_started(self):
        wait_until(lambda: self.shell("kafka_is_ready"), lambda: self.tail_of_log(), START_LIMIT_S)

    def tail_of_log(self):
        return (self.directory / "kafka/kafka.log").read_text(encoding="utf-8", errors="replace")[-2000:]

    def start(self):
        self.launch()
        self.wait_started()

    def kill(self):
        self.shell("kafka_kill")

    def stop(self):
        self.shell("kafka_stop")

    def signal(self, number):
        os.kill(int((self.directory / "kafka/pid").read_text(encoding="ascii").split()[0]), number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)


class Cluster(stacks.Stack):
    """As much of a Stack as a fleet without a database needs."""

    fleet_settings = {"kafka.replication": 3}

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="flotilla-test-cluster.")
        self.guard = subprocess.Popen(["bash", "-c", GUARD, "guard", LOCAL, self.directory, stacks.logs()],
                                      stdin=subprocess.PIPE, start_new_session=True)
        version = os.environ.get("KAFKA_VERSION", self.ask_shell('printf %s "$KAFKA_DEFAULT_VERSION"'))
        self.env = {"KAFKA_JARS": self.ask_shell('kafka_jars "$2"', version), "KAFKA_VERSION": version}
        self.settings = {**self.env, "KAFKA_HEAP": HEAP, "KAFKA_PARTITIONS": "4",
                         "KAFKA_CLUSTER_ID": secrets.token_hex(11)}
        self.nodes = {number: Node(self, number) for number in BROKERS}
        for node in self.nodes.values():
            node.environment["KAFKA_PROPERTIES"] = self.properties(node)
        self.brokers = ",".join(node.address for node in self.nodes.values())
        try:
            for node in self.nodes.values():
                node.launch()
            for node in self.nodes.values():
                node.wait_started()
        except BaseException:
            self.close()
            raise

    def ask_shell(self, expression, *words):
        """What a piece of shell prints that knows lib.sh."""
        return subprocess.run(["bash", "-c", f'. "$1/lib.sh"; {expression}', "ask", LOCAL, *words], check=True,
                              capture_output=True, encoding="utf-8").stdout

    def properties(self, node):
        voters = ",".join(f"{n.number}@127.0.0.1:{n.controller_port}" for n in self.nodes.values())
        return "\n".join([
            stacks.KAFKA_PROPERTIES, "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
            f"node.id={node.number}", f"controller.quorum.voters={voters}",
            "default.replication.factor=3", "min.insync.replicas=2", "offsets.topic.replication.factor=3",
            "transaction.state.log.replication.factor=3", "transaction.state.log.min.isr=2",
            # Tests say themselves when leaders move; a replica that lags is out of the way soon.
            "auto.leader.rebalance.enable=false", "replica.lag.time.max.ms=3000",
            "controller.quorum.election.timeout.ms=500", "controller.quorum.fetch.timeout.ms=1000"])

    def postgres_url(self, database, user="flotilla"):
        return f"postgresql://{user}@127.0.0.1:1/{database}"        # where nothing listens

    def close(self):
        self.guard.stdin.close()
        self.guard.wait(timeout=stacks.SCRIPT_LIMIT_S)

    # ------------------------------------------------------------ who leads

    def describe(self, topic):
        """{partition: (leader, replicas, in sync)} as Kafka's own tool tells; leader None where there is none."""
        told = self.kafka_tool("org.apache.kafka.tools.TopicCommand", "--describe", "--topic", topic)
        rows = [{name.strip(): value.strip() for name, _, value in (field.partition(":") for field in line.split("\t"))}
                for line in told.splitlines() if line.startswith("\t")]
        numbers = [(int(row["Partition"]), row["Leader"], row["Replicas"], row["Isr"]) for row in rows]
        return {partition: (int(leader) if leader.isdigit() else None, as_numbers(replicas), as_numbers(in_sync))
                for partition, leader, replicas, in_sync in numbers}

    def leaders(self, topic):
        return {partition: leader for partition, (leader, _, _) in self.describe(topic).items()}

    def elect_preferred(self, topic):
        """The first replica of each partition leads it again, once it is in sync."""
        with self.written({"partitions": [{"topic": topic, "partition": p} for p in self.describe(topic)]}) as path:
            self.kafka_tool("org.apache.kafka.tools.LeaderElectionCommand", "--election-type", "preferred",
                            "--path-to-json-file", path)

    def move_leaders(self, topic, number):
        """The broker leads all partitions of the topic: it becomes their first replica, and is elected."""
        order = [number, *(n for n in BROKERS if n != number)]
        plan = {"version": 1, "partitions": [{"topic": topic, "partition": p, "replicas": order}
                                             for p in self.describe(topic)]}
        with self.written(plan) as path:
            self.kafka_tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", "--execute",
                            "--reassignment-json-file", path)
        wait_until(lambda: all(replicas == order for _, replicas, _ in self.describe(topic).values()),
                   lambda: self.describe(topic), ELECTION_LIMIT_S)
        self.elect_preferred(topic)
        wait_until(lambda: set(self.leaders(topic).values()) == {number}, lambda: self.describe(topic),
                   ELECTION_LIMIT_S)

    @contextmanager
    def written(self, plan):
        """The path of a file with it, as Kafka's tools want one."""
        path = Path(self.directory) / f"plan-{secrets.token_hex(4)}.json"
        path.write_text(json.dumps(plan), encoding="utf-8")
        yield str(path)
        path.unlink()

    def wait_in_sync(self, topic):
        wait_until(lambda: all(len(in_sync) == len(BROKERS) for _, _, in_sync in self.describe(topic).values()),
                   lambda: self.describe(topic), ELECTION_LIMIT_S)


def as_numbers(text):
    return [int(number) for number in text.split(",") if number.strip()]


_cluster = None


def stack():
    """The one of this run."""
    global _cluster
    if _cluster is None:
        _cluster = Cluster()
        atexit.register(stop)
    return _cluster


def stop():
    global _cluster
    ended, _cluster = _cluster, None
    if ended:
        ended.close()
