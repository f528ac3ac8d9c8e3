"""An HTTP server in Python, with nothing but the standard library.

Port:  with `switcheroo run` it gets a listener, as file descriptor 3; as a
unit it listens on port 0, and the daemon finds the port.
Ready: it says READY=1 itself, as to systemd; so a slow start is no problem.
"""

import os
import pathlib
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# The version is the name of the directory that this file lies in: v1.
VERSION = pathlib.Path(__file__).resolve().parent.name


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one segment, not two

    def do_GET(self):
        body = (VERSION + "\n").encode()
        self.send_response(200)
        self.send_header("Version", VERSION)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def listener():
    if os.environ.get("LISTEN_FDS"):
        return socket.socket(fileno=3)
    return socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)


def ready():
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"READY=1", address.replace("@", "\0", 1))


server = ThreadingHTTPServer(("", 0), Hello, bind_and_activate=False)
server.socket.close()
server.socket = listener()
ready()
server.serve_forever()
