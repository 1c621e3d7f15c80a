"""Serves AWS's calls from memory, by moto, on a free port of loopback.

Prints the port when it listens, and ends when standard input does: so it outlives whoever started it in no case, not
even where that was killed.

Two things are righted: commas in a user's name or path, which IAM allows, are quoted in the credential report, and the
answer about a bucket's versioning has AWS's root element, without which SDKs refuse it.
"""

import csv
import io
import os
import sys
import threading

from moto.core.serialize import S3Serializer
from moto.iam.models import User
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


class Handler(MotoRequestHandler):
    """Without a line for every request."""

    def log_request(self, code="-", size="-"):
        pass


def quoted(*fields):
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue() + ","


def to_csv(user, to_csv=User.to_csv):
    raw = f"{user.name},{user.arn},"
    row = to_csv(user)
    assert row.startswith(raw), row
    return quoted(user.name, user.arn) + row.removeprefix(raw)


def serialize_body(serializer, body, serialize_body=S3Serializer._serialize_body):
    named = {"GetBucketVersioningResponse": "VersioningConfiguration"}
    return serialize_body(serializer, {named.get(name, name): content for name, content in body.items()})


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


User.to_csv = to_csv
S3Serializer._serialize_body = serialize_body
application = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
# Moto writes it into URLs.
os.environ["MOTO_PORT"] = str(server.port)
threading.Thread(target=end_with_input, daemon=True).start()
print(server.port, flush=True)
server.serve_forever()
