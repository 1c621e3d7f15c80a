#!/usr/bin/env python3
"""Checks a fieldwork bundle with nothing but the Python standard library. It writes nothing.

    python3 verify.py [FOLDER] [--key KEY] [--checkpoint FILE]

FOLDER is the unpacked bundle; without it, the folder that this file lies in. KEY is the verifier key, and FILE a signed
checkpoint, that were handed to you before: only they establish whose log this is. Exit code 0: nothing is wrong; 4: something is.

What is checked, in this order:
 1. files: no links, no odd names; every file is in SHA256SUMS with its digest, and nothing else is
 2. checkpoints: the hashes of all leaves give the root that the log's key signed, now and at every earlier checkpoint
 3. leaves: each has the hash that stands for it, names the one before, and is formed as it must be
 4. period: every leaf of it is there, without a break
 5. blobs: each is named by a leaf, has the size and digest it is named by, or is listed as withheld
"""

import base64
import hashlib
import json
import os
import re
import sys

REQUIRED = ["README.txt", "SHA256SUMS", "bundle.json", "log/checkpoint", "log/hashes", "log/key", "log/leaves.jsonl",
            "verify.py", "withheld.csv"]


# Ed25519 (RFC 8032), only to verify. A point is (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z.
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def decompress(data):
    """The point that 32 bytes encode; None unless they are its one encoding."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else P - x
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiply(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


def same(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519(public, message, signature):
    if len(signature) != 64:
        return False
    a, r, s = decompress(public), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    small = [p for p in (a, r) if p is None or same(multiply(8, p), (0, 1, 1, 0))]
    if small or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return same(multiply(s, BASE), add(r, multiply(k, a)))


# Keys and checkpoints (C2SP signed-note and tlog-checkpoint), and the tree (RFC 6962).
def sha256(data):
    return hashlib.sha256(data).digest()


def decode64(text):
    """The bytes that base64 stands for; only in the one form that it has."""
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not the one form of base64")
    return data


def parse_key(text):
    """Name, key id and public key of `name+id+base64`; None if it is no such key."""
    try:
        name, key_id, encoded = text.split("+", 2)
        data = decode64(encoded)
    except ValueError:
        return None
    right = data[:1] == b"\1" and len(data) == 33 and sha256(name.encode() + b"\n" + data)[:4].hex() == key_id
    right = right and re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,39}/[0-9a-f]{8}", name) and decompress(data[1:])
    return (name, bytes.fromhex(key_id), data[1:]) if right else None


def check_note(note, key):
    """Size and root of a checkpoint that the key signed; None if it is none."""
    name, key_id, public = key
    text, found, signatures = note.partition("\n\n")
    lines, signed = text.split("\n"), False
    if not found or len(lines) < 3 or lines[0] != name or not re.fullmatch("0|[1-9][0-9]{0,18}", lines[1]):
        return None
    try:
        root = decode64(lines[2])
        if not signatures.endswith("\n"):
            return None
        for line in signatures[:-1].split("\n"):
            dash, signer, encoded = line.split(" ")
            data = decode64(encoded)
            if dash != "\u2014" or len(data) < 4:
                return None
            if signer == name and data[:4] == key_id:
                signed = ed25519(public, text.encode() + b"\n", data[4:])
                if not signed:
                    return None
    except ValueError:
        return None
    return (int(lines[1]), root) if signed and len(root) == 32 else None


def tree_roots(hashes, sizes):
    """RFC 6962, section 2.1: the root over the first so many leaves, for each of `sizes`. `parts` are the perfect subtrees
    so far, the largest first: two of the same size become one, and the root joins them from the smallest up."""
    roots, parts = {0: sha256(b"")}, []
    for count, value in enumerate(hashes, 1):
        rest = count
        while not rest & 1:
            value, rest = sha256(b"\1" + parts.pop() + value), rest >> 1
        parts.append(value)
        if count in sizes:
            for left in reversed(parts[:-1]):
                value = sha256(b"\1" + left + value)
            roots[count] = value
    return roots


# Leaves: a line of JSON each, whose beginning has a fixed form.
STRING, NUMBER = rb'"(?:[^"\\]|\\.)*"', rb"(?:0|[1-9]\d{0,15})"
SEQ = re.compile(rb'\{"v":1,"log":"([^"\\]*)","seq":(%s),"prev":"' % NUMBER)
REST = re.compile(
    rb'"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","boot":"[^"\\]*","mono_ms":%s,"kind":"([^"\\]*)"(?=,)'
    rb'(?:,"snapshot":(%s))?(?:,"plan":%s)?(?:,"collector":(?:null|%s))?(?:,"source":(?:null|%s))?'
    rb'(?:,"target":(?:null|%s))?(?!,"(?:plan|collector|source|target)":)'
    % (NUMBER, NUMBER, NUMBER, STRING, STRING, STRING), re.DOTALL)


def blobs_of(data):
    """The blobs that a leaf names at its end; None where it does not end with them."""
    at = data.rfind(b',"blobs":[')
    try:
        blobs = json.loads(data[at + 9 : -1].decode()) if at >= 0 and data.endswith(b"]}") else None
        for blob in blobs or []:
            fine = set(blob) == {"role", "sha256", "size", "media_type"} and type(blob["size"]) is int
            if not fine or blob["size"] < 0 or not isinstance(blob["role"], str) or not isinstance(blob["media_type"], str):
                return None
            blob["sha256"] = re.fullmatch("[0-9a-fA-F]{64}", blob["sha256"]).group().lower()
    except (ValueError, TypeError, AttributeError):
        return None
    return blobs


class Bundle:
    def __init__(self, folder):
        self.folder, self.problems, self.files = folder, [], {}
        self.pinned, self.manifest, self.blobs = False, {}, {}

    def problem(self, text):
        self.problems.append(text)

    def read(self, name):
        with open(os.path.join(self.folder, *name.split("/")), "rb") as file:
            return file.read()

    def text(self, name):
        return self.read(name).decode("utf-8", "replace")

    def check_files(self):
        """Every file as it is, and the list of them made again."""
        part, seen = r"[A-Za-z0-9_-](?:[A-Za-z0-9._-]*[A-Za-z0-9_-])?", set()
        for path, folders, files in os.walk(self.folder):
            below = os.path.relpath(path, self.folder).replace(os.sep, "/")
            for item in folders + files:
                name, full = (item if below == "." else below + "/" + item), os.path.join(path, item)
                if os.path.islink(full) or not (os.path.isfile(full) or item in folders):
                    self.problem("%r is a link, or no ordinary file" % name)
                elif item in files:
                    odd = len(name) > 200 or not re.fullmatch("%s(?:/%s)*" % (part, part), name) or name.lower() in seen
                    blob = re.fullmatch(r"blobs/([0-9a-f]{2})/\1[0-9a-f]{62}", name)
                    if odd or (name.lower().startswith("blobs/") and not blob):
                        self.problem("%r is no name that a file of a bundle has, or is there twice" % name)
                    seen.add(name.lower())
                    digest = hashlib.sha256()
                    with open(full, "rb") as file:
                        if blob and not re.fullmatch(rb"[0-9a-f]{64}\n", file.read(65)):
                            self.problem("%s: the salt is missing or malformed" % name)
                        file.seek(0)
                        for piece in iter(lambda: file.read(1 << 20), b""):
                            digest.update(piece)
                    self.files[name] = (digest.hexdigest(), os.path.getsize(full))
                    if blob and not name.endswith("/" + digest.hexdigest()):
                        self.problem("%s does not have the digest it is named by" % name)
        for name in self.files:
            if name.startswith("log/") and not name.startswith("log/checkpoints/") and name not in REQUIRED:
                self.problem("%s is no file that a bundle has there" % name)
        missing = [name for name in REQUIRED if name not in self.files]
        for name in missing:
            self.problem(name + " is missing")
        if missing or self.problems:
            return False
        names = sorted(name for name in self.files if name != "SHA256SUMS")
        if "".join("%s  %s\n" % (self.files[name][0], name) for name in names).encode() != self.read("SHA256SUMS"):
            stated = set(self.text("SHA256SUMS").split("\n"))
            for name in names:
                if "%s  %s" % (self.files[name][0], name) not in stated:
                    self.problem("%s is not in SHA256SUMS with the digest it has" % name)
            self.problem("SHA256SUMS is not the list of the files that are there")
        return True

    def check_checkpoints(self, given_key, given_note):
        """Who signed what; returns the hash of every leaf."""
        text = self.text("bundle.json")
        self.manifest = manifest = json.loads(text)
        if manifest["format"] != 1 or json.dumps(manifest, indent=2, ensure_ascii=False) + "\n" != text:
            self.problem("bundle.json is not of format 1, or not written as evidenced writes it")
        own = self.text("log/key")
        key = parse_key(own[:-1]) if own.endswith("\n") else None
        if key is None or key[0] != manifest["origin"]:
            raise ValueError("log/key is no verifier key, or of another log than bundle.json says")
        if given_key is not None:
            self.pinned = True
            if given_key != own[:-1]:
                self.problem("this log was not begun with the key given: it names " + own[:-1])
        data = self.read("log/hashes")
        hashes = [data[at : at + 32] for at in range(0, len(data), 32)]
        if len(data) != 32 * manifest["size"]:
            raise ValueError("log/hashes does not hold as many hashes as bundle.json says")
        older = sorted(name for name in self.files if name.startswith("log/checkpoints/"))
        notes = [(name, self.text(name)) for name in ["log/checkpoint"] + older]
        if len(notes) != manifest["counts"]["checkpoints"]:
            self.problem("there are not as many checkpoints as bundle.json says")
        notes += [("the checkpoint given", given_note)] if given_note is not None else []
        signatures = [(name, check_note(note, key)) for name, note in notes]
        roots = tree_roots(hashes, {signed[0] for _, signed in signatures if signed} | {len(hashes)})
        if roots[len(hashes)].hex() != manifest["root"]:
            self.problem("bundle.json states another root than the leaves give")
        for name, signed in signatures:
            size = {"log/checkpoint": str(len(hashes)), "the checkpoint given": None}.get(name, name.split("/")[-1])
            if signed is None or (size is not None and size != str(signed[0])):
                self.problem("%s is not signed by the log's key, or for another size" % name)
            elif roots.get(signed[0]) != signed[1]:
                self.problem("%s: the first %d leaves are not the ones it was signed for" % (name, signed[0]))
            elif size is None:
                self.pinned = True
            elif name in older and signed[0] >= len(hashes):
                self.problem("%s is not older than the newest" % name)
        return hashes, own[:-1]

    def check_leaves(self, hashes, key):
        """Each leaf's form and place; returns position and time of each."""
        present, judged = [], []
        lines = self.read("log/leaves.jsonl").split(b"\n")
        if lines.pop() != b"":
            self.problem("log/leaves.jsonl is cut off")
        for data in lines:
            begin = SEQ.match(data)
            seq = int(begin.group(2)) if begin and begin.group(1).decode() == self.manifest["origin"] else -1
            if not (present[-1][0] if present else -1) < seq < len(hashes):
                self.problem("leaf: a line is no leaf of this log, or not in order: %r" % data[:80])
                continue
            prev = hashes[seq - 1] if seq else bytes(32)
            link = data[begin.end() : begin.end() + 66]
            rest = REST.match(data, begin.end() + 66)
            blobs = blobs_of(data)
            if sha256(b"\0" + data) != hashes[seq]:
                self.problem("leaf %d does not have the hash that stands in log/hashes" % seq)
            if link != prev.hex().encode() + b'",' or not rest or blobs is None or len(data) > 65535:
                self.problem("leaf %d is not formed as a leaf, or does not name the hash of the one before it" % seq)
            if b"\xff" in data or data.decode("utf-8", "replace").encode() != data:
                self.problem("leaf %d is not UTF-8" % seq)
            if seq == 0 and json.loads(data).get("key") != key:
                self.problem("leaf 0 names another key")
            present.append((seq, rest.group(1).decode() if rest else ""))
            if rest and rest.group(2) == b"evaluation" and rest.group(3):
                judged.append((seq, int(rest.group(3))))
            for blob in blobs or []:
                first = self.blobs.setdefault(blob["sha256"], (seq, blob))
                if first[1]["size"] != blob["size"]:
                    self.problem("leaf %d gives a blob another size than leaf %d does" % (seq, first[0]))
        there = {seq for seq, _ in present}
        if 0 not in there or len(present) != self.manifest["counts"]["leaves"]:
            self.problem("leaf: leaf 0 is missing, or there are not as many leaves as bundle.json says")
        for seq, snapshot in judged:
            if snapshot not in there:
                self.problem("leaf %d judges snapshot %d, which is not in the bundle" % (seq, snapshot))
        return present

    def check_period(self, present):
        """Between the last leaf before the period and the first behind it, none is missing."""
        start, end = self.manifest["period"]["from"], self.manifest["period"]["to"]
        head, there = self.manifest["size"] - 1, {seq for seq, _ in present}
        within = [seq for seq, time in present if start <= time < end]
        if within:
            for seq in range(max(within[0] - 1, 0), min(within[-1] + 1, head) + 1):
                if seq not in there:
                    self.problem("leaf %d is missing, though it may be of the period" % seq)
            over = within[-1] < head
        else:
            pairs = zip(present, present[1:])
            beside = any(a[1] < start and b[1] >= end and a[0] + 1 == b[0] for a, b in pairs)
            later = present[:1] and present[0][0] == 0 and present[0][1] >= end
            earlier = present[-1:] and present[-1][0] == head and present[-1][1] < start
            over = not earlier
            if not (beside or later or earlier):
                self.problem("period: nothing shows that no leaf is of it")
        if not over and not self.manifest["draft"]:
            self.problem("the log ends before the period does, and bundle.json does not call it a draft")

    def check_blobs(self):
        """The blobs that leaves name are there, or listed as withheld, and no others."""
        lines = self.text("withheld.csv").split("\n")
        if lines[0] != "sha256,role,seq,why" or lines[-1] != "":
            self.problem("withheld.csv is cut off, or does not begin as it should")
        withheld, last = {}, ""
        for line in lines[1:-1]:
            fields = re.fullmatch("([0-9a-f]{64}),([a-z_]+),(0|[1-9][0-9]*),(out_of_scope|redacted|missing)", line)
            if not fields or fields.group(1) <= last:
                self.problem("withheld.csv has a line that does not belong: %r" % line)
                continue
            last = fields.group(1)
            withheld[last] = (fields.group(2), int(fields.group(3)))
        for name, (seq, blob) in self.blobs.items():
            file = self.files.get("blobs/%s/%s" % (name[:2], name))
            if (file is None) != (name in withheld):
                self.problem("leaf %d: blob %s is missing and not listed as withheld, or listed and there" % (seq, name))
            if file is not None and file[1] != blob["size"]:
                self.problem("leaf %d: blob %s has another size than the leaf says" % (seq, name))
        for name, told in withheld.items():
            seq, blob = self.blobs.get(name, (None, {"role": ""}))
            if told != (blob["role"] if re.fullmatch("[a-z_]+", blob["role"]) else "other", seq):
                self.problem("withheld.csv: %s is not first named there in this role" % name)
        there = [name.split("/")[-1] for name in self.files if name.startswith("blobs/")]
        for name in there:
            if name not in self.blobs:
                self.problem("blob %s is named by no leaf" % name)
        if [len(there), len(withheld)] != [self.manifest["counts"][name] for name in ("blobs", "withheld")]:
            self.problem("there are not as many blobs, or withheld ones, as bundle.json says")


def check(folder, key=None, note=None):
    """Checks a bundle; its `problems` say what is wrong."""
    bundle = Bundle(folder)
    try:
        if bundle.check_files():
            hashes, own = bundle.check_checkpoints(key, note)
            bundle.check_period(bundle.check_leaves(hashes, own))
            bundle.check_blobs()
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        bundle.problem("it can't be read any further: %r" % error)
    return bundle


def main(arguments):
    given = {"--key": None, "--checkpoint": None}
    folder = os.path.dirname(os.path.abspath(__file__))
    while arguments:
        word = arguments.pop(0)
        if word in given and arguments:
            given[word] = arguments.pop(0)
        elif word.startswith("-"):
            print(__doc__)
            return 2
        else:
            folder = word
    note = None
    if given["--checkpoint"] is not None:
        with open(given["--checkpoint"], encoding="utf-8", newline="") as file:
            note = file.read()
    bundle = check(folder, given["--key"], note)
    for problem in bundle.problems:
        print("  " + problem)
    if bundle.problems:
        print("NOT INTACT: %d problem(s)" % len(bundle.problems))
        return 4
    facts = bundle.manifest
    signer = "signed by the key that you hold" if bundle.pinned else "consistent, signer not established"
    print("%s: %d of %d leaves, %s" % (facts["origin"], facts["counts"]["leaves"], facts["size"], signer))
    print("  root %s\n  key  %s" % (facts["root"], bundle.text("log/key").strip()))
    print("  blobs %(blobs)d, withheld %(withheld)d" % facts["counts"])
    for why in facts["draft"]:
        print("  DRAFT: " + why)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
