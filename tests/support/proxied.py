"""A stack whose workers reach Kafka through a proxy, and whose broker may have a small disk.

The test's own commands go to the broker directly. One at a time is enough: stack() starts it when it is first asked
for, stop() ends it.
"""
import atexit
from pathlib import Path

import small_disk
import stack as stacks
from proxy import Proxy

# Kafka's logs of the tests take about 5 MB; what is left is for their events.
DISK_BYTES = 256 << 20


class ProxiedStack(stacks.Stack):
    """proxy: between workers and broker. disk: Kafka's, None where there can be none (small_disk.why_not())."""

    def __init__(self):
        self.proxy = Proxy()
        self.guard = stacks.Guard()
        self.disk = None
        try:
            if small_disk.why_not() is None:
                self.mount()
            self.settings = self.make_settings()
            stacks.run_script("up", self.guard.directory, self.through, **self.settings)
            super().__init__(self.guard.directory)
        except BaseException:
            self.close()
            raise
        self.worker_settings = {"kafka.brokers": self.proxy.address}

    def mount(self):
        directory = Path(self.guard.directory) / "kafka/small"
        directory.mkdir(parents=True)
        self.disk = small_disk.SmallDisk(directory, DISK_BYTES)
        self.through = self.disk.enter

    def make_settings(self):
        """Kafka's second listener is called by the proxy's port."""
        self.proxy.target = stacks.free_port()
        properties = [stacks.KAFKA_PROPERTIES,
                      "listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"]
        if self.disk:
            properties.append("log.dirs=small")
        return {"KAFKA_LISTENERS": f"PROXIED://127.0.0.1:{self.proxy.target}",
                "KAFKA_ADVERTISED": f"PROXIED://{self.proxy.address}", "KAFKA_PROPERTIES": "\n".join(properties)}

    def close(self):
        self.proxy.close()
        self.guard.close()
        if self.disk:
            self.disk.close()


_stack = None


def stack():
    """The one of this run."""
    global _stack
    if _stack is None:
        _stack = ProxiedStack()
        atexit.register(stop)
    return _stack


def stop():
    global _stack
    ended, _stack = _stack, None
    if ended:
        ended.close()
