"""A TCP proxy on loopback that does to connections what networks do.

    proxy = Proxy()                     # listens; clients connect to 127.0.0.1:proxy.port
    proxy.target = port                 # of the server behind it
    proxy.cut()                         # every connection is reset, and every new one
    proxy.silence()                     # connections stay open, nothing passes; or only in one direction
    proxy.slow(bytes_per_s, latency_s)
    proxy.break_frame(FROM_SERVER)      # half of the next frame passes, then its connection is reset
    proxy.heal()                        # everything passes again; what was held back arrives
    proxy.close()

A frame is what Kafka sends: its length in 4 bytes, then as many bytes. The proxy has one thread and no randomness of
its own; its methods may be called by any thread.
"""
import asyncio
import socket
import struct
import threading

TO_SERVER, FROM_SERVER = "to the server", "from the server"
CHUNK_BYTES = 65536
SLOW_CHUNK_BYTES = 2048             # a rate is kept by waiting between chunks
CALL_LIMIT_S = 30
RESET = struct.pack("ii", 1, 0)     # SO_LINGER: closing sends RST and drops what is unsent


class Frames:
    """Where the frames of one direction of a connection begin and end."""

    def __init__(self):
        self.head = b""                 # of the length, as far as it is there
        self.left = 0                   # bytes of the frame that are still to come

    def feed(self, data):
        """Takes in the next bytes. Where the first frame that begins in them has its middle: an offset in data, which
        may lie beyond its end; None if none begins."""
        at, middle = 0, None
        while at < len(data):
            if self.left == 0:
                taken = data[at:at + 4 - len(self.head)]
                self.head += taken
                at += len(taken)
                if len(self.head) == 4:
                    self.left, = struct.unpack(">I", self.head)
                    self.head = b""
                    middle = at + self.left // 2 if middle is None else middle
            step = min(self.left, len(data) - at)
            self.left -= step
            at += step
        return middle


class Connection:
    """A client, the server, and what passes between them."""

    def __init__(self, proxy, client):
        self.proxy = proxy
        self.writers = [client[1]]
        self.client = client
        self.break_after = {}           # direction -> bytes that may still pass

    async def run(self):
        try:
            server = await asyncio.open_connection("127.0.0.1", self.proxy.target)
        except OSError:
            self.reset()
            return
        self.writers.append(server[1])
        pumps = [asyncio.ensure_future(self.pump(self.client[0], server[1], TO_SERVER)),
                 asyncio.ensure_future(self.pump(server[0], self.client[1], FROM_SERVER))]
        # A connection whose one side is closed carries no more of Kafka's conversations.
        _, others = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in others:
            pump.cancel()
        self.reset()

    async def pump(self, reader, writer, direction):
        frames = Frames()
        try:
            while data := await reader.read(CHUNK_BYTES):
                data, is_last = self.shortened(data, frames.feed(data), direction)
                await self.pass_on(data, writer, direction)
                if is_last:
                    self.proxy.note_broken()
                    return
        except OSError:
            pass

    def shortened(self, data, middle, direction):
        """(what of the data may pass, whether the connection breaks behind it)"""
        if self.proxy.breaking == direction and middle is not None and direction not in self.break_after:
            self.proxy.breaking = None
            self.break_after[direction] = middle
        if direction not in self.break_after:
            return data, False
        allowed = self.break_after[direction]
        self.break_after[direction] -= len(data)
        return data[:allowed], allowed <= len(data)

    async def pass_on(self, data, writer, direction):
        proxy = self.proxy
        at = 0
        while at < len(data):
            while direction in proxy.silent:
                await proxy.changed()
            size = len(data) if proxy.bytes_per_s is None else SLOW_CHUNK_BYTES
            part = data[at:at + size]
            at += len(part)
            wait_s = proxy.latency_s + (len(part) / proxy.bytes_per_s if proxy.bytes_per_s else 0)
            if wait_s:
                await asyncio.sleep(wait_s)
            writer.write(part)
            await writer.drain()

    def reset(self):
        for writer in self.writers:
            sock = writer.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()


class Proxy:
    """One port. It lives until close(), or until the process ends."""

    def __init__(self, target=None):
        self.target = target
        self.is_cut = False
        self.silent = set()
        self.bytes_per_s = None
        self.latency_s = 0
        self.breaking = None                # direction in which the next frame is to break
        self.broken = 0                     # connections that ended in the middle of a frame
        self.connections = set()
        self.loop = asyncio.new_event_loop()
        self.wake = None
        self.thread = threading.Thread(target=self.loop.run_forever, name="proxy", daemon=True)
        self.thread.start()
        self.server = self.call(self.listen)
        self.port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    # ------------------------------------------------------------ what happens to connections

    def cut(self):
        self.call(self.do_cut)

    def silence(self, *directions):
        """Nothing passes in these directions, both if none is named. Bytes are kept, as TCP would send them again."""
        self.call(self.set, silent=set(directions) or {TO_SERVER, FROM_SERVER})

    def slow(self, bytes_per_s=None, latency_s=0):
        """For each connection and direction: so many bytes a second, each chunk so much later."""
        self.call(self.set, bytes_per_s=bytes_per_s, latency_s=latency_s)

    def break_frame(self, direction):
        """Of the connection that carries the next frame in this direction. broken tells when it has happened."""
        self.call(self.set, breaking=direction)

    def heal(self):
        self.call(self.set, is_cut=False, silent=set(), bytes_per_s=None, latency_s=0, breaking=None)

    def close(self):
        if self.loop.is_running():
            self.call(self.do_close)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(CALL_LIMIT_S)
            self.loop.close()

    # ------------------------------------------------------------ in the thread of the proxy

    def call(self, function, **arguments):
        """Runs a coroutine in the thread of the proxy, and returns what it returns."""
        return asyncio.run_coroutine_threadsafe(function(**arguments), self.loop).result(CALL_LIMIT_S)

    async def listen(self):
        self.wake = asyncio.Event()
        return await asyncio.start_server(self.accept, "127.0.0.1", 0)

    async def accept(self, reader, writer):
        connection = Connection(self, (reader, writer))
        if self.is_cut:
            connection.reset()
            return
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.discard(connection)

    async def set(self, **values):
        for name, value in values.items():
            setattr(self, name, value)
        self.wake.set()
        self.wake = asyncio.Event()

    async def changed(self):
        await self.wake.wait()

    async def do_cut(self):
        self.is_cut = True
        for connection in list(self.connections):
            connection.reset()

    async def do_close(self):
        self.server.close()
        await self.do_cut()
        ending = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def note_broken(self):
        self.broken += 1
