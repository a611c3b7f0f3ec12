#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Load for a pod's network, and what serves it.

    net_load.py serve              in the pod: HTTP on port 80, GET /data/MIB, PUT (answers the sum)
    net_load.py sum MIB            the SHA-256 of /data/MIB
    net_load.py send MIB           the same bytes to standard output
    net_load.py load HOST:PORT URL SECONDS
                                   redis at HOST:PORT and the server at URL, every answer compared
    net_load.py slow URL SECONDS   read 1 KiB a second for so long, then all of it; print its sum
    net_load.py stats SOCKET NIC   a pod's counters, as words: NAME=VALUE
"""
import hashlib
import http.server
import json
import random
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request

MIB = 1 << 20
LIMIT = 200  # seconds any answer may take


def blocks(mib):
    """So many MiB that are the same everywhere, none of them like another."""
    for i in range(mib):
        yield hashlib.shake_128(b"%d" % i).digest(MIB)


def sum_of(mib):
    total = hashlib.sha256()
    for block in blocks(mib):
        total.update(block)
    return total.hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def begin(self, length):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self):
        mib = int(self.path.rpartition("/")[2] or "0")
        self.begin(mib * MIB)
        for block in blocks(mib):
            self.wfile.write(block)

    def do_PUT(self):
        left = int(self.headers["Content-Length"])
        total = hashlib.sha256()
        while left:
            block = self.rfile.read(min(left, MIB))
            if not block:
                return
            total.update(block)
            left -= len(block)
        self.begin(64)
        self.wfile.write(total.hexdigest().encode())

    def log_message(self, format, *args):
        pass


def serve():
    server = http.server.ThreadingHTTPServer(("", 80), Handler)
    server.daemon_threads = True
    server.serve_forever()


class Load:
    """Clients that ask until the time is over; each compares what it gets."""

    def __init__(self, redis, url, seconds):
        self.redis, self.url = redis, url
        self.end = time.monotonic() + seconds
        self.count = {"redis": 0, "http": 0, "wrong": 0}
        self.lock = threading.Lock()

    def add(self, **counts):
        with self.lock:
            for name, n in counts.items():
                self.count[name] += n

    def talk_redis(self, number):
        rng = random.Random(number)
        host, port = self.redis.split(":")
        with socket.create_connection((host, int(port)), LIMIT) as conn:
            stream = conn.makefile("rb")
            while time.monotonic() < self.end:
                key, value = b"key%d" % number, rng.randbytes(rng.randrange(4000))
                head = b"$%d\r\n%s\r\n"
                conn.sendall(b"*3\r\n$3\r\nSET\r\n" + head % (len(key), key) +
                             head % (len(value), value) +
                             b"*2\r\n$3\r\nGET\r\n" + head % (len(key), key))
                want = b"+OK\r\n" + head % (len(value), value)
                got = stream.read(len(want))
                self.add(redis=2, wrong=got != want)

    def talk_http(self):
        want = next(blocks(1))
        while time.monotonic() < self.end:
            with urllib.request.urlopen(self.url + "/data/1", timeout=LIMIT) as answer:
                self.add(http=1, wrong=answer.read() != want)

    def run(self):
        jobs = [(self.talk_redis, (i,)) for i in range(4)] + [(self.talk_http, ())] * 2
        threads = [threading.Thread(target=self.guarded, args=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(" ".join(f"{name}={n}" for name, n in self.count.items()))

    def guarded(self, job, args):
        try:
            job(*args)
        except Exception as error:  # it counts, whatever it is
            print(f"# {error}")
            self.add(wrong=1)


def slow(url, seconds):
    where = urllib.parse.urlsplit(url)
    conn = socket.socket()
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    conn.settimeout(LIMIT)
    conn.connect((where.hostname, where.port or 80))
    conn.sendall(f"GET {where.path} HTTP/1.0\r\n\r\n".encode())
    got = b""
    for _ in range(seconds):
        got += conn.recv(1024)
        time.sleep(1)
    while b"\r\n\r\n" not in got:
        got += conn.recv(1024)
    total = hashlib.sha256(got.partition(b"\r\n\r\n")[2])
    while chunk := conn.recv(65536):
        total.update(chunk)
    print(total.hexdigest())


def stats(path, nic):
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(LIMIT)
    conn.connect(path)
    conn.send(b"stats\n")
    answer = json.loads(conn.makefile().readline())
    words = answer["nics"][nic]
    words["instructions"] = answer.get("instructions", 0)
    print(" ".join(f"{name}={n}" for name, n in words.items()).replace("-", "_"))


def main(verb, *args):
    if verb == "serve":
        serve()
    elif verb == "sum":
        print(sum_of(int(args[0])))
    elif verb == "send":
        for block in blocks(int(args[0])):
            sys.stdout.buffer.write(block)
    elif verb == "load":
        Load(args[0], args[1], int(args[2])).run()
    elif verb == "slow":
        slow(args[0], int(args[1]))
    elif verb == "stats":
        stats(args[0], int(args[1]))
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
