#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A web server and a registry that misbehave on order, for the tests of stage0/fetch.

    httpd.py DIRECTORY

Listens on ports of its own choosing on loopback: two of plain http, one of https whose certificate
is DIRECTORY/ca.pem (made here). Prints "HTTP OTHER HTTPS", one line, and serves until its standard
input ends. What a request gets is in its path; GET /log tells what was asked so far:
"METHOD PATH AUTHORIZATION RANGE" a line, "-" for nothing.
"""
import base64
import gzip
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

LIMIT = 120  # seconds this process lives at most
BLOB = 3 << 20

lock = threading.Lock()
log = []
seen = {}  # how often a path was asked for
tokens = {}  # token: uses left
ports = []


def pattern(n, seed=0):
    unit = bytes((i * 7 + i // 251 + seed) & 255 for i in range(65536))
    return (unit * (n // len(unit) + 1))[:n]


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Image:
    """One layer of a pattern, which is enough for who only carries it."""

    def __init__(self, seed):
        self.layer = pattern(BLOB, seed)
        self.config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
        self.manifest = json.dumps({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.desc("application/vnd.oci.image.config.v1+json", self.config),
            "layers": [self.desc("application/vnd.oci.image.layer.v1.tar", self.layer)],
        }).encode()

    @staticmethod
    def desc(media, data):
        return {"mediaType": media, "digest": digest(data), "size": len(data)}


image = Image(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def count(self, key):
        with lock:
            seen[key] = seen.get(key, 0) + 1
            return seen[key]

    def setup(self):
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        if not headers.pop("chunked", False):
            self.send_header("Content-Length", str(headers.pop("length", len(body))))
        for name, value in headers.items():
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name.replace("_", "-"), str(one))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def cut(self):
        """End the connection, whatever was promised."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def content(self, body, etag='"v1"', ranges=True, cut_at=None):
        first = 0
        wanted = self.headers.get("Range")
        if wanted and self.headers.get("If-Range", etag) != etag:
            wanted = None
        headers = {"ETag": etag, "Content_Type": "application/octet-stream"}
        if wanted and ranges:
            first = int(wanted[len("bytes="):].split("-")[0])
            if first >= len(body):
                return self.reply(416, Content_Range="bytes */%d" % len(body))
            headers["Content_Range"] = "bytes %d-%d/%d" % (first, len(body) - 1, len(body))
        part = body[first:]
        if cut_at is None or first >= cut_at:
            return self.reply(206 if first else 200, part, **headers)
        self.reply(206 if first else 200, part[:cut_at - first], length=len(part), **headers)
        return self.cut()

    def do_GET(self):
        url = urlsplit(self.path)
        with lock:
            log.append("%s %s %s %s" % (self.command, self.path,
                                        self.headers.get("Authorization", "-"),
                                        self.headers.get("Range", "-")))
        parts = unquote(url.path).split("/")[1:]
        query = {k: v[0] for k, v in parse_qs(url.query).items()}
        try:
            if url.scheme == "http":
                return self.reply(200, b"proxied " + self.path.encode())
            if parts[0] == "v2":
                return self.registry(parts[1:])
            return getattr(self, "on_" + parts[0])(parts[1:], query)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError, OSError):
            self.close_connection = True

    do_HEAD = do_GET

    def do_CONNECT(self):
        with lock:
            log.append("CONNECT %s %s -" % (self.path, self.headers.get("Authorization", "-")))
        self.reply(403)
        self.close_connection = True

    def do_POST(self):
        form = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        with lock:
            log.append("POST %s %s %s" % (self.path, self.headers.get("Authorization", "-"), form))
        if self.path.startswith("/oldtoken"):
            return self.reply(405)
        return self.grant({k: v[0] for k, v in parse_qs(form).items()})

    # a web server

    def on_log(self, parts, query):
        with lock:
            self.reply(200, ("\n".join(log) + "\n").encode())

    def on_echo(self, parts, query):
        self.reply(200, str(self.headers).encode())

    def on_bytes(self, parts, query):
        if self.headers.get("If-None-Match") == '"v1"':
            return self.reply(304, ETag='"v1"')
        self.content(pattern(int(parts[0])))

    def on_cached(self, parts, query):
        self.reply(200, b"x", Cache_Control="public, max-age=77", ETag='W/"weak"',
                   Content_Type="Text/HTML; charset=utf-8")

    def on_norange(self, parts, query):
        self.content(pattern(int(parts[0])), ranges=False,
                     cut_at=int(parts[1]) if self.count(self.path) == 1 else None)

    def on_cut(self, parts, query):
        """/cut/SIZE/AT: the connection ends AT bytes into the content"""
        self.content(pattern(int(parts[0])), cut_at=int(parts[1]))

    def on_changed(self, parts, query):
        n = self.count(self.path)
        self.content(pattern(int(parts[0]), n), etag='"v%d"' % min(n, 2),
                     cut_at=int(parts[1]) if n == 1 else None)

    def on_short(self, parts, query):
        self.reply(200, pattern(100), length=200)
        self.cut()

    def on_otherpart(self, parts, query):
        self.reply(206, pattern(50), Content_Range="bytes 7-56/100")

    def on_endless(self, parts, query):
        self.reply(200, Transfer_Encoding="chunked", chunked=True)
        while True:
            self.wfile.write(b"10000\r\n" + bytes(65536) + b"\r\n")

    def on_slow(self, parts, query):
        self.reply(200, length=100)
        for _ in range(100):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def on_hang(self, parts, query):
        time.sleep(LIMIT)

    def on_headers(self, parts, query):
        self.reply(200, b"x", **{"X-%d" % i: "y" * 1000 for i in range(int(parts[0]))})

    def on_redirect(self, parts, query):
        self.reply(int(parts[0]), b"elsewhere", Location=query["to"])

    def on_loop(self, parts, query):
        self.reply(302, Location="/loop/%d" % (int(parts[0]) + 1))

    def on_hops(self, parts, query):
        n = int(parts[0])
        self.reply(302, Location="/hops/%d" % (n - 1) if n > 1 else "/bytes/10")

    def on_status(self, parts, query):
        """/status/CODE?times=N&after=SECONDS: N times, then all is well"""
        headers = {"Retry_After": query["after"]} if "after" in query else {}
        if self.count(self.path) <= int(query.get("times", 1000)):
            body = json.dumps({"errors": [{"code": "SOME_CODE", "message": "go\x1baway"}]})
            return self.reply(int(parts[0]), body.encode(), **headers)
        return self.reply(200, b"well")

    def on_gzip(self, parts, query):
        self.reply(200, gzip.compress(b"packed", mtime=0), Content_Encoding="gzip")

    def on_garbage(self, parts, query):
        self.wfile.write(b"\x00\x01garbage\r\n\r\n")
        self.cut()

    # a token server

    def grant(self, form):
        token = "token%d" % self.count("token")
        with lock:
            tokens[token] = int(form.get("uses", 1000))
        self.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def on_token(self, parts, query):
        given = self.headers.get("Authorization")
        if given and given != "Basic " + base64.b64encode(b"user:pass:word").decode():
            return self.reply(401)
        if parts and parts[0] == "bad":
            return self.reply(200, b'{"token": "a\\r\\nb: c"}')
        return self.grant({"uses": parts[0]} if parts and parts[0] else {})

    on_oldtoken = on_token

    # a registry: the first part of the repository's name says what is wrong with it

    def here(self, port=None):
        if port is None:
            port = self.server.server_address[1]
        return "%s://127.0.0.1:%d" % ("https" if port == ports[2] else "http", port)

    def let_in(self, kind, repository):
        given = self.headers.get("Authorization", "")
        if kind == "basic":
            if given == "Basic " + base64.b64encode(b"user:pass:word").decode():
                return True
            self.reply(401, WWW_Authenticate='Basic realm="here"')
            return False
        if kind not in ("token", "expiring", "badtoken", "oldtoken", "cleartoken"):
            return True
        with lock:
            left = tokens.get(given[len("Bearer "):], 0)
            if left > 0:
                tokens[given[len("Bearer "):]] -= 1
                return True
        realm = {"expiring": "/token/2", "badtoken": "/token/bad",
                 "oldtoken": "/oldtoken"}.get(kind, "/token")
        realm = self.here(ports[0] if kind == "cleartoken" else None) + realm
        self.reply(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}',
                   WWW_Authenticate=['Negotiate abc==', 'Bearer realm="%s",service="the, service"'
                                     ',scope="repository:%s:pull"' % (realm, repository)])
        return False

    def registry(self, parts):
        if parts == [""]:
            return self.reply(200, b"{}")
        kind, repository = parts[0], "/".join(parts[:-2])
        if not self.let_in(kind, repository):
            return None
        if parts[-2] == "manifests":
            return self.manifest(kind, parts[-1])
        for blob in (image.config, image.layer):
            if digest(blob) == parts[-1]:
                return self.blob(kind, blob, parts)
        return self.reply(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"no such"}]}')

    def manifest(self, kind, reference):
        body = image.manifest
        headers = {"Docker_Content_Digest": digest(body),
                   "Content_Type": "application/vnd.oci.image.manifest.v1+json"}
        if kind == "absent" or reference == "absent":
            return self.reply(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no"}]}')
        if kind == "wrongdigest":
            headers["Docker_Content_Digest"] = digest(b"another")
        if kind == "othermanifest":
            body = body.replace(b"amd64", b"arm64") + b" "
            headers["Docker_Content_Digest"] = digest(body)
        if kind == "nodigest":
            del headers["Docker_Content_Digest"]
        if kind == "big":
            body = b"[" + b" " * (5 << 20) + b"]"
        if kind == "limited" and self.count("limited") == 1:
            return self.reply(429, Retry_After="1", ratelimit_limit="100;w=21600")
        return self.reply(200, body, **headers)

    def blob(self, kind, blob, parts):
        if kind == "elsewhere" or kind == "elsewhere401":
            return self.reply(307, Location="%s/storage/%s/%s?secret=1" % (
                self.here(ports[1]), kind, parts[-1]))
        if kind == "noblob":
            return self.reply(404)
        if kind == "longblob":
            return self.reply(200, blob + b"more")
        if kind == "changedblob":
            return self.content(blob[:-1] + b"!")
        if kind in ("cutblob", "expiring"):
            return self.content(blob, cut_at=(len(blob) // 2 if self.count(self.path) == 1
                                              else None))
        if kind == "cutnorange":
            return self.content(blob, ranges=False,
                                cut_at=len(blob) // 2 if self.count(self.path) == 1 else None)
        if kind == "deadblob" and self.headers.get("Range"):
            return self.cut()
        if kind == "deadblob":
            return self.content(blob, cut_at=len(blob) // 2)
        return self.content(blob)

    def on_storage(self, parts, query):
        if parts[0] == "elsewhere401":
            return self.reply(401, WWW_Authenticate='Bearer realm="%s/token"' % self.here())
        for blob in (image.config, image.layer):
            if digest(blob) == parts[1]:
                return self.content(blob)
        return self.reply(404)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, tls=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.tls = tls

    def handle_error(self, request, client_address):
        pass

    def finish_request(self, request, client_address):
        # a client that speaks TLS to a port of http is shown the door, not waited for
        if self.tls is None and request.recv(1, socket.MSG_PEEK) == b"\x16":
            return
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


def make_certificate(directory):
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=test", "-addext",
         "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test",
         "-keyout", directory + "/key.pem", "-out", directory + "/ca.pem"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory + "/ca.pem", directory + "/key.pem")
    return context


def main():
    context = make_certificate(sys.argv[1])
    servers = [Server(), Server(), Server(context)]
    ports.extend(server.server_address[1] for server in servers)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(*ports, flush=True)
    timer = threading.Timer(LIMIT, lambda: os._exit(1))
    timer.daemon = True
    timer.start()
    sys.stdin.buffer.read()


main()
