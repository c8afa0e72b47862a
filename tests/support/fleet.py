"""A fleet of its own for each test: topics behind a prefix, a database, workers; all on the one stack of the run.

BIN_DIR is where the programs are (build/workers unless set). Every wait has a deadline and looks at something; none
is a sleep of fixed length. What workers and commands say is kept below the directory of logs.
"""
import json
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import stack as stacks

sys.path.append(str(stacks.ROOT / "tests/oracle"))     # behind: its tests have a namesake
import oracle  # noqa: E402

BIN = Path(os.environ.get("BIN_DIR", stacks.ROOT / "build/workers")).resolve()
PATIENCE = float(os.environ.get("TEST_PATIENCE", 1))     # how many times slower programs may be: under valgrind
COMMAND_LIMIT_S = 120 * PATIENCE
START_LIMIT_S = 60
STOP_LIMIT_S = 35                       # a worker's own watchdog ends it after 30
SETTLE_LIMIT_S = 90 * PATIENCE
QUIET_S = 1.5                           # many times the intervals below

# Short, so that tests are; Kafka finds out about killed workers quickly.
SETTINGS = {
    "commit_interval_ms": 50, "publish_interval_ms": 100, "checkpoint_interval_ms": 1000,
    "shared_checkpoint_interval_ms": 300, "recorder.batch_interval_ms": 50,
    "kafka.session.timeout.ms": int(3000 * PATIENCE), "kafka.heartbeat.interval.ms": 500,
}


def wait_until(condition, what, limit_s):
    """The first true value of condition(); what is the text of the failure, or makes it."""
    deadline = time.monotonic() + limit_s * PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {limit_s} s: {what() if callable(what) else what}")
        time.sleep(0.05)
    return value


def environment():
    """The caller's, without settings of the caller's own fleet and server."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("FLOTILLA_", "PG"))}


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.strip()]


class Worker:
    """One process. It is killed when this one is gone. variables: more of them in its environment."""

    def __init__(self, fleet, name, log, settings, variables=None):
        self.name = name
        self.log = log
        command = ["setpriv", "--pdeathsig", "KILL", BIN / f"flotilla-{name}", *fleet.options(settings)]
        with open(log, "wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**environment(), **(variables or {})})

    def records(self):
        """What it has logged so far; a line that is being written is left out."""
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                pass

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def port(self):
        return next((r["http_port"] for r in self.records() if r.get("event") == "starting"), None)

    def get(self, path):
        """(status, text) of its window to the outside; (0, why) if there is none."""
        port = self.port()
        if port is None:
            return 0, "not listening yet"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()
        except OSError as e:
            return 0, str(e)

    def is_ready(self):
        if not self.is_running():
            raise AssertionError(f"{self.name} ended with status {self.process.returncode}:\n{self.text()[-2000:]}")
        return self.get("/readyz")[0] == 200

    def wait_ready(self, limit_s=START_LIMIT_S):
        wait_until(self.is_ready, lambda: f"{self.name} is not ready: {self.get('/readyz')}\n{self.text()[-2000:]}",
                   limit_s)
        return self

    def metrics(self):
        """{name with labels: value}"""
        lines = self.get("/metrics")[1].splitlines()
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in lines if line and not line.startswith("#"))}

    def wait_end(self, limit_s=STOP_LIMIT_S):
        return self.process.wait(timeout=limit_s * PATIENCE)

    def stop(self):
        """In good order. The exit status must be 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.wait_end()
        if status != 0:
            raise AssertionError(f"{self.name} ended with status {status} after SIGTERM:\n{self.text()[-2000:]}")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Fleet:
    """Topics, database and workers of one test, which is a unittest.TestCase: at its end the workers are killed and
    the database is dropped. settings: more than SETTINGS; features: text of the features file; stack: another one than
    that of the run."""

    def __init__(self, test, features=None, partitions=4, stack=None, **settings):
        self.stack = stack or stacks.stack()
        name = "t" + secrets.token_hex(4)
        self.prefix = f"{name}."
        self.database = name
        self.workers = []
        self.folder = stacks.logs() / test.id().rpartition(".")[2][:80] / name
        self.folder.mkdir(parents=True)
        self.settings = {"kafka.brokers": self.stack.brokers, "kafka.prefix": self.prefix,
                         "kafka.partitions": partitions, "postgres.url": self.stack.postgres_url(name),
                         **SETTINGS, **self.stack.fleet_settings, **settings}
        if features is not None:
            self.define(features)
        self.config = None
        self.has_database = False
        test.addCleanup(self.remove)

    # ------------------------------------------------------------ making and removing

    def define(self, features):
        """Writes a features file that workers started from now on read."""
        path = self.folder / f"features {secrets.token_hex(2)}.yaml"
        path.write_text(features, encoding="utf-8")
        self.settings["features.file"] = path

    def create_topics(self):
        self.flotilla("topics", "create")
        return self

    def create_database(self):
        self.has_database = True
        self.stack.sql(f"CREATE DATABASE {self.database} OWNER flotilla")
        return self

    def migrate(self):
        self.create_database()
        self.flotilla("migrate")
        return self

    def remove(self):
        for worker in self.workers:
            if worker.is_running():
                worker.kill()
        if self.has_database:
            self.stack.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")

    # ------------------------------------------------------------ programs

    def configure(self, text):
        """Writes a flotilla.yaml that programs started from now on read: for what is no single setting."""
        self.config = self.folder / f"flotilla {secrets.token_hex(2)}.yaml"
        self.config.write_text(text, encoding="utf-8")

    def options(self, settings=None):
        """--set NAME=VALUE for all settings; None leaves one out."""
        all_settings = {**self.settings, **(settings or {})}
        config = ["--config", self.config] if self.config else []
        return config + [word for name, value in all_settings.items() if value is not None
                for word in ("--set", f"{name}={value}")]

    def run(self, *arguments, settings=None, stdin=None, limit_s=COMMAND_LIMIT_S, variables=None):
        """A command of flotilla, however it ends. stdin: text, or an open file; variables: more of them in its
        environment."""
        given = {"stdin": stdin} if hasattr(stdin, "fileno") else {"input": stdin or ""}
        return subprocess.run([BIN / "flotilla", *map(str, arguments), *self.options(settings)], capture_output=True,
                              encoding="utf-8", errors="surrogateescape", timeout=limit_s,
                              env={**environment(), **(variables or {})}, **given)

    def flotilla(self, *arguments, **given):
        """What a command prints; it must succeed."""
        run = self.run(*arguments, **given)
        if run.returncode != 0:
            raise AssertionError(f"flotilla {' '.join(map(str, arguments))}: status {run.returncode}\n"
                                 f"{run.stdout[-2000:]}{run.stderr[-2000:]}")
        return run.stdout

    def start(self, name, ready=True, variables=None, **settings):
        """A worker, with settings and variables of the environment of its own."""
        log = self.folder / f"{len(self.workers):02}-{name}.log"
        worker = Worker(self, name, log, {**self.stack.worker_settings, **settings}, variables)
        self.workers.append(worker)
        return worker.wait_ready() if ready else worker

    def start_two(self, **settings):
        """Two features workers, started at the same time and ready."""
        both = [self.start("features", ready=False, **settings) for _ in range(2)]
        for worker in both:
            worker.wait_ready()
        return both

    def running(self, name=None):
        return [w for w in self.workers if w.is_running() and name in (None, w.name)]

    # ------------------------------------------------------------ records in

    def topic(self, name):
        return self.prefix + name

    def send(self, topic, records):
        """Records as `flotilla send` takes them, in their order."""
        path = self.folder / f"{topic}-{secrets.token_hex(4)}.jsonl"
        write_lines(path, records)
        self.flotilla("send", topic, path)

    def send_entities(self, lines):
        for side in ("user", "proposition"):
            records = [line[side] for line in lines if side in line]
            if records:
                self.send(side + "s", records)

    def send_stream(self, lines):
        """Users and propositions of a stream, then its events. Workers that start later know the former."""
        self.send_entities(lines)
        self.send("events", [line for line in lines if "event" in line])

    def produce(self, topic, messages, partition=None):
        """Raw bytes, one record each: (key or None, value), in this order, where Java clients would put them."""
        for number, (key, value) in enumerate(messages):
            path = self.folder / f"raw-{secrets.token_hex(4)}-{number}"
            path.write_bytes(value)
            options = [] if key is None else ["-k", key]
            options += [] if partition is None else ["-p", str(partition)]
            self.kcat("-P", "-t", self.topic(topic), "-X", "topic.partitioner=murmur2_random",
                      "-X", "message.max.bytes=8000000", *options, path)

    def produce_tombstone(self, topic, key):
        self.kcat("-P", "-Z", "-t", self.topic(topic), "-X", "topic.partitioner=murmur2_random", "-K", "\t",
                  stdin=f"{key}\t\n")

    def produce_json(self, topic, records):
        """Many records at once: (key, object as JSON). No key or value has a tab or an end of line in it."""
        text = "".join(f"{key}\t{json.dumps(value)}\n" for key, value in records)
        self.kcat("-P", "-t", self.topic(topic), "-X", "topic.partitioner=murmur2_random", "-K", "\t",
                  stdin=text)

    def kcat(self, *arguments, stdin=""):
        run = subprocess.run(["kcat", "-b", self.stack.brokers, *map(str, arguments)], input=stdin,
                             capture_output=True, encoding="utf-8", timeout=COMMAND_LIMIT_S)
        if run.returncode != 0:
            raise RuntimeError(f"kcat {arguments}: {run.stderr}")
        return run.stdout

    # ------------------------------------------------------------ records out

    def tail(self, topic):
        """All committed records of a topic, each as `flotilla tail --whole` prints it."""
        return json_lines(self.flotilla("tail", topic, "--from", "beginning", "--exit-at-end", "--whole"))

    def published(self):
        """The last record of the topic features for each scope and key, as the oracle prints them."""
        last = {}
        for record in self.tail("features"):
            value = record_value(record)
            if value is None:
                continue
            last[value["scope"], tuple(value["key"])] = value
        return [plain(value) for value in last.values()]

    def dead_letters(self):
        return [record_value(record) for record in self.tail("dead-letters")]

    def rows(self, statement):
        return self.stack.sql(statement, self.database)

    def recorded(self):
        """The rows of feature_values, as the oracle prints records."""
        rows = self.rows("SELECT json_build_object('scope', scope, 'key', key, 'values', \"values\", 'as_of', "
                         "round(extract(epoch FROM as_of) * 1000)::bigint) FROM feature_values")
        return [plain(json.loads(row[0])) for row in rows]

    # ------------------------------------------------------------ waiting

    def ends(self):
        """{(topic, partition): the offset behind its last record} of this fleet, transactions' marks included."""
        topics = json.loads(self.kcat("-L", "-J"))["topics"]
        partitions = [f"{t['topic']}:{p['partition']}:-1" for t in topics if t["topic"].startswith(self.prefix)
                      for p in t["partitions"]]
        if not partitions:
            return {}
        lines = self.kcat("-Q", *(word for p in partitions for word in ("-t", p)))
        return {(topic, int(partition)): int(offset)
                for topic, partition, offset in re.findall(r"^(\S+) \[(\d+)\] offset (\d+)$", lines, re.MULTILINE)}

    def lag(self, group="features", topics=("events", "feature.deltas")):
        """Records that the group has not committed, as Kafka's own tool counts them."""
        described = self.stack.kafka_tool("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", "--describe",
                                          "--group", self.topic(group))
        rows = [line.split() for line in described.splitlines()]
        read = {self.topic(topic) for topic in topics}
        committed = {(row[1], int(row[2])): int(row[3]) for row in rows if row[1:2] and row[1] in read and row[3] != "-"}
        return sum(end - committed.get(place, 0) for place, end in self.ends().items() if place[0] in read)

    def open_transactions(self):
        """Transactional ids of this fleet that have one."""
        listed = self.stack.kafka_tool("org.apache.kafka.tools.TransactionsCommand", "list")
        rows = [line.split() for line in listed.splitlines()[1:]]
        return [row[0] for row in rows if row and row[0].startswith(self.prefix)
                and row[-1] not in ("Empty", "CompleteCommit", "CompleteAbort", "Dead")]

    def wait_quiet(self, deadline):
        """Until all workers are ready and no topic grows any more."""
        ends, since = self.ends(), time.monotonic()
        while time.monotonic() < since + QUIET_S:
            if time.monotonic() > deadline:
                raise TimeoutError("topics still grow, or a worker is not ready")
            time.sleep(0.1)
            now = self.ends()
            if now != ends or not all(worker.is_ready() for worker in self.running()):
                ends, since = now, time.monotonic()
        return ends

    def settle(self, limit_s=SETTLE_LIMIT_S):
        """Until every event is taken in and everything that follows from it is published: nothing is written any
        more, no event is waiting, and no open transaction hid anything from the workers meanwhile."""
        deadline = time.monotonic() + limit_s
        while True:
            ends = self.wait_quiet(deadline)
            with ThreadPoolExecutor() as both:
                lag, transactions = both.submit(self.lag), both.submit(self.open_transactions)
                lag, transactions = lag.result(), transactions.result()
            if lag == 0 and not transactions and self.ends() == ends:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {limit_s} s {lag} records are not committed, open transactions: "
                                   f"{transactions}")


# ---------------------------------------------------------------- records and values

def write_lines(path, records):
    with open(path, "w", encoding="utf-8") as out:
        for record in records:
            out.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def record_value(line):
    """The record in a line of `flotilla tail`, None for a tombstone."""
    return None if line.keys() == {"key", "value"} else line


def bytes_of(value):
    """Bytes as Avro's JSON writes them: a character each, with or without the name of the union's branch."""
    text = value["bytes"] if isinstance(value, dict) else value
    return None if text is None else text.encode("latin-1")


def by_key(records):
    """{(scope, key): (as_of, values)}"""
    return {(r["scope"], tuple(r["key"])): (r["as_of"], r["values"]) for r in records}


def plain(record):
    """Values as the oracle prints them: null for NaN."""
    return {**record, "values": {name: None if isinstance(value, str) or value != value else value
                                 for name, value in record["values"].items()}}


class Expected:
    """What the oracle says after a stream: lines {"event": …}, {"user": …}, {"proposition": …}."""

    def __init__(self, features, lines):
        self.features = oracle.read_features(features)
        self.state = oracle.State(self.features)
        for _ in oracle.replay(self.state, oracle.accepted(lines)):
            pass
        self.records = [oracle.printable(record) for record in self.state.key_values()]
        # A user's keys beyond the most recent ones are forgotten; what was published of them may still be there.
        keys = defaultdict(int)
        for record in self.records:
            if self.user_of(record):
                keys[self.user_of(record)] += 1
        self.full = {user for user, count in keys.items() if count >= oracle.KEYS_PER_USER}

    def user_of(self, record):
        """(scope, user) of a record that lives in a user's state, else None."""
        dimensions = record["scope"].split("*")
        return (record["scope"], record["key"][dimensions.index("user")]) if "user" in dimensions else None

    def differences(self, got, exclude=()):
        """(values compared, differences as text)"""
        known = {(r["scope"], tuple(r["key"])) for r in self.records}
        got = [r for r in got if (r["scope"], tuple(r["key"])) in known or self.user_of(r) not in self.full]
        return oracle.compare(self.records, got, self.features, exclude=exclude)

    def global_priors(self):
        """Features that are read against a total when they are published, and so depend on when that was."""
        return [f.name for f in self.features if f.parameters.get("prior") == "global"]


def assert_equal_values(test, expected, got, exclude=()):
    compared, differences = expected.differences(got, exclude)
    if differences:
        test.fail(f"{len(differences)} of {compared} values differ:\n" + "\n".join(differences[:20]))
    test.assertGreater(compared, 0)


# ---------------------------------------------------------------- streams for workers

def attributes_first(lines):
    """The stream with each user and proposition as it was last, before all events; requests are left out. In it, the
    order between users changes nothing. Each event has its Kafka timestamp."""
    newest = {}
    for line in lines:
        for side in ("user", "proposition"):
            record = line.get(side)
            if record and record["timestamp"] >= newest.get((side, record["id"]), record)["timestamp"]:
                newest[side, record["id"]] = record
    entities = [{side: record} for (side, _), record in newest.items()]
    events = [{"event": line["event"], "kafka_timestamp": line.get("kafka_timestamp", line["event"]["timestamp"])}
              for line in lines if "event" in line]
    return entities + events


def is_after_1970(lines):
    """Whether Kafka can hold these times: it has no negative ones, and 0 and -1 have a meaning of their own."""
    return all(line["kafka_timestamp"] > 0 for line in lines if "event" in line)


def seeded(test, seed):
    """A random.Random whose seed is printed, and may be given as SEED."""
    seed = int(os.environ.get("SEED", seed))
    print(f"{test.id()}: SEED={seed}")
    return random.Random(seed)
