"""The copies of workers in a world: who runs, who holds whom, and who brings back what ended.

Everything here may be called by any thread. Processes are started by one thread of the world alone, since the kernel
ends them together with the thread that started them.
"""
import signal
import threading
import time
from contextlib import contextmanager

HOLD_LIMIT_S = 200
TEND_EVERY_S = 0.05
RESTART_AFTER_S = 0.1       # as a supervisor does, so that what ends at once does not fill the disk with logs


class Copy:
    """One place for a worker: a name, settings, and the process that fills it just then. wanted: it has to run when
    nobody holds it. What a fault does to it, it does while it holds it."""

    def __init__(self, world, kind, name, settings, variables):
        self.world = world
        self.kind = kind                    # features, recorder
        self.name = name
        self.settings = settings
        self.variables = dict(variables)    # of the environment, for the next start
        self.worker = None
        self.wanted = True
        self.lock = threading.RLock()
        self.is_frozen = False
        self.may_die_of = set()             # signals that a fault has it send to itself
        self.sent = set()                   # signals that were sent to the process of now
        self.has_failpoint = False          # the process of now may kill itself

    def __repr__(self):
        return self.name

    def is_running(self):
        return self.worker is not None and self.worker.is_running()

    def start(self):
        """A process, which need not be ready. One that runs is left alone."""
        if not self.is_running():
            self.note_end()
            self.sent = set()
            self.is_frozen = False
            self.has_failpoint = "FAILPOINT" in self.variables
            self.worker = self.world.spawn(self)

    def signal(self, number):
        self.sent.add(number)
        if self.is_running():
            self.worker.process.send_signal(number)

    def kill(self):
        """kill -9; also of what is frozen."""
        self.signal(signal.SIGKILL)
        self.wait_end()

    def stop(self):
        """SIGTERM and its end in good order, which the worker's own watchdog bounds."""
        self.signal(signal.SIGTERM)
        self.wait_end()

    def wait_end(self):
        if self.worker is not None:
            self.worker.wait_end()
            self.note_end()

    def freeze(self):
        self.signal(signal.SIGSTOP)
        self.is_frozen = True

    def thaw(self):
        self.signal(signal.SIGCONT)
        self.is_frozen = False

    def note_end(self):
        """Tells the world about the process of now, once it has ended."""
        worker, self.worker = self.worker, None
        if worker is not None:
            self.world.ended(self, worker)


class Copies:
    """All places of a world, and the thread that brings back what ended by itself or was left ended."""

    def __init__(self):
        self.places = []
        self.changed = threading.Lock()
        self.ending = threading.Event()
        self.tender = threading.Thread(target=self.tend, name="tender", daemon=True)
        self.problem = None

    def add(self, copy):
        with self.changed:
            self.places.append(copy)
        return copy

    def of(self, kind):
        with self.changed:
            return [copy for copy in self.places if copy.kind == kind]

    def wanted(self):
        with self.changed:
            return [copy for copy in self.places if copy.wanted]

    def tend(self):
        try:
            while not self.ending.wait(TEND_EVERY_S):
                for copy in self.wanted():
                    if not copy.is_running() and copy.lock.acquire(blocking=False):
                        try:
                            self.revive(copy)
                        finally:
                            copy.lock.release()
        except Exception as e:              # is raised again where the world is asked whether it is whole
            self.problem = e

    def revive(self, copy):
        if copy.wanted and not copy.is_running() and not self.ending.is_set():
            self.ending.wait(RESTART_AFTER_S if copy.worker else 0)
            copy.start()

    @contextmanager
    def held(self, copies):
        """All of them, in the order of their names, by this thread alone; nobody revives them meanwhile."""
        taken = []
        try:
            for copy in sorted(copies, key=lambda c: c.name):
                if not copy.lock.acquire(timeout=HOLD_LIMIT_S):
                    raise TimeoutError(f"{copy} has been held for {HOLD_LIMIT_S} s")
                taken.append(copy)
            yield copies
        finally:
            for copy in reversed(taken):
                if copy.is_frozen and copy.is_running():
                    copy.thaw()
                copy.lock.release()

    def some_free(self, kind, rng):
        """A copy of the kind that nobody holds, held by the caller from now on. Chosen by rng, as far as there is a
        choice."""
        deadline = time.monotonic() + HOLD_LIMIT_S
        while time.monotonic() < deadline:
            candidates = [copy for copy in self.of(kind) if copy.wanted]
            rng.shuffle(candidates)
            for copy in candidates:
                if copy.lock.acquire(blocking=False):
                    if copy.wanted:
                        return copy
                    copy.lock.release()
            time.sleep(TEND_EVERY_S)
        raise TimeoutError(f"every copy of {kind} has been held for {HOLD_LIMIT_S} s")

    def close(self):
        self.ending.set()
        if self.tender.is_alive():
            self.tender.join()
