"""Answers as they come on bad days. A part of the path says which: `/mishap/SECRET/KIND`, `/mishap/KIND/rest/api`."""

import email.utils
import time
import urllib.parse


def answer(handler, body):
    parts = urllib.parse.urlsplit(handler.path).path.split("/")
    kind = next(part for part in parts if part.isdigit() or part in KINDS)
    if kind.isdigit():
        return handler.answer(int(kind), f"status {kind}")
    return KINDS[kind](handler, body)


def hang(handler, _):
    time.sleep(60)


def hang_in_body(handler, _):
    begin(handler, 200, ("content-length", "100"))
    handler.wfile.write(b"o")
    time.sleep(60)


def endless(handler, _):
    begin(handler, 500)
    try:
        while True:
            handler.wfile.write(b"no end in sight " * 4096)
    except OSError:
        pass


def cut(handler, _):
    handler.close_connection = True


def echo(handler, body):
    said = f"{handler.command} {handler.path} {handler.headers} {body.decode()}"
    handler.answer(400, said)


def moved(handler, _):
    begin(handler, 307, ("location", "/mishap/secret-part/ok"), ("content-length", "0"))
    handler.close_connection = False


def seconds(handler, _):
    begin(handler, 429, ("retry-after", "17"), ("content-length", "0"))


def date(handler, _):
    until = email.utils.formatdate(time.time() + 120, usegmt=True)
    begin(handler, 503, ("retry-after", until), ("content-length", "0"))


def begin(handler, status, *headers):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.close_connection = True


KINDS = {
    "hang": hang,
    "hang-in-body": hang_in_body,
    "endless": endless,
    "cut": cut,
    "echo": echo,
    "moved": moved,
    "seconds": seconds,
    "date": date,
    "page": lambda handler, _: handler.answer(200, "<html>Please sign in</html>"),
    "controls": lambda handler, _: handler.answer(400, "a\x1b[31m\r\nb\x00" + "c" * 1000),
    "ok": lambda handler, _: handler.answer(200, "ok"),
}
