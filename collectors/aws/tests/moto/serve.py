"""Serves AWS's calls from memory, by moto, on a free port of loopback.

Prints the port when it listens, and ends when standard input does: so it outlives whoever started it in no case, not
even where that was killed.

Four things are righted: commas in a user's name or path, which IAM allows, are quoted in the credential report; the
answer about a bucket's versioning has AWS's root element, without which SDKs refuse it; a listing of buckets that was
asked for with a parameter says where each lies; and an organisation has features for its root users, none of them on.

Three paths are its own, and no AWS call's: `/peer/delay?ms=20` holds up every answer from then on, `/peer/calls` tells,
as JSON, how many calls there were of each kind since it was last asked, `{"SERVICE OPERATION": COUNT}`, and from
`/peer/report` on the credential report is one of now and begins with the root user, as AWS's does.
"""

import collections
import csv
import io
import json
import os
import re
import sys
import threading
import time
import urllib.parse

from moto.core.responses import ActionResult
from moto.core.serialize import S3Serializer
from moto.iam.models import User
from moto.iam.responses import IamResponse
from moto.s3.responses import S3Response
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


def all_buckets(response, all_buckets=S3Response.all_buckets):
    status, headers, body = all_buckets(response)
    if response.querystring:
        buckets = response.backend.buckets
        named = lambda found: f"<Name>{found[1]}</Name><BucketRegion>{buckets[found[1]].region_name}</BucketRegion>"
        body = re.sub("<Name>([^<]+)</Name>", named, body)
    return status, headers, body


def get_credential_report(response, get_credential_report=IamResponse.get_credential_report):
    answer = get_credential_report(response)
    if not Peer.whole:
        return answer
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    header, rest = answer.result["Content"].split("\n", 1)
    root = ["<root_account>", f"arn:aws:iam::{response.current_account}:root", "2020-01-01T00:00:00+00:00"]
    root += ["not_supported", "no_information", "not_supported", "not_supported", "false"]
    root += ["false", "N/A", "N/A", "N/A", "N/A"] * 2 + ["false", "N/A"] * 2
    answer.result["Content"] = "\n".join([header, ",".join(root), rest])
    answer.result["GeneratedTime"] = now
    return answer


class Peer:
    """Moto, its answers counted and held up."""

    whole = False

    def __init__(self, moto):
        self.moto = moto
        self.seconds = 0
        self.calls = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        query = environ["QUERY_STRING"]
        if environ["PATH_INFO"] == "/peer/delay":
            self.seconds = int(urllib.parse.parse_qs(query)["ms"][0]) / 1000
            return self.tell({}, start_response)
        if environ["PATH_INFO"] == "/peer/calls":
            with self.lock:
                calls, self.calls = self.calls, collections.Counter()
            return self.tell(calls, start_response)
        if environ["PATH_INFO"] == "/peer/report":
            Peer.whole = True
            return self.tell({}, start_response)
        kind = self.kind(environ)
        with self.lock:
            self.calls[kind] += 1
        time.sleep(self.seconds)
        return self.moto(environ, start_response)

    @staticmethod
    def kind(environ):
        """What is called: the service from the signature's scope, the operation as the service's protocol names it."""
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        service = scope.group(1) if scope else "unsigned"
        target = environ.get("HTTP_X_AMZ_TARGET")
        if target:
            return f"{service} {target.rsplit('.', 1)[-1]}"
        if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            return f"{service} {urllib.parse.parse_qs(body.decode())['Action'][0]}"
        if "HTTP_X_AMZ_ACCOUNT_ID" in environ:
            service = "s3control"
        # S3's operations differ by method and by a parameter without a value: `GET ?versioning`.
        part = environ["QUERY_STRING"].split("&")[0].split("=")[0]
        return f"{service} {environ['REQUEST_METHOD']} ?{part}"

    @staticmethod
    def tell(what, start_response):
        body = json.dumps(what).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]


def end_with_input():
    sys.stdin.buffer.read()
    os._exit(0)


User.to_csv = to_csv
S3Serializer._serialize_body = serialize_body
S3Response.all_buckets = all_buckets
IamResponse.get_credential_report = get_credential_report
IamResponse.list_organizations_features = lambda response: ActionResult({"EnabledFeatures": []})
application = Peer(DomainDispatcherApplication(create_backend_app))
server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
# Moto writes it into URLs.
os.environ["MOTO_PORT"] = str(server.port)
threading.Thread(target=end_with_input, daemon=True).start()
print(server.port, flush=True)
server.serve_forever()
