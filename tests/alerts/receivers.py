"""Receivers on loopback, in one process: HTTP, the same encrypted, and three mail servers.

Prints a line of JSON with their ports, the file of the private authority that signed their certificates and the secrets that
they ask for, and ends when standard input does.

What each has received is told by `GET /received/NAME`, as a JSON list, oldest first. The names are the first part of the
paths: `webhook`, `pagerduty`, `slack`, `teams`, `jira-cloud`, `jira-server`, `mishap`; and `mail`.
"""

import http.server
import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.parse

import mail
import mishaps
import services

FOLDER = tempfile.TemporaryDirectory()


def authority():
    """An authority of its own, and a certificate for this machine that it has signed."""
    place = lambda name: os.path.join(FOLDER.name, name)
    openssl = lambda *arguments: subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout"]
    openssl("req", "-x509", *key, place("ca.key"), "-out", place("ca.pem"), "-subj", "/CN=Test authority", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *key, place("key.pem"), "-out", place("request.pem"), "-subj", "/CN=localhost")
    with open(place("names"), "w") as names:
        names.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", place("request.pem"), "-CA", place("ca.pem"), "-CAkey", place("ca.key"),
            "-CAcreateserial", "-out", place("cert.pem"), "-days", "2", "-extfile", place("names"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place("cert.pem"), place("key.pem"))
    return place("ca.pem"), context


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        name = urllib.parse.urlsplit(self.path).path.split("/")[-1]
        if self.path.startswith("/received/"):
            received = mail.RECEIVED if name == "mail" else services.RECEIVED.get(name, [])
            return self.answer(200, received)
        self.do_POST()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        name = urllib.parse.urlsplit(self.path).path.split("/")[1]
        if name == "mishap":
            services.RECEIVED.setdefault(name, []).append({"path": self.path})
            return mishaps.answer(self, body)
        try:
            status, answer = services.SERVICES[name](self, body)
        except Exception as error:
            print(f"{self.path}: {error!r}", file=sys.stderr, flush=True)
            status, answer = 599, {"broken": repr(error)}
        self.answer(status, answer)

    def answer(self, status, body):
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(status)
        self.send_header("content-type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


def serve(context=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def main():
    root, context = authority()
    said = {"http": serve(), "https": serve(context), "root": root, **mail.serve(context), **services.SECRETS}
    print(json.dumps(said), flush=True)
    sys.stdin.buffer.read()
    FOLDER.cleanup()
    os._exit(0)
