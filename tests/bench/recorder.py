"""The recorder against COPY of the very same rows into a table of the same shape, on the same PostgreSQL in the same
run; called by recorder.sh.

Three ways, turn about: `recorder` drains the preloaded topic `features`, from its being ready to its last commit;
`copy` is one COPY of all rows, in the binary format, into an empty table with the same key; `upsert` is COPY into a
temporary table and one INSERT ... ON CONFLICT DO UPDATE, which is what a table of latest values costs at least when
nothing is known of its keys. Three shapes of rows:

  once    a key a record, into an empty table
  again   the same, into a table that has all of those keys: each row replaces one
  often   keys come again as bench-A's users do, into an empty table; `copy` goes into a table without a key then, since
          one with a key would refuse the second row of a key
"""
import argparse
import os
import subprocess
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from fleet import Fleet, wait_until  # noqa: E402

BENCH = Path(os.environ["BENCH_DIR"])
TICKS = os.sysconf("SC_CLK_TCK")
LIMIT_S = 600
COLUMNS = '(scope, key, as_of, "values")'
UPSERT = f"""INSERT INTO latest {COLUMNS}
SELECT DISTINCT ON (scope, key) scope, key, as_of, "values" FROM pg_temp.incoming ORDER BY scope, key, as_of DESC
ON CONFLICT (scope, key) DO UPDATE SET as_of = excluded.as_of, "values" = excluded."values";"""
UPSERT_UNIQUE = f"""INSERT INTO latest {COLUMNS} SELECT scope, key, as_of, "values" FROM pg_temp.incoming
ON CONFLICT (scope, key) DO UPDATE SET as_of = excluded.as_of, "values" = excluded."values";"""


def cpu_s(pid):
    """Processor time of a process so far, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def median(values):
    return sorted(values)[len(values) // 2]


class Session:
    """A psql that is fed line by line, so that its backend can be looked at before it ends."""

    def __init__(self, fleet):
        self.process = subprocess.Popen(
            ["psql", "-qXtA", "-v", "ON_ERROR_STOP=1", fleet.stack.postgres_url(fleet.database, "postgres")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.backend = int(self.run("SELECT pg_backend_pid();"))

    def run(self, text):
        """What it prints."""
        self.process.stdin.write(f"{text}\n\\echo done\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "done\n":
            if not line:
                raise RuntimeError(f"psql has ended in: {text}")
            lines.append(line)
        return "".join(lines)

    def close(self):
        self.process.communicate(timeout=60)


class Bench:
    def __init__(self, test, options):
        self.options = options
        self.fleet = Fleet(test, partitions=4, **{
            "recorder.batch_interval_ms": None, "kafka.session.timeout.ms": None, "kafka.heartbeat.interval.ms": None,
            **dict(setting.split("=", 1) for setting in options.set)})
        self.folder = self.fleet.folder
        self.loaded = None

    def say(self, text):
        print(text, flush=True)

    def load(self, keys):
        """Makes the rows, and has them in the topic alone."""
        if self.loaded == keys:
            return
        self.rows = self.folder / "rows"
        if self.loaded is None:
            self.fleet.create_topics().migrate()
        else:
            for verb in (["--delete"], ["--create", "--partitions", "4", "--replication-factor", "1"]):
                self.fleet.stack.kafka_tool("org.apache.kafka.tools.TopicCommand", *verb, "--topic",
                                            self.fleet.topic("features"))
        subprocess.run([BENCH / "bench_rows", keys, str(self.options.rows), self.fleet.stack.brokers,
                        self.fleet.topic("features"), self.rows], check=True, timeout=LIMIT_S)
        self.loaded = keys
        self.say(f"{self.options.rows:,} rows, keys {keys}: {self.rows.stat().st_size / 1e6:.0f} MB for COPY")

    # ------------------------------------------------------------ the three ways

    def recorder(self, shape):
        """(seconds, processor time of the recorder, of its backend)"""
        if shape != "again":
            self.fleet.rows("TRUNCATE feature_values")
        self.fleet.rows("DELETE FROM consumer_offsets")
        self.calm()
        recorder = self.fleet.start("recorder")
        started, before = time.monotonic(), cpu_s(recorder.process.pid)
        profile = self.profile(recorder) if self.options.profile else None
        topic = self.fleet.topic("features")
        ends = sum(end for (name, _), end in self.fleet.ends().items() if name == topic)
        wait_until(lambda: self.recorded(topic) >= ends, "the recorder does not get to the end", LIMIT_S)
        seconds = time.monotonic() - started
        figures = seconds, cpu_s(recorder.process.pid) - before, cpu_s(self.backend())
        if profile:
            self.tell_profile(profile)
        recorder.stop()
        return figures

    def recorded(self, topic):
        return int(self.fleet.rows("SELECT coalesce(sum(next_offset), 0) FROM consumer_offsets WHERE topic = "
                                   f"'{topic}'")[0][0])

    def backend(self):
        return int(self.fleet.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                                   "AND application_name LIKE 'recorder%'")[0][0])

    def copy(self, shape):
        key = "" if shape == "often" else "INCLUDING ALL"
        self.fleet.rows("DROP TABLE IF EXISTS copied; CREATE TABLE copied (LIKE feature_values "
                        f"{key}) WITH (fillfactor = 70)")
        return self.timed(f"\\copy copied {COLUMNS} FROM '{self.rows}' (FORMAT binary)")

    def upsert(self, shape):
        statement = UPSERT if shape == "often" else UPSERT_UNIQUE
        self.fleet.rows("CREATE TABLE IF NOT EXISTS latest (LIKE feature_values INCLUDING ALL) WITH (fillfactor = 70)")
        if shape != "again":
            self.fleet.rows("TRUNCATE latest")
        elif self.fleet.rows("SELECT count(*) FROM latest") == [["0"]]:
            self.fleet.rows("INSERT INTO latest SELECT * FROM copied")
        return self.timed(f"BEGIN; CREATE TEMPORARY TABLE incoming (LIKE feature_values) ON COMMIT DROP;\n"
                          f"\\copy pg_temp.incoming {COLUMNS} FROM '{self.rows}' (FORMAT binary)\n{statement} COMMIT;")

    def timed(self, text):
        """(seconds, processor time of psql, of its backend)"""
        session = Session(self.fleet)
        self.calm()
        started = time.monotonic()
        session.run(text)
        figures = time.monotonic() - started, cpu_s(session.process.pid), cpu_s(session.backend)
        session.close()
        return figures

    def calm(self):
        """What was written before is not to be paid for later."""
        self.fleet.stack.sql("CHECKPOINT")

    # ------------------------------------------------------------ where the time goes

    def profile(self, recorder):
        record = self.folder / "perf.data"
        wait_until(lambda: self.fleet.rows("SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                                           "AND application_name LIKE 'recorder%'"), "no backend", 60)
        return subprocess.Popen(["perf", "record", "-q", "-F", "2000", "-g", "-o", record, "-p",
                                 f"{recorder.process.pid},{self.backend()}"]), record

    def tell_profile(self, profile):
        process, record = profile
        process.terminate()
        process.wait(timeout=60)
        report = subprocess.run(["perf", "report", "-i", record, "--no-children", "-g", "none", "--sort",
                                 "comm,dso,sym", "--percent-limit", "0.7"], capture_output=True, text=True)
        self.say("\n".join(line for line in report.stdout.splitlines() if line and not line.startswith("#")))

    # ------------------------------------------------------------ all of it

    def measure(self, shape):
        self.load("often" if shape == "often" else "once")
        ways = {"recorder": self.recorder, "copy": self.copy, "upsert": self.upsert}
        figures = {name: [] for name in ways}
        if shape == "again":        # the rows that are to be replaced
            self.copy(shape)
            self.fleet.rows("TRUNCATE feature_values; INSERT INTO feature_values SELECT * FROM copied")
        for number in range(self.options.rounds):
            for name, way in ways.items():
                figures[name].append(way(shape))
                seconds, client, backend = figures[name][-1]
                self.say(f"  {shape}, round {number + 1}: {name:9} {self.options.rows / seconds:9,.0f} rows/s; "
                         f"processor time {client:.2f} s, its backend {backend:.2f} s")
        self.tell(shape, figures)

    def tell(self, shape, figures):
        middle = {name: median([self.options.rows / seconds for seconds, _, _ in rows])
                  for name, rows in figures.items()}
        backend = {name: median([row[2] for row in rows]) for name, rows in figures.items()}
        recorder = middle["recorder"]
        self.say(f"{shape}: recorder {recorder:,.0f} rows/s, copy {middle['copy']:,.0f}, upsert "
                 f"{middle['upsert']:,.0f}; recorder / copy {recorder / middle['copy']:.2f} (goal: 0.7), / upsert "
                 f"{recorder / middle['upsert']:.2f}; rows per backend CPU-second, recorder / copy "
                 f"{backend['copy'] / backend['recorder']:.2f}, / upsert {backend['upsert'] / backend['recorder']:.2f}")

    def run(self):
        for shape in self.options.shape or ["once", "again", "often"]:
            self.measure(shape)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", action="append", choices=["once", "again", "often"])
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()

    class Run(unittest.TestCase):
        def test_bench(self):
            Bench(self, options).run()

    result = unittest.TextTestRunner(verbosity=0).run(Run("test_bench"))
    sys.exit(not result.wasSuccessful())


main()
