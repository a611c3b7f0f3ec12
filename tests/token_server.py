#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A token server for docker-registry, for tests.

    token_server.py CERTIFICATE KEY

Serves https on a port of its own choosing on loopback, which it prints. A token for pulling is for everybody, for "user" with "pass:word" also one for pushing.
Prints "token for USER: SCOPE" for each token it gives.
"""
import base64
import json
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LIMIT = 600  # seconds this process lives at most

certificate, key = sys.argv[1:3]


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(claims):
    pem = open(certificate, encoding="ascii").read()
    x5c = "".join(pem.split("-----")[2].split())
    head = encode(json.dumps({"typ": "JWT", "alg": "RS256", "x5c": [x5c]}).encode())
    body = head + b"." + encode(json.dumps(claims).encode())
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", key], input=body, check=True,
                          capture_output=True)
    return (body + b"." + encode(made.stdout)).decode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        user, given = "", self.headers.get("Authorization", "")
        if given:
            if base64.b64decode(given.split(" ")[-1]) != b"user:pass:word":
                return self.reply(401, b"{}")
            user = "user"
        access = []
        for scope in query.get("scope", []):
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            allowed = [a for a in actions.split(",") if user or a == "pull"]
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        token = sign({"iss": "test", "sub": user, "aud": query["service"][0], "exp": now + 300,
                      "nbf": now - 10, "iat": now, "jti": "x", "access": access})
        print("token for %s: %s" % (user or "nobody", " ".join(query.get("scope", []))),
              flush=True)
        return self.reply(200, json.dumps({"token": token, "expires_in": 300}).encode())


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("port", server.server_address[1], flush=True)
    threading.Event().wait(LIMIT)


main()
