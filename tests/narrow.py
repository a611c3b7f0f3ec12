#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A narrow way to a server, for tests that end a download in its middle.

    narrow.py PORT BYTES

Forwards connections to its own port, which it prints, to 127.0.0.1:PORT. Once BYTES bytes have come
back from the server nothing does any more.
"""
import socket
import sys
import threading

LIMIT = 600  # seconds this process lives at most

port, left = int(sys.argv[1]), int(sys.argv[2])
lock = threading.Lock()


def forward(source, target, counted):
    global left
    try:
        while data := source.recv(65536):
            with lock:
                if counted:
                    left -= len(data)
                if counted and left < 0:
                    threading.Event().wait()
            target.sendall(data)
    except OSError:
        pass  # one of them is gone
    target.close()


def serve(listener):
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=forward, args=(client, server, False), daemon=True).start()
        threading.Thread(target=forward, args=(server, client, True), daemon=True).start()


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    print("port", listener.getsockname()[1], flush=True)
    threading.Event().wait(LIMIT)


main()
