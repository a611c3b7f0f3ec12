#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""web.py DIR LOG CERT KEY: the web for a test, as a proxy.

Every request of every host, http or https (CONNECT), is answered from DIR/HOST/PATH: a file, or the
file index.html of a directory. The port is printed, then the server runs until it is killed. LOG gets
"METHOD URL STATUS RANGE AUTHORIZATION" of each request, "-" for what is not there. A client is
pointed here by http_proxy and https_proxy, and trusts CERT by SSL_CERT_FILE.

DIR/HOST/PATH.rule, JSON, says how a file is served:
  etag, modified, cache  headers ETag (then If-None-Match and Range count), Last-Modified,
                         Cache-Control
  auth                   the Authorization it takes, else 401
  status, times          answered that often instead of the file, before all is well
  cut, times             the connection ends after that many bytes of the file, that often
  slow                   seconds between pieces of 64 KiB
"""
import http.server
import json
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse

root, log, cert, key = sys.argv[1:5]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
lock = threading.Lock()
seen = {}  # how often a path was served


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    origin = None  # of a tunnel

    def do_CONNECT(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        try:
            tunnel = tls.wrap_socket(self.connection, server_side=True)
        except (ssl.SSLError, OSError):
            self.close_connection = True
            return
        inner = type("Tunnel", (Handler,), {"origin": "https://" + self.path.removesuffix(":443")})
        try:
            inner(tunnel, self.client_address, self.server)
        except (ssl.SSLError, OSError):
            pass  # the client left
        tunnel.close()
        self.close_connection = True

    def do_GET(self):
        url = (self.origin or "") + self.path
        parts = urllib.parse.urlsplit(url)
        path = os.path.join(root, parts.hostname or "none", urllib.parse.unquote(parts.path).strip("/"))
        if os.path.isdir(path):
            path = os.path.join(path, "index.html")
        status, body, more = 404, b"not found\n", {}
        rule, first, cut = {}, 0, None
        if os.path.isfile(path + ".rule"):
            rule = json.load(open(path + ".rule"))
        with lock:
            turn = seen[path] = seen.get(path, 0) + 1
        if os.path.isfile(path + ".redirect"):
            status, more = 302, {"Location": open(path + ".redirect").read().strip()}
        elif "auth" in rule and self.headers.get("Authorization") != rule["auth"]:
            status, body = 401, b"who are you?\n"
        elif "status" in rule and turn <= rule.get("times", 1):
            status, body = rule["status"], b"another time\n"
        elif os.path.isfile(path):
            status, body = 200, open(path, "rb").read()
            status, body, first = self.judge(rule, body, more)
            if "cut" in rule and turn <= rule.get("times", 1):
                cut = max(rule["cut"] - first, 0)
        with lock, open(log, "a") as out:
            print(self.command, url, status, self.headers.get("Range", "-"),
                  self.headers.get("Authorization", "-"), file=out)
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD" or status == 304:
            return
        self.send(body if cut is None else body[:cut], rule.get("slow", 0))
        if cut is not None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def judge(self, rule, body, more):
        """What a request gets of a file: all, a part, or that it has not changed."""
        for name, header in (("etag", "ETag"), ("modified", "Last-Modified"),
                             ("cache", "Cache-Control")):
            if name in rule:
                more[header] = rule[name]
        is_of = rule.get("etag", rule.get("modified"))
        if is_of and self.headers.get("If-None-Match") == is_of:
            return 304, b"", 0
        wanted = self.headers.get("Range")
        if not wanted or not is_of or self.headers.get("If-Range", is_of) != is_of:
            return 200, body, 0
        first = int(wanted.removeprefix("bytes=").split("-")[0])
        if first >= len(body):
            more["Content-Range"] = "bytes */%d" % len(body)
            return 416, b"", 0
        more["Content-Range"] = "bytes %d-%d/%d" % (first, len(body) - 1, len(body))
        return 206, body[first:], first

    def send(self, body, slow):
        for at in range(0, len(body), 65536):
            self.wfile.write(body[at:at + 65536])
            time.sleep(slow)

    do_HEAD = do_GET

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # the client left

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
