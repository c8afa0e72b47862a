"""The ranker end to end on RankLens, on a Kafka and a PostgreSQL of its own; called by ranker.sh.

Loads all events, trains a model of 100 trees on the vectors, registers and promotes it, and then sends requests of 24
candidates. Ratios are to a bare echo of the same requests through the same broker in the same run; broker, traffic and
ranker share the machine's cores, so the rate has to leave room for all of them (--rate).
"""
import argparse
import ctypes
import io
import json
import os
import re
import struct
import subprocess
import sys
import time
import unittest
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import avro  # noqa: E402
import fastavro  # noqa: E402
import fleet as fleets  # noqa: E402
from fleet import Fleet, wait_until  # noqa: E402
from usage import cpu_s  # noqa: E402

FEATURES = ROOT / "tests/bench/ranker.features.yaml"
TRAFFIC = Path(os.environ["TRAFFIC"])
SCHEMAS = {name: fastavro.schema.load_schema(ROOT / f"schemas/{name}.avsc")
           for name in ("rank_request", "event", "entity")}
PLACEMENTS = """placements:
  default: {model: home, log: 0.01}
  shelf: {log: 0, filters: [{attribute: runtime, from: 60}]}
"""


def library():
    names = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    return ctypes.CDLL(re.search(r"\S*libxgboost\.so\S*$", names, re.MULTILINE)[0])


def train(rows, labels, columns, trees, path):
    """A model of so many trees of depth 6, in a file of XGBoost's own."""
    xgboost = library()

    def call(name, *arguments):
        if getattr(xgboost, name)(*arguments) != 0:
            xgboost.XGBGetLastError.restype = ctypes.c_char_p
            raise RuntimeError(f"{name}: {xgboost.XGBGetLastError().decode()}")

    matrix, booster = ctypes.c_void_p(), ctypes.c_void_p()
    data = (ctypes.c_float * len(rows)).from_buffer(rows)
    label = (ctypes.c_float * len(labels)).from_buffer(labels)
    call("XGDMatrixCreateFromMat", data, ctypes.c_uint64(len(labels)), ctypes.c_uint64(len(columns)),
         ctypes.c_float(float("nan")), ctypes.byref(matrix))
    call("XGDMatrixSetFloatInfo", matrix, b"label", label, ctypes.c_uint64(len(labels)))
    names = (ctypes.c_char_p * len(columns))(*(name.encode() for name in columns))
    call("XGDMatrixSetStrFeatureInfo", matrix, b"feature_name", names, ctypes.c_uint64(len(columns)))
    call("XGBoosterCreate", ctypes.byref(matrix), ctypes.c_uint64(1), ctypes.byref(booster))
    for name, value in {"objective": "binary:logistic", "max_depth": "6", "eta": "0.1", "tree_method": "hist",
                        "nthread": "1", "seed": "1"}.items():
        call("XGBoosterSetParam", booster, name.encode(), value.encode())
    for number in range(trees):
        call("XGBoosterUpdateOneIter", booster, number, matrix)
    call("XGBoosterSaveModel", booster, str(path).encode())


def encode(name, record):
    """In single-object encoding."""
    out = io.BytesIO(avro.header(name))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, SCHEMAS[name], record)
    return out.getvalue()


def write_records(path, records):
    """(key, value) as traffic.c reads them."""
    with open(path, "wb") as out:
        for key, value in records:
            out.write(struct.pack("<II", len(key), len(value)) + key + value)


class Bench:
    def __init__(self, test, options):
        self.options = options
        self.fleet = Fleet(test, partitions=4, **{
            "features.file": FEATURES, "max_keys_per_user": 256, "commit_interval_ms": 100,
            "shared_checkpoint_interval_ms": 1000, "checkpoint_interval_ms": 30000, "ranker.budget_ms": 600000,
            "kafka.session.timeout.ms": None, "kafka.heartbeat.interval.ms": None})
        self.folder = self.fleet.folder
        self.stream = [json.loads(line) for line in self.make_stream().splitlines()]
        self.requests = [line["request"] for line in self.stream if "request" in line]
        self.end_ms = max(line["event"]["timestamp"] for line in self.stream if "event" in line) + 1000

    def make_stream(self):
        return subprocess.run([sys.executable, ROOT / "tests/oracle/ranklens_to_stream.py", self.options.ranklens],
                              capture_output=True, text=True, check=True).stdout

    def say(self, text):
        print(text, flush=True)

    # ------------------------------------------------------------ before measuring

    def load(self):
        """All events become state, and stay where the ranker finds them."""
        self.fleet.create_topics().migrate()
        features = self.fleet.start("features")
        self.fleet.send_stream(self.stream)
        self.fleet.settle(300)
        features.stop()

    def vectors(self):
        """(names, rows, labels): what a request saw, and what was clicked of it."""
        clicked = {(line["event"]["request_id"], p) for line in self.stream
                   if line.get("event", {}).get("event") == "click" for p in line["event"]["propositions"]}
        path = self.folder / "stream.jsonl"
        fleets.write_lines(path, self.stream)
        text = self.fleet.flotilla("features", "vector", "--features", FEATURES, "--stream", path, limit_s=600)
        rows, labels, names = array("f"), array("f"), None
        nan = float("nan")
        for line in fleets.json_lines(text):
            names = names or list(line["vector"])
            rows.extend(nan if line["vector"][n] is None else line["vector"][n] for n in names)
            labels.append((line["request_id"], line["proposition_id"]) in clicked)
        return names, rows, labels

    def promote(self):
        names, rows, labels = self.vectors()
        path = self.folder / "model.ubj"
        train(rows, labels, names, self.options.trees, path)
        self.fleet.flotilla("models", "register", "--model", "home", "--file", path)
        self.fleet.flotilla("models", "promote", "home", "1")
        self.say(f"model: {self.options.trees} trees of depth 6, {len(names)} values, trained on {len(labels):,} rows")

    def start_ranker(self, **settings):
        self.fleet.configure(PLACEMENTS)
        return self.fleet.start("ranker", **settings)

    # ------------------------------------------------------------ records

    def request_records(self, name, count, placement="default"):
        """A file of so many requests: users and candidates of RankLens (none where the catalogue is to be taken from),
        ids of their own."""
        path = self.folder / f"{name}.records"
        records = []
        for number in range(count):
            q = self.requests[number * 7919 % len(self.requests)]
            records.append((q["user_id"].encode(), encode("rank_request", {
                "request_id": f"{name}{number}", "user_id": q["user_id"], "timestamp": self.end_ms,
                "placement": placement, "candidates": q["candidates"] if placement == "default" else [], "limit": 10,
                "deadline": None, "context": {}, "explain": False})))
        write_records(path, records)
        return path

    def send_propositions(self, count):
        """So many more of them, with attributes of those of RankLens."""
        known = [line["proposition"] for line in self.stream if "proposition" in line]
        path = self.folder / "propositions.records"
        write_records(path, ((f"more{n}".encode(), encode("entity", {
            **known[n % len(known)], "id": f"more{n}", "active": True, "valid_from": None, "valid_until": None}))
            for n in range(count)))
        self.send_file("propositions", path)

    def send_file(self, topic, path):
        subprocess.run([TRAFFIC, "send", self.fleet.stack.brokers, self.fleet.topic(topic), path], check=True,
                       stdout=subprocess.DEVNULL, timeout=600)

    def event_records(self, name, count):
        path = self.folder / f"{name}.events"
        records = []
        for number in range(count):
            q = self.requests[number * 7919 % len(self.requests)]
            records.append((q["user_id"].encode(), encode("event", {
                "event_id": f"{name}{number}", "event": "click", "user_id": q["user_id"], "timestamp": self.end_ms,
                "propositions": q["candidates"][:1], "request_id": None, "value": None, "context": {}})))
        write_records(path, records)
        return path

    def traffic(self, mode, topic, answers, *arguments):
        command = [TRAFFIC, mode, self.fleet.stack.brokers, self.fleet.topic(topic), self.fleet.topic(answers),
                   *map(str, arguments)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if run.returncode != 0:
            raise RuntimeError(run.stderr)
        return json.loads(run.stdout)

    # ------------------------------------------------------------ what is measured

    def throughput(self, ranker, name, requests, placement="default"):
        """Requests per CPU-second of the ranker, all its threads."""
        figures = []
        for number in range(self.options.rounds):
            path = self.request_records(f"{name}{number}-", requests, placement)
            before = cpu_s(ranker.process)
            took = self.traffic("fill", "rank.requests", "rankings", path)
            figures.append(requests / (cpu_s(ranker.process) - before))
            self.say(f"  round {number + 1}: {figures[-1]:,.0f} requests per CPU-second, {took['seconds']:.2f} s")
        return sorted(figures)[len(figures) // 2]

    def paced(self, rate):
        """Latencies through the ranker and through the echo, turn about."""
        results = {"ranker": [], "echo": []}
        count = int(rate * self.options.seconds)
        for number in range(self.options.rounds):
            path = self.request_records(f"p{number}-", count)
            results["ranker"].append(self.traffic("pace", "rank.requests", "rankings", path, rate))
            with self.echo():
                results["echo"].append(self.traffic("pace", "echo.requests", "echo.rankings", path, rate))
        return results

    def clicks(self):
        results = {"ranker": [], "echo": []}
        for number in range(self.options.rounds):
            requests = self.request_records(f"c{number}-", self.options.clicks)
            events = self.event_records(f"c{number}-", self.options.clicks)
            for name, topic, answers, log in (("ranker", "rank.requests", "rankings", "events"),
                                              ("echo", "echo.requests", "echo.rankings", "echo.events")):
                with self.echo():
                    results[name].append(self.traffic("click", topic, answers, requests, self.fleet.topic(log), events,
                                                      self.options.clicks))
        return results

    def restart(self, users):
        """Seconds from the start of a ranker to its being ready, with so many users in the state; killed before."""
        path = self.folder / "users.events"
        write_records(path, ((f"n{number}".encode(), encode("event", {
            "event_id": f"n{number}", "event": "click", "user_id": f"n{number}", "timestamp": self.end_ms,
            "propositions": self.requests[number % len(self.requests)]["candidates"][:1], "request_id": None,
            "value": None, "context": {}})) for number in range(users)))
        features = self.fleet.start("features", **{"checkpoint_interval_ms": 1000})
        self.send_file("events", path)
        self.fleet.settle(600)
        features.stop()
        ranker = self.start_ranker(instance="restarted")
        ranker.kill()
        figures = []
        for _ in range(self.options.rounds):
            started = time.monotonic()
            ranker = self.fleet.start("ranker", instance="restarted")
            figures.append(time.monotonic() - started)
            ranker.kill()
        return sorted(figures)[len(figures) // 2]

    def echo(self):
        return Echo(self)

    def make_echo_topics(self):
        for name in ("echo.requests", "echo.rankings", "echo.events"):
            self.fleet.stack.kafka_tool("org.apache.kafka.tools.TopicCommand", "--create", "--topic",
                                        self.fleet.topic(name), "--partitions", "4", "--replication-factor", "1")

    def tell(self, what, results, goal):
        middle = {name: {k: sorted(r[k] for r in rows)[len(rows) // 2] for k in ("p50_ms", "p99_ms")}
                  for name, rows in results.items()}
        ranker, echo = middle["ranker"], middle["echo"]
        self.say(f"{what}: ranker p50 {ranker['p50_ms']:.2f} ms, p99 {ranker['p99_ms']:.2f} ms; echo p50 "
                 f"{echo['p50_ms']:.2f} ms, p99 {echo['p99_ms']:.2f} ms; over the echo: p50 "
                 f"{ranker['p50_ms'] - echo['p50_ms']:+.2f} ms, p99 {ranker['p99_ms'] - echo['p99_ms']:+.2f} ms "
                 f"({goal})")

    def run(self):
        self.load()
        self.promote()
        self.make_echo_topics()
        ranker = self.start_ranker()
        middle = self.throughput(ranker, "t", self.options.requests)
        self.say(f"end to end, 24 candidates: {middle:,.0f} requests per CPU-second of the ranker (goal: 40,000)")
        rate = self.options.rate
        self.tell(f"at {rate:,} requests/s", self.paced(rate), "goal: +1 ms, +5 ms")
        self.tell("click, ack, request, ranking, one by one", self.clicks(), "goal: p99 +5 ms")
        if self.options.propositions:
            self.send_propositions(self.options.propositions)
            wait_until(lambda: ranker.metrics()["flotilla_ranker_propositions"] >= self.options.propositions,
                       "propositions are missing", 120)
            middle = self.throughput(ranker, "s", self.options.requests // 5, "shelf")
            self.say(f"top 10 by rules of {int(ranker.metrics()['flotilla_ranker_propositions']):,} propositions: "
                     f"{middle:,.0f} requests per CPU-second of the ranker (goal: 10,000)")
        ranker.stop()
        if self.options.users:
            seconds = self.restart(self.options.users)
            self.say(f"kill -9, restart to ready: {seconds:.2f} s with {self.options.users:,} users (goal: 3 s)")


class Echo:
    """A bare copy of echo.requests to echo.rankings while it is entered."""

    def __init__(self, bench):
        self.bench = bench

    def __enter__(self):
        fleet = self.bench.fleet
        self.process = subprocess.Popen([TRAFFIC, "echo", fleet.stack.brokers, fleet.topic("echo.requests"),
                                         fleet.topic("echo.rankings")], stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the echo does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate(timeout=30)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranklens", required=True)
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clicks", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--propositions", type=int, default=100_000)
    options = parser.parse_args()
    started = time.monotonic()

    class Run(unittest.TestCase):
        def test_bench(self):
            Bench(self, options).run()

    result = unittest.TextTestRunner(verbosity=0).run(Run("test_bench"))
    print(f"{time.monotonic() - started:.0f} s in all")
    sys.exit(not result.wasSuccessful())


main()
