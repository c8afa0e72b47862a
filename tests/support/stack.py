"""A Kafka and a PostgreSQL for the tests: one of each in a run, started when a test first asks for them.

The servers are those of deploy/local/stack.sh, in a temporary directory. A guard, a process of its own, stops and
removes them as soon as this process is gone, however it went. STACK_DIR names a stack that runs already: it is used
and left alone.
"""
import atexit
import os
import secrets
import shlex
import socket
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy/local/stack.sh"
SCRIPT_LIMIT_S = 240

# Brokers refuse timestamps an hour ahead of them since Kafka 4; streams of the tests may begin in 2060.
KAFKA_PROPERTIES = "log.message.timestamp.after.max.ms=9223372036854775807"

GUARD = """
trap '' INT TERM HUP
cat >/dev/null
for server in kafka postgres; do
    cp "$2/$server/$server.log"* "$3/" 2>/dev/null
done
exec bash "$1" reset "$2" >"$3/stack.reset.log" 2>&1
"""


def logs():
    """The directory where servers, workers and commands leave their logs: LOG_DIR, or one that stays."""
    if "LOG_DIR" not in os.environ:
        os.environ["LOG_DIR"] = tempfile.mkdtemp(prefix="flotilla-test-logs.")
        print(f"logs are in {os.environ['LOG_DIR']}")
    return Path(os.environ["LOG_DIR"])


def free_port():
    """A port that nobody listens on, of those that lib.sh chooses from; a server binds it a moment later."""
    while True:
        port = 20000 + secrets.randbelow(12000)
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)):
                return port


class Stack:
    """Where the servers are, and how to stop, kill and start them."""

    settings = {}               # of stack.sh, more than those of all stacks
    fleet_settings = {}         # of fleets on it
    worker_settings = {}        # of the workers of fleets on it, where they have others than the test's commands
    through = ()                # a command that runs stack.sh

    def __init__(self, directory):
        self.directory = directory
        with open(Path(directory) / "env", encoding="utf-8") as lines:
            self.env = dict(shlex.split(line)[0].split("=", 1) for line in lines)
        self.brokers = self.env["KAFKA_BROKERS"]

    def run(self, verb):
        """A verb of stack.sh: postgres-kill, kafka-start, ..."""
        run_script(verb, self.directory, self.through, **self.settings)

    def pid(self, server):
        """Of the server's (first) process, as it was last started."""
        record = Path(self.directory) / server / "pid"
        return int(record.read_text(encoding="ascii").split()[0])

    def is_running(self, server):
        """Whether that process is there. One that has ended is a zombie where nobody asks after it."""
        try:
            status = Path(f"/proc/{self.pid(server)}/stat").read_text(encoding="ascii")
        except FileNotFoundError:
            return False
        return status.rpartition(")")[2].split()[0] not in "ZX"

    def signal_kafka(self, number):
        os.kill(self.pid("kafka"), number)

    def postgres_url(self, database, user="flotilla"):
        return f"postgresql://{user}@127.0.0.1:{self.env['POSTGRES_PORT']}/{database}"

    def sql(self, statement, database="postgres", user="postgres"):
        """Runs statements; rows come back as lists of texts, NULL as None."""
        run = subprocess.run(
            ["psql", "-XqtA", "-F", "\x1f", "-R", "\x1e", "-P", "null=\x1d", "-v", "ON_ERROR_STOP=1", "-c", statement,
             self.postgres_url(database, user)], capture_output=True, encoding="utf-8", timeout=60)
        if run.returncode != 0:
            raise RuntimeError(f"{statement}: {run.stderr.strip()}")
        rows = run.stdout.removesuffix("\n")
        return [[None if value == "\x1d" else value for value in row.split("\x1f")]
                for row in rows.split("\x1e")] if rows else []

    def kafka_tool(self, java_class, *arguments):
        """One of Kafka's own tools: what it prints. The fleet's programs have no part in it."""
        java = os.path.join(os.environ["JAVA_HOME"], "bin/java") if os.environ.get("JAVA_HOME") else "java"
        run = subprocess.run(
            [java, "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", self.env["KAFKA_JARS"] + "/*",
             java_class, "--bootstrap-server", self.brokers, *arguments],
            capture_output=True, encoding="utf-8", timeout=60)
        if run.returncode != 0:
            raise RuntimeError(f"{java_class} {' '.join(arguments)}: {run.stdout}{run.stderr}")
        return run.stdout


def run_script(verb, directory, through=(), **settings):
    """A verb of stack.sh; settings are those that it takes from the environment. through: a command that runs it."""
    # Nobody's power fails during a test; what is killed keeps its pages in the kernel.
    environment = {"LOCAL_PG_FSYNC": "off", "KAFKA_PROPERTIES": KAFKA_PROPERTIES, **os.environ, **settings}
    with open(logs() / "stack.log", "ab") as log:
        run = subprocess.run([*through, "bash", SCRIPT, verb, directory], stdin=subprocess.DEVNULL, stdout=log,
                             stderr=log, env=environment, timeout=SCRIPT_LIMIT_S)
    if run.returncode != 0:
        raise RuntimeError(f"stack.sh {verb} failed:\n{(logs() / 'stack.log').read_text(errors='replace')[-2000:]}")


class Guard:
    """Holds a new stack in a temporary directory until it is closed, or its owner is gone."""

    def __init__(self):
        self.temporary = tempfile.mkdtemp(prefix="flotilla-test-stack.")
        self.directory = os.path.join(self.temporary, "a stack")     # with a space, as a user's path may have one
        os.chmod(self.temporary, 0o755)                             # PostgreSQL may have to run as another user
        self.process = subprocess.Popen(["bash", "-c", GUARD, "guard", SCRIPT, self.directory, logs()],
                                        stdin=subprocess.PIPE, start_new_session=True)

    def close(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(timeout=SCRIPT_LIMIT_S)
        if os.path.isdir(self.temporary) and not os.listdir(self.temporary):
            os.rmdir(self.temporary)


_stack = None
_guard = None


def stack():
    """The stack of this run."""
    global _stack, _guard
    if _stack is None:
        directory = os.environ.get("STACK_DIR")
        if not directory:
            _guard = Guard()
            atexit.register(stop)
            directory = _guard.directory
            run_script("up", directory)
        _stack = Stack(directory)
    return _stack


def stop():
    """Stops and removes what stack() has started."""
    global _stack, _guard
    guard, _guard, _stack = _guard, None, None
    if guard:
        guard.close()
