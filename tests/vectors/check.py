#!/usr/bin/env python3
"""Checks logs of format v1 with nothing but the Python standard library.

    check.py            every log beside this file, against its expected.json
    check.py FOLDER     one log, and prints the verdict as JSON

The format is described in README.md beside this file. Written from that description, not from the Rust code, so that
the two check each other. Slow where it can be simple.
"""

import base64
import hashlib
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ["key", "leaf", "blob", "checkpoint", "proof"]
MAX_LEAF = 65535


# Ed25519 (RFC 8032), verification only.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def decompress(data):
    """The point that 32 bytes encode; None unless they are its one canonical encoding."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
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
NEUTRAL = (0, 1, 1, 0)


def ed25519(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= ORDER:
        return False
    if same(multiply(8, a), NEUTRAL) or same(multiply(8, r), NEUTRAL):
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(digest, "little") % ORDER
    return same(multiply(s, BASE), add(r, multiply(k, a)))


# The tree (RFC 6962, section 2.1; checking as in RFC 9162, sections 2.1.3.2 and 2.1.4.2).


def sha256(data):
    return hashlib.sha256(data).digest()


def leaf_hash(data):
    return sha256(b"\0" + data)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def tree_root(hashes):
    if not hashes:
        return sha256(b"")
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(tree_root(hashes[:split]), tree_root(hashes[split:]))


def is_included(leaf, seq, size, path, root):
    if seq >= size:
        return False
    node, last, value = seq, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root


def is_consistent(old, new, old_root, new_root, path):
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if old & (old - 1) == 0:
        path = [old_root] + path
    if not path:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


# Keys and checkpoints (C2SP signed-note and tlog-checkpoint).


def parse_key(text):
    """Name, key id and public key of a verifier key."""
    name, key_id, encoded = text.split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    if data[:1] != b"\1" or len(data) != 33:
        raise ValueError("not an Ed25519 key")
    if sha256(name.encode() + b"\n" + data)[:4].hex() != key_id:
        raise ValueError("the key id is not the key's")
    return name, bytes.fromhex(key_id), data[1:]


def check_checkpoint(note, key):
    """Size and root of a checkpoint signed by the key; or None."""
    name, key_id, public = key
    text, found, signatures = note.partition("\n\n")
    lines = text.split("\n")
    if not found or len(lines) < 3 or lines[0] != name or not re.fullmatch("0|[1-9][0-9]*", lines[1]):
        return None
    if not signatures.endswith("\n"):
        return None
    try:
        root = base64.b64decode(lines[2], validate=True)
        signed = False
        for line in signatures[:-1].split("\n"):
            dash, signer, encoded = line.split(" ")
            data = base64.b64decode(encoded, validate=True)
            if dash != "\u2014":
                return None
            if signer == name and data[:4] == key_id:
                if not ed25519(public, text.encode() + b"\n", data[4:]):
                    return None
                signed = True
    except ValueError:
        return None
    return (int(lines[1]), root) if signed and len(root) == 32 else None


# Leaves.

STRING = rb'"(?:[^"\\]|\\.)*"'
NUMBER = rb"(?:0|[1-9]\d{0,15})"
REST = re.compile(
    rb'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","boot":"[^"\\]*","mono_ms":%s,"kind":"[^"\\]*"(?=,)'
    rb'(?:,"snapshot":%s)?(?:,"plan":%s)?(?:,"collector":(?:null|%s))?(?:,"source":(?:null|%s))?'
    rb'(?:,"target":(?:null|%s))?(?!,"(?:plan|collector|source|target)":)'
    % (NUMBER, NUMBER, NUMBER, STRING, STRING, STRING),
    re.DOTALL,
)


def leaf_is_formed(data, origin, seq, prev):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    beginning = '{"v":1,"log":"%s","seq":%d,"prev":"%s","time":"' % (origin, seq, prev.hex())
    if len(data) > MAX_LEAF or not data.startswith(beginning.encode()):
        return False
    return REST.match(data, len(beginning.encode())) is not None


def blobs_of(data):
    """The blobs that a leaf names at its end; None where it does not end with them."""
    at = data.rfind(b',"blobs":[')
    if at < 0 or not data.endswith(b"]}"):
        return None
    try:
        blobs = json.loads(data[at + 9 : -1])
    except ValueError:
        return None
    for blob in blobs:
        if not isinstance(blob, dict) or set(blob) != {"role", "sha256", "size", "media_type"}:
            return None
        texts = [blob["role"], blob["sha256"], blob["media_type"]]
        if not all(isinstance(text, str) for text in texts) or type(blob["size"]) is not int:
            return None
        if not re.fullmatch("[0-9a-fA-F]{64}", blob["sha256"]):
            return None
    return blobs


def blob_is_right(blob, data):
    if data is None or len(data) != blob["size"] or sha256(data).hex() != blob["sha256"]:
        return False
    return re.match(rb"[0-9a-f]{64}\n", data) is not None


# A log in files.


class Log:
    """The files of a log; those that a broken log does not have are the good one's."""

    def __init__(self, folder):
        self.folder = folder
        self.removed = []
        expected = os.path.join(folder, "expected.json")
        if os.path.exists(expected):
            with open(expected, encoding="utf-8") as file:
                self.removed = json.load(file).get("removed", [])

    def read(self, name):
        for folder in [self.folder, os.path.join(HERE, "good")]:
            path = os.path.join(folder, name)
            if name not in self.removed and os.path.exists(path):
                with open(path, "rb") as file:
                    return file.read()
        return None


def check_proofs(proofs):
    decode = bytes.fromhex
    for proof in proofs["inclusion"]:
        path = [decode(item) for item in proof["path"]]
        if not is_included(decode(proof["leaf"]), proof["seq"], proof["size"], path, decode(proof["root"])):
            yield proof["seq"], "proof"
    for proof in proofs["consistency"]:
        path = [decode(item) for item in proof["path"]]
        roots = decode(proof["old_root"]), decode(proof["new_root"])
        if not is_consistent(proof["old"], proof["new"], *roots, path):
            yield proof["new"] - 1, "proof"


def check(folder):
    """The verdict on a log: the first problem by position, and what the log is."""
    log, problems = Log(folder), []
    key_text = log.read("key").decode().strip()
    key = parse_key(key_text)
    leaves = log.read("leaves.jsonl").split(b"\n")[:-1]
    try:
        named = json.loads(leaves[0]).get("key")
    except ValueError:
        named = None
    if named != key_text:
        problems.append((0, "key"))
    signed = check_checkpoint(log.read("checkpoint").decode(), key)
    size = signed[0] if signed else len(leaves)

    prev, hashes = bytes(32), []
    for seq, data in enumerate(leaves[:size]):
        blobs = blobs_of(data)
        if blobs is None or not leaf_is_formed(data, key[0], seq, prev):
            problems.append((seq, "leaf"))
        for blob in blobs or []:
            if not blob_is_right(blob, log.read("blobs/" + blob["sha256"])):
                problems.append((seq, "blob"))
        prev = leaf_hash(data)
        hashes.append(prev)
    if len(leaves) > size:
        problems.append((size, "leaf"))
    root = tree_root(hashes)
    if not signed or len(leaves) < size or signed[1] != root:
        problems.append((size - 1, "checkpoint"))
    proofs = log.read("proofs.json")
    problems.extend(check_proofs(json.loads(proofs)) if proofs else [])

    if problems:
        seq, kind = min(problems, key=lambda problem: (problem[0], KINDS.index(problem[1])))
        return {"intact": False, "seq": seq, "kind": kind}
    facts = {"origin": key[0], "size": size, "root": root.hex(), "head": prev.hex()}
    return {"intact": True, **facts}


def main():
    if len(sys.argv) > 1:
        verdict = check(sys.argv[1])
        print(json.dumps(verdict))
        return 0 if verdict["intact"] else 4
    failed = 0
    broken = sorted(os.listdir(os.path.join(HERE, "broken")))
    for name in ["good"] + ["broken/" + name for name in broken]:
        with open(os.path.join(HERE, name, "expected.json"), encoding="utf-8") as file:
            expected = json.load(file)
        verdict = check(os.path.join(HERE, name))
        wrong = {field: value for field, value in verdict.items() if expected.get(field) != value}
        failed += bool(wrong)
        print(f"{name}: not as expected: {verdict}" if wrong else f"{name}: as expected")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
