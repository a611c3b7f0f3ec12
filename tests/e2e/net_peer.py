#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a pod's network is tested against: net_peer.py DIRECTORY [ADDRESS]

Serves DIRECTORY by HTTP on port 8080 of ADDRESS (default 127.0.0.1), printing each client's
address, and answers every DNS question for an IPv4 address on port 53 with 10.0.2.2, the way a
pod of the user's network reaches the host.
"""
import functools
import http.server
import socket
import sys
import threading

ADDRESS = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"


def answer(question):
    """A response with one address record, to a query with one question."""
    end = question.index(b"\0", 12) + 5
    wanted = question[end - 4 : end - 2]
    records = b""
    if wanted == b"\0\1":
        records = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\2\2"
    counts = b"\0\1" + (b"\0\1" if records else b"\0\0") + b"\0\0\0\0"
    return question[:2] + b"\x81\x80" + counts + question[12:end] + records


def serve_names():
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind((ADDRESS, 53))
    while True:
        question, peer = names.recvfrom(512)
        names.sendto(answer(question), peer)


handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer((ADDRESS, 8080), handler)
threading.Thread(target=serve_names, daemon=True).start()
server.serve_forever()
