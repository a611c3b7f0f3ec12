#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""web.py DIR LOG CERT KEY: the web for a test, as a proxy.

Every request of every host, http or https (CONNECT), is answered from DIR/HOST/PATH: a file, or the
file index.html of a directory. The port is printed, then the server runs until it is killed. LOG gets
"METHOD URL STATUS" of each request. A client is pointed here by http_proxy and https_proxy, and
trusts CERT by SSL_CERT_FILE.
"""
import http.server
import os
import ssl
import sys
import threading
import urllib.parse

root, log, cert, key = sys.argv[1:5]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain(cert, key)
lock = threading.Lock()


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
        inner(tunnel, self.client_address, self.server)
        tunnel.close()
        self.close_connection = True

    def do_GET(self):
        url = (self.origin or "") + self.path
        parts = urllib.parse.urlsplit(url)
        path = os.path.join(root, parts.hostname or "none", urllib.parse.unquote(parts.path).strip("/"))
        if os.path.isdir(path):
            path = os.path.join(path, "index.html")
        status, body, more = 404, b"not found\n", {}
        if os.path.isfile(path + ".redirect"):
            status, more = 302, {"Location": open(path + ".redirect").read().strip()}
        elif os.path.isfile(path):
            status, body = 200, open(path, "rb").read()
        with lock, open(log, "a") as out:
            print(self.command, url, status, file=out)
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
