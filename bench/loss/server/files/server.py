"""The server under test in python: server.py VERSION PORT [reuseport], or "fd"
for the socket that systemd passed."""

import asyncio
import os
import signal
import socket
import sys
from urllib.parse import parse_qs, urlsplit

INTERVAL = 0.05  # seconds, and a chunk of the stream in each
CHUNK = 16 << 10

with open("/srv/bench/stream", "rb") as f:
    PATTERN = f.read()


class Connection(asyncio.Protocol):
    """One connection of a client: requests, one after the other."""

    def __init__(self, server):
        self.server = server
        self.received = b""
        self.busy = False
        self.last = False

    def connection_made(self, transport):
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, exc):
        self.server.connections.discard(self)
        self.server.left()

    def data_received(self, data):
        self.received += data
        self.next()

    def next(self):
        """Answers the next request, if it is complete and its turn has come."""
        if self.busy:
            return
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        self.received, self.busy = rest, True
        request, _, headers = head.decode("latin-1").partition("\r\n")
        self.last = "connection: close" in headers.lower() or self.server.stopping
        url = urlsplit(request.split(" ")[1])
        if url.path == "/version":
            self.answer(200, self.server.version.encode() + b"\n")
        elif url.path == "/healthz":
            self.answer(200, b"healthy\n")
        elif url.path == "/stream":
            self.stream(float(parse_qs(url.query)["seconds"][0]))
        else:
            self.answer(404, b"")

    def head(self, status, length):
        connection = "close" if self.last else "keep-alive"
        return (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'No'}\r\nVersion: {self.server.version}\r\n"
            f"Content-Length: {length}\r\nConnection: {connection}\r\n\r\n"
        ).encode()

    def answer(self, status, body):
        self.transport.write(self.head(status, len(body)) + body)
        self.done()

    def stream(self, seconds):
        length = CHUNK * max(1, int(seconds / INTERVAL))
        if length > len(PATTERN):
            self.answer(400, b"")
            return
        self.transport.write(self.head(200, length))
        self.send(0, length)

    def send(self, offset, length):
        if self.transport.is_closing():
            return
        self.transport.write(PATTERN[offset : offset + CHUNK])
        offset += CHUNK
        if offset >= length:
            self.done()
            return
        asyncio.get_running_loop().call_later(INTERVAL, self.send, offset, length)

    def done(self):
        self.busy = False
        if self.last or self.server.stopping:
            self.transport.close()  # what was written is sent first
        else:
            self.next()


class Server:
    def __init__(self, version):
        self.version = version
        self.connections = set()
        self.stopping = False
        self.empty = asyncio.Event()

    def stop(self):
        """Finishes the requests under way, and nothing else."""
        self.stopping = True
        self.listener.close()
        for c in list(self.connections):
            if not c.busy:
                c.transport.close()
        self.left()

    def left(self):
        if self.stopping and not self.connections:
            self.empty.set()

    async def run(self, sock):
        loop = asyncio.get_running_loop()
        self.listener = await loop.create_server(lambda: Connection(self), sock=sock, backlog=4096)
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        print("listening on port", sock.getsockname()[1], flush=True)
        notify("READY=1")
        await self.empty.wait()


def listen(port, reuse_port):
    if port == "fd":
        return socket.socket(fileno=3)
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("::", int(port)))
    return sock


def notify(state):
    """sd_notify(3)"""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    if path.startswith("@"):
        path = "\0" + path[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.connect(path)
        s.send(state.encode())


async def main():
    version, port = sys.argv[1:3]
    await Server(version).run(listen(port, "reuseport" in sys.argv[3:]))


asyncio.run(main())
