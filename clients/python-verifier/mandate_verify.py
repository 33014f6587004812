#!/usr/bin/env python3
"""Verify a Mandate decision log or a receipt, with public keys alone.

Written from docs/decision-log-format.md, with nothing but Python's standard library (3.9 or later), so that it
shares no code and no mistake with Mandate. Slow: about 100,000 records a second and 100 signatures a second.

    mandate_verify.py log DIR --key KEY [--checkpoints FILE]...
    mandate_verify.py receipt FILE --key KEY

Exit codes: 0 verified, 3 not what was signed, 1 it could not be read.
"""
import argparse
import base64
import hashlib
import json
import pathlib
import struct
import sys
import zlib

MAX_PAYLOAD = 33_554_432


class Bad(Exception):
    """Something is not what was written and signed."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# Ed25519 (RFC 8032, sections 5.1.3, 5.1.4 and 5.1.7), in extended coordinates.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def decompress(octets):
    number = int.from_bytes(octets, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P


def add(a, b):
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(scalar, point):
    result = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            result = add(result, point)
        point, scalar = add(point, point), scalar >> 1
    return result


BASE = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def signed_by(public, text, signature):
    key, r, s = decompress(public), decompress(signature[:32]), int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= L or len(signature) != 64:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(k, key))
    return not (left[0] * right[2] - right[0] * left[2]) % P and not (left[1] * right[2] - right[1] * left[2]) % P


# Keys and checkpoints.
def read_keys(texts):
    keys = {}
    for text in texts:
        if pathlib.Path(text).is_file():
            text = pathlib.Path(text).read_text()
        for line in filter(None, map(str.strip, text.splitlines())):
            name, number, key = line.split("+", 2)
            key = base64.b64decode(key, validate=True)
            if len(key) != 33 or key[0] != 1 or sha256(name.encode(), b"\n", key)[:4].hex() != number:
                raise ValueError(f"this is no verifier key: {line}")
            keys[name, key_id(number)] = key[1:]
    return keys


def key_id(digits):
    return bytes.fromhex(digits)


class Checkpoint:
    def __init__(self, note, keys):
        try:
            text, signatures = note.rsplit("\n\n", 1)
            lines = text.split("\n")
            if not lines[0].startswith("mandate/") or str(int(lines[1])) != lines[1]:
                raise ValueError("origin or size")
            self.log, self.size = lines[0][len("mandate/"):], int(lines[1])
            self.root = base64.b64decode(lines[2], validate=True)
            said = dict(line.split(" ", 1) for line in lines[3:])
            self.time, (first, self.header) = said["time"], said["segment"].split(" ")
            self.segment = int(first)
            self.trusted = self.judge((text + "\n").encode(), signatures, keys)
        except (ValueError, KeyError, IndexError) as error:
            raise Bad(f"this is no checkpoint: {error}") from error

    @staticmethod
    def judge(text, signatures, keys):
        trusted = False
        for line in signatures.removesuffix("\n").split("\n"):
            dash, name, signature = line.split(" ")
            signature = base64.b64decode(signature, validate=True)
            if dash != "\u2014":
                raise ValueError("a line of a signature")
            if (name, signature[:4]) in keys:
                if not signed_by(keys[name, signature[:4]], text, signature[4:]):
                    raise Bad("a checkpoint's signature is false")
                trusted = True
        return trusted


def notes(text):
    """The notes of a file of them; one that was cut short is left out."""
    parts, note = text.split("\n"), []
    for line in parts:
        if line.startswith("mandate/"):
            note = []
        if line == "" and note and note[-1].startswith("\u2014 "):
            yield "\n".join(note) + "\n"
            note = []
        elif line or note:
            note.append(line)


# The tree.
def push(frontier, size, leaf):
    while size & 1:
        leaf, size = sha256(b"\1", frontier.pop(), leaf), size >> 1
    frontier.append(leaf)


def root(frontier):
    if not frontier:
        return sha256()
    node = frontier[-1]
    for left in reversed(frontier[:-1]):
        node = sha256(b"\1", left, node)
    return node


def frames(octets):
    """The payloads of a segment, and whether it ends with a whole one."""
    if octets[:8] != b"MANDLOG1":
        raise Bad("this is no segment")
    at = 8
    while at < len(octets):
        if len(octets) - at < 8:
            return
        length, crc = struct.unpack_from("<II", octets, at)
        payload = octets[at + 8:at + 8 + length]
        if length <= MAX_PAYLOAD and len(payload) < length:
            # A frame that was cut off lacks the end of its record.
            try:
                json.JSONDecoder().raw_decode(payload.decode())
            except ValueError:
                yield None
                return
            raise Bad(f"the frame at byte {at} says another length than it has")
        if length > MAX_PAYLOAD or zlib.crc32(octets[at:at + 4] + payload) != crc:
            if octets[-1] == 0:
                yield None
                return
            raise Bad(f"the frame at byte {at} is damaged")
        yield payload
        at += 8 + length


class Log:
    def __init__(self, keys, kept):
        self.keys, self.kept = keys, sorted(kept, key=lambda checkpoint: checkpoint.size)
        self.log, self.size, self.frontier, self.headers = None, None, [], {}
        self.process, self.stopped, self.covered, self.unknown = None, False, None, []

    def verify(self, directory):
        segments = sorted(pathlib.Path(directory, "segments").glob("[0-9]*.mlog"))
        if not segments:
            raise Bad("there is no segment")
        for path in segments:
            try:
                self.segment(path, path == segments[-1])
            except Bad as bad:
                raise Bad(f"{path}, record {self.size}: {bad}") from bad
        self.compare()
        beyond = [checkpoint.size for checkpoint in self.kept if checkpoint.size > self.size]
        if beyond:
            raise Bad(f"{beyond[-1]} records were signed, and {self.size} are there")
        if self.covered is None:
            raise Bad("no checkpoint by a known key is there")
        if any(size >= self.covered for size in self.unknown):
            raise Bad("the last checkpoint is by an unknown key")

    def segment(self, path, is_last):
        payloads = frames(path.read_bytes())
        header = next(payloads, None)
        if header is None and is_last:
            return
        head = json.loads(header or b"{}")
        frontier = [bytes.fromhex(text) for text in head["frontier"]]
        if head["format"] != 1 or head["first"] != int(path.stem) or self.log not in (None, head["log"]):
            raise Bad("the header is of another format, place or log")
        if self.size not in (None, head["first"]) or self.size is not None and self.frontier != frontier:
            raise Bad("the segment does not go on where the one before it ends")
        if len(frontier) != bin(head["first"]).count("1"):
            raise Bad("the header's frontier is of no tree")
        self.log, self.size, self.frontier = head["log"], head["first"], frontier
        self.headers[head["first"]] = sha256(header).hex()
        for payload in payloads:
            if payload is None:
                if not is_last:
                    raise Bad("the segment ends within a record")
                return
            self.record(payload, head["first"])

    def record(self, payload, segment):
        self.compare()
        try:
            record = json.loads(payload)
            kind, instance = record["kind"], record["instance"]
            if record["sequence"] != self.size:
                raise Bad(f"it says that it is record {record['sequence']}")
        except (ValueError, KeyError, TypeError) as error:
            raise Bad(f"this is no record: {error}") from error
        if kind == "start":
            unclean = not record.get("previous", {}).get("clean", True)
            if self.process and not self.stopped and not unclean:
                raise Bad("the process before did not stop, and this start does not say so")
            self.process, self.stopped = instance, False
        self.process = self.process or instance
        if instance != self.process or self.stopped and kind != "checkpoint":
            raise Bad("a process speaks that did not start, or has stopped")
        self.stopped |= kind == "stop"
        if kind == "checkpoint":
            checkpoint = Checkpoint(record["note"], self.keys)
            if checkpoint.size != self.size or checkpoint.segment != segment:
                raise Bad("a checkpoint stands in another place than where it was made")
            self.hold(checkpoint)
        push(self.frontier, self.size, sha256(b"\0", payload))
        self.size += 1

    def compare(self):
        while self.kept and self.kept[0].size <= self.size:
            checkpoint = self.kept.pop(0)
            if checkpoint.size == self.size:
                self.hold(checkpoint)

    def hold(self, checkpoint):
        if checkpoint.log != self.log or checkpoint.root != root(self.frontier):
            raise Bad(f"the records below {self.size} are not those that were signed at {checkpoint.time}")
        if self.headers.get(checkpoint.segment, checkpoint.header) != checkpoint.header:
            raise Bad("a segment's header is not the one that was signed")
        if checkpoint.trusted:
            self.covered = self.size
        else:
            self.unknown.append(self.size)


def verify_receipt(text, keys):
    try:
        receipt = json.loads(text)
        if receipt["receipt"] != 1:
            raise Bad("this receipt is of another version")
        checkpoint = Checkpoint(receipt["checkpoint"], keys)
        index, last = receipt["index"], receipt["size"] - 1
        node = sha256(b"\0", receipt["record"].encode())
        path = [bytes.fromhex(text) for text in receipt["path"]]
        record = json.loads(receipt["record"])
        if not (checkpoint.trusted and checkpoint.size == receipt["size"] and 0 <= index <= last):
            raise Bad("its checkpoint is by an unknown key, or of another size")
        if record["sequence"] != index:
            raise Bad("its record says another number")
    except (ValueError, KeyError, TypeError) as error:
        raise Bad(f"this is no receipt: {error}") from error
    for sibling in path:
        if last == 0:
            raise Bad("its path is too long")
        if index & 1 or index == last:
            node = sha256(b"\1", sibling, node)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            node = sha256(b"\1", node, sibling)
        index, last = index >> 1, last >> 1
    if last or node != checkpoint.root:
        raise Bad("its record is not in the log that was signed")
    return record


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["log", "receipt"])
    arguments.add_argument("path")
    arguments.add_argument("--key", action="append", required=True)
    arguments.add_argument("--checkpoints", action="append", default=[])
    said = arguments.parse_args()
    try:
        keys = read_keys(said.key)
        if said.what == "receipt":
            record = verify_receipt(pathlib.Path(said.path).read_text(), keys)
            print(f"proven: record {record['sequence']}: {record['kind']}")
            return 0
        beside = pathlib.Path(said.path, "checkpoint")
        files = said.checkpoints + [beside] * beside.is_file()
        kept = [Checkpoint(note, keys) for file in files for note in notes(pathlib.Path(file).read_text())]
        log = Log(keys, kept)
        log.verify(said.path)
        print(f"intact: {log.size} records of {log.log}, signed below {log.covered}")
        return 0
    except Bad as bad:
        print(f"bad: {bad}")
        return 3
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
