"""A world to suffer faults: a fleet on real servers, copies of workers that come back when they end, a stream that is
fed meanwhile, and the recomputation of everything that came of it.

    world = World(test, seed)           # test: a unittest.TestCase, or a Round of crash.py
    world.begin()                       # topics, database, attributes, copies; all ready
    world.feed()                        # in a thread of its own
    ...faults, at world.wait_for(share of the stream)...
    world.verify()                      # raises AssertionError with what differs

A fault takes what it touches, and gives it back: `with world.one("features", rng) as copy`, `with
world.all("features") as copies`, `with world.server("kafka")`. Who takes both takes the server first. What is given
back need not run: the world starts it again.
"""
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import verification
from copies import HOLD_LIMIT_S, Copies, Copy
from feeder import Feeder
from fleet import Fleet, wait_until
from load import Load

# What faults may need: workers, servers, and what stands between them. kafka, postgres: of this run alone, so they
# may be killed; the others are there where who made the world says so.
OFFERS = frozenset(["features", "recorder", "kafka", "postgres", "proxy", "cluster", "failpoints"])

WHOLE_LIMIT_S = 150
SHORT_STORY = 400           # characters of the log of a worker that ended by itself


class World:
    """copies, recorders: how many; None: by the seed. static: whether copies have names that Kafka knows. offers:
    words of OFFERS beyond the workers. settings: of all workers, more than the fleet's."""

    def __init__(self, test, seed, copies=None, recorders=None, static=None, offers=("kafka", "postgres"),
                 feed_s=None, load=None, stack=None, **settings):
        self.test = test
        self.rng = random.Random(f"world {seed}")
        # All is drawn, given or not: the rest of a world is the same for the same seed.
        drawn = {"copies": self.rng.choice([1, 2, 2, 3, 4]), "recorders": self.rng.choice([0, 1, 1, 2]),
                 "static": self.rng.random() < 0.5, "feed_s": self.rng.uniform(3, 7)}
        if "postgres" not in offers:
            drawn["recorders"] = 0
        self.load = load or Load(seed)
        self.static = drawn["static"] if static is None else static
        self.feed_s = feed_s or drawn["feed_s"]
        self.fleet = Fleet(test, self.load.features, stack=stack, **settings)
        self.stack = self.fleet.stack
        self.copies = Copies()
        self.servers = {"kafka": threading.RLock(), "postgres": threading.RLock(), "proxy": threading.RLock()}
        self.spawner = ThreadPoolExecutor(1, "spawner")
        self.ends = []                      # why copies ended by themselves
        self.bad_ends = []                  # of which some did so by a signal that nobody sent
        self.feeder = None                  # of the stream
        self.feeders = []                   # of all that was sent
        self.totals_are_final = False       # whether every key was published since they are
        self.began = time.monotonic()
        self.notes = []                     # what happened, with its time
        for number in range(drawn["copies"] if copies is None else copies):
            self.new_copy("features", f"features-{number}")
        for number in range(drawn["recorders"] if recorders is None else recorders):
            self.new_copy("recorder", f"recorder-{number}")
        self.offers = OFFERS & ({"features", *offers} | ({"recorder"} if self.copies.of("recorder") else set()))
        test.addCleanup(self.close)

    # ------------------------------------------------------------ beginning and end

    def begin(self):
        """Topics, database, attributes; the copies are ready."""
        self.fleet.create_topics()
        if self.copies.of("recorder"):
            self.fleet.migrate()
        self.fleet.send_entities(self.load.lines)
        self.copies.tender.start()
        self.wait_whole()
        self.note("all are ready")
        return self

    def close(self):
        """Before the fleet is removed. Faults must have ended."""
        for feeder in self.feeders:
            feeder.close()
        self.copies.close()
        self.spawner.shutdown()

    # ------------------------------------------------------------ copies

    def new_copy(self, kind, name):
        """One more of a kind; it starts as soon as nobody holds it."""
        settings = {"instance": name} if self.static else {}
        return self.copies.add(Copy(self, kind, name, settings, {}))

    def spawn(self, copy):
        """Starts a process for a copy: for Copy.start()."""
        self.note(f"start {copy}")
        return self.start_process(copy.kind, variables=copy.variables, **copy.settings)

    def start_process(self, name, **given):
        """A worker of any kind that is nobody's copy, not ready yet."""
        return self.spawner.submit(self.fleet.start, name, ready=False, **given).result()

    def ended(self, copy, worker):
        """A process of a copy is gone: for Copy.note_end()."""
        status = worker.process.returncode
        if -status in copy.sent or (status == 0 and copy.sent):
            return
        if status == -signal.SIGKILL and copy.has_failpoint:
            self.note(f"{copy} was killed by its failpoint")
            return
        why = last_words(worker)
        said = f"{copy} ended by itself with status {status} ({worker.log.name}): {why}"
        self.note(said)
        self.ends.append(why)
        if status <= 0 and -status not in copy.may_die_of:
            self.bad_ends.append(said)

    @contextmanager
    def one(self, kind, rng):
        """A copy of the kind, held."""
        copy = self.copies.some_free(kind, rng)
        try:
            with self.copies.held([copy]):
                yield copy
        finally:
            copy.lock.release()

    @contextmanager
    def all(self, kind):
        """All copies of the kind that are wanted, held."""
        with self.copies.held([copy for copy in self.copies.of(kind) if copy.wanted]) as copies:
            yield copies

    @contextmanager
    def server(self, name):
        """kafka, postgres, proxy: nobody else does anything to it meanwhile."""
        if not self.servers[name].acquire(timeout=HOLD_LIMIT_S):
            raise TimeoutError(f"{name} has been held for {HOLD_LIMIT_S} s")
        try:
            yield
        finally:
            self.servers[name].release()

    def is_whole(self):
        """Whether every copy that has to run does, and says that it is ready."""
        if self.copies.problem:
            raise self.copies.problem
        return all(copy.is_running() and (worker := copy.worker) and worker.get("/readyz")[0] == 200
                   for copy in self.copies.wanted())

    def wait_whole(self, limit_s=WHOLE_LIMIT_S):
        wait_until(self.is_whole, self.story, limit_s)

    # ------------------------------------------------------------ the stream

    def feed(self, records=None):
        """Begins to send the events of the load, or others; it takes feed_s seconds unless servers hold it up."""
        self.feeder = self.send(self.load.first if records is None else records, self.feed_s)

    def send(self, records, seconds=0):
        """More records, in a thread of its own: returns it."""
        self.feeders.append(Feeder(self.fleet, records, seconds))
        self.feeders[-1].start()
        return self.feeders[-1]

    def wait_for(self, share):
        """Until that share of the stream was handed to the client; 1: and acknowledged."""
        self.feeder.wait_for(share)

    # ------------------------------------------------------------ what came of it

    def verify(self, records=None, with_vectors=False):
        """Waits until nothing is left to do, and compares everything with what the oracle says of all that was sent, or
        of these records. Returns what was compared, {what: how many}. Raises AssertionError."""
        for feeder in self.feeders:
            feeder.wait_for(1)
        self.note("all is fed")
        return verification.verify(self, records or [r for feeder in self.feeders for r in feeder.records],
                                   with_vectors)

    def verify_again(self):
        """Kills all workers, has new ones read the checkpoints, touches every key, and compares everything once
        more, and the vectors of a ranker."""
        for kind in ("features", "recorder"):
            with self.all(kind) as copies:
                for copy in copies:
                    copy.kill()
        self.wait_whole()
        self.send(self.load.second)
        self.totals_are_final = True
        return self.verify(with_vectors=True)

    # ------------------------------------------------------------ what is told

    def note(self, text):
        self.notes.append(f"{time.monotonic() - self.began:6.2f} s  {text}")

    def story(self):
        """What happened so far, and how the copies are."""
        states = [f"{copy}: {describe(copy)}" for copy in self.copies.wanted()]
        return "\n".join([*self.notes, *states])


def describe(copy):
    worker = copy.worker
    if worker is None or not worker.is_running():
        return "does not run"
    return f"{worker.log.name}: readyz {worker.get('/readyz')}"


def last_words(worker):
    """Why it ended: the last line of its log that says that something is wrong."""
    lines = [r for r in worker.records() if r.get("level") == "error"]
    if not lines:
        return worker.text()[-SHORT_STORY:]
    return " ".join(str(value) for name, value in lines[-1].items()
                    if name not in ("time", "level", "worker", "instance"))[:SHORT_STORY]
