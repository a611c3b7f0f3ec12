# SPDX-License-Identifier: Apache-2.0
"""In a pod, app "a" of two: ask the metadata service everything, and print what it says.

For each request a line: its name, the status, the type, and the body; what is too long for it in lines
of NAME+. Then app "b" is given a
signature to verify, through the loop-back. Few modules: starting is the slow part of this.
"""
import os
import socket
import threading
import time

HOST, _, REST = os.environ["AC_METADATA_URL"][len("http://"):].partition(":")
PORT, _, TOKEN = REST.partition("/")
BASE = f"/{TOKEN}/acMetadata/v1"
PEER = 7777
PIECE = 2000  # of a line that is shown with the app's name


def connect(port):
    sock = socket.socket()
    sock.connect((HOST, int(port)))  # an address, which needs no resolver
    return sock


def raw(request, half_close=False):
    """All that comes back for these bytes."""
    answer = b""
    with connect(PORT) as sock:
        sock.sendall(request)
        if half_close:
            sock.shutdown(socket.SHUT_WR)
        while more := sock.recv(65536):
            answer += more
    return answer


def parse(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return lines[0].split(" ")[1], headers.get("Content-Type", "none"), body.decode()


def encode(text):
    return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in text)


def ask(path, method="GET", form=None, base=BASE):
    body = "" if form is None else "&".join(k + "=" + encode(v) for k, v in form)
    head = f"{method} {base}{path} HTTP/1.1\r\nHost: {HOST}\r\nMetadata-Flavor: AppContainer\r\n"
    if form is not None:
        head += "Content-Type: application/x-www-form-urlencoded\r\n"
        head += f"Content-Length: {len(body)}\r\n"
    return parse(raw((head + "\r\n" + body).encode()))


def show(name, answer):
    *head, body = answer
    print(name, *head, body[:PIECE], flush=True)
    for at in range(PIECE, len(body), PIECE):
        print(name + "+", body[at:at + PIECE], flush=True)


def verify(signature, uuid):
    return ask("/pod/hmac/verify", "POST",
               [("content", "hello pod"), ("uuid", uuid), ("signature", signature)])


def give_to_b(signature):
    while True:
        try:
            with connect(PEER) as sock:
                sock.sendall(signature.encode() + b"\n")
                return
        except ConnectionRefusedError:
            time.sleep(0.2)


def crowd():
    """More at once than there is room for, beside some that never say a word."""
    silent = [connect(PORT) for _ in range(8)]
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(ask("/pod/uuid")[0]))
               for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for sock in silent:
        sock.close()
    print("crowd", *sorted(set(statuses)), len(statuses), flush=True)


def leave():
    """Apps that hang up within a request, or before its answer, and those that reset."""
    for request in (b"", b"GET /", f"GET {BASE}/pod/uuid HTTP/1.1\r\n\r\n".encode()):
        for reset in (False, True):
            for _ in range(4):
                with connect(PORT) as sock:
                    if reset:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    sock.sendall(request)
    show("after-leave", ask("/pod/uuid"))


def slow():
    """An answer of several frames, to who reads it late."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((HOST, int(PORT)))
        sock.sendall(f"GET {BASE}/apps/b/annotations/big HTTP/1.1\r\n\r\n".encode())
        show("meanwhile", ask("/pod/uuid"))
        answer = b""
        while more := sock.recv(65536):
            answer += more
    status, _, body = parse(answer)
    print("slow", status, len(body), body == body[0] * len(body), flush=True)


for item in ("pod/annotations", "pod/manifest", "pod/uuid", "pod/annotations/none",
             "apps/a/annotations", "apps/a/annotations/size", "apps/a/image/manifest",
             "apps/a/image/id", "apps/b/annotations", "apps/b/image/manifest", "apps/b/image/id",
             "apps/c/image/id", "apps/B/image/id", "pod/hmac/sign"):
    show(item, ask("/" + item))
show("other-token", ask("/pod/uuid", base="/0123456789abcdef0123456789abcdef/acMetadata/v1"))
show("no-token", ask("/pod/uuid", base="/acMetadata/v1"))
show("post", ask("/pod/uuid", "POST", [("a", "b")]))
show("delete", ask("/pod/uuid", "DELETE"))
show("no-content", ask("/pod/hmac/sign", "POST", [("other", "x")]))
show("nonsense", parse(raw(b"\x16\x03\x01\x02\x00\x01\n")))
show("long", parse(raw(b"GET /" + b"a" * 9000)))
show("half", parse(raw(b"GET " + BASE.encode(), half_close=True)))
show("half-closed", parse(raw(f"GET {BASE}/pod/uuid HTTP/1.1\r\n\r\n".encode(),
                              half_close=True)))

UUID = ask("/pod/uuid")[2]
SIGNED = ask("/pod/hmac/sign", "POST", [("content", "hello pod")])
show("signature", SIGNED)
show("verified", verify(SIGNED[2], UUID))
show("other-uuid", verify(SIGNED[2], "00000000-1111-2222-3333-444444444444"))
show("bad-uuid", verify(SIGNED[2], "me"))
show("bad-base64", verify("****", UUID))
give_to_b(SIGNED[2])
show("more", parse(raw(f"GET {BASE}/pod/uuid HTTP/1.1\r\n\r\n".encode() + b"x" * 20000)))
leave()
slow()
crowd()
