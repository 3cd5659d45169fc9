"""Checks an exported ledger of Aegis Agents, without Aegis. README.md beside this file describes the format.

Exit code 0: whole; 1: altered (said on standard error); 2: wrong arguments, or a file that can't be read.
"""

import argparse
import base64
import hashlib
import json
import pathlib
import re
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

NOTE = re.compile(
    r"(?P<text>(?P<origin>[^\n]+)\n(?P<entries>[1-9]\d*)\n(?P<root>[A-Za-z0-9+/]{43}=)\ntime [^\n]+\n"
    r"number (?P<number>[1-9]\d*)\nprevious (?P<previous>[0-9a-f]{64})\n)\n\u2014 (?P<name>[^\n ]+) (?P<signed>[^\n]+)\n",
    re.ASCII,
)
HEADER = {"type": str, "format": str, "origin": str, "entries": int, "head": str, "checkpoints": int, "keys": list}
TEXT = str | None
ENTRY = {"seq": int, "at": str, "kind": str, "incident_id": TEXT, "body": TEXT, "salt": TEXT, "body_sha256": str}
KEPT = ("review.", "autonomy.", "token.", "ledger.", "approval.", "monitor.")


class Altered(Exception):
    """What does not fit, and where."""


def need(holds: object, what: str) -> None:
    if not holds:
        raise Altered(what)


def sha256(*parts: bytes | str) -> str:
    return hashlib.sha256(b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)).hexdigest()


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def is_a(value: dict, type_: str, shape: dict) -> bool:
    right = all(isinstance(v, shape.get(k, str)) and not isinstance(v, bool) for k, v in value.items())
    return value.get("type") == type_ and value.keys() == {"type", *shape} and right


def records(path: pathlib.Path):
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                value = json.loads(raw)
                sound = isinstance(value, dict) and canonical(value).encode() + b"\n" == raw
            except (ValueError, RecursionError):
                sound = False
            need(sound, f"{path.name}, line {number}: not a canonical line")
            yield value


def read_keys(lines: list[str], origin: str) -> dict[bytes, bytes]:
    """The ledger's public keys by id. Raises ValueError."""
    keys = {}
    for line in (line.strip() for line in lines):
        if line and not line.startswith("#"):
            name, ident, encoded = line.split("+", 2)
            raw = base64.b64decode(encoded, validate=True)
            if len(raw) != 33 or raw[0] != 1 or ident != sha256(name, "\n", raw)[:8]:
                raise ValueError(f"not a public key: {line}")
            if name == origin:
                keys[bytes.fromhex(ident)] = raw[1:]
    return keys


def open_note(note: object, origin: str, keys: dict[bytes, bytes], where: str) -> re.Match:
    found = NOTE.fullmatch(note) if isinstance(note, str) else None
    need(found and found["origin"] == found["name"] == origin, f"{where} is none of this ledger")
    try:
        blob, root = base64.b64decode(found["signed"], validate=True), base64.b64decode(found["root"])
    except ValueError:
        blob = root = b""
    need(len(blob) == 68 and b64(blob) == found["signed"] and b64(root) == found["root"], f"{where}: bad base64")
    if keys:
        need(blob[:4] in keys, f"{where} is signed by a key that you don't trust")
        try:
            Ed25519PublicKey.from_public_bytes(keys[blob[:4]]).verify(blob[4:], found["text"].encode())
        except InvalidSignature:
            raise Altered(f"{where}: the signature does not fit") from None
    return found


def notes_elsewhere(place: pathlib.Path, origin: str) -> list[str]:
    if place.is_dir():
        name = re.compile(re.escape(origin.rpartition("/")[2]) + r"-\d{8,}\.checkpoint")
        return [file.read_bytes().decode() for file in sorted(place.iterdir()) if name.fullmatch(file.name)]
    text = place.read_bytes().decode()
    if not text.startswith("{"):
        return [text]
    pairs = list(zip(text.split("\n"), text.split("\n")[1:], strict=False))
    return [json.loads(line)["note"] for line, after in pairs if not after.startswith(line)]


def check_pruned(seq: int, body: str, gone: dict[int, str]) -> None:
    """What a ledger.pruned entry names is gone, and what is gone fits its digest."""
    lines, last = [], 0
    try:
        said = json.loads(body)
        for part in said["removed"].split(",") if said["removed"] else []:
            low, high = int(part.partition("-")[0]), int(part.rpartition("-")[2])
            need(last < low <= high, f"entry {seq}: ranges that don't ascend")
            last = high
            for number in range(low, high + 1):
                need(number in gone, f"entry {number} has a body, though entry {seq} says that it was removed")
                lines.append(f"{number} {gone.pop(number)}\n")
        need(sha256(*lines) == said["digest"], f"entry {seq}: what was removed is not what it says")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Altered(f"entry {seq} does not say what was removed") from None


def check_body(line: dict) -> None:
    need(line["body"] is not None and re.fullmatch("[0-9a-f]{32}", line["salt"] or ""), f"entry {line['seq']}: no salt")
    held = sha256(bytes.fromhex(line["salt"]), line["body"])
    need(held == line["body_sha256"], f"entry {line['seq']}: its body is not what the chain commits to")


def says(line: dict) -> str:
    return canonical({name: line[name] for name in ("at", "body_sha256", "incident_id", "kind", "seq")})


def check(export: pathlib.Path, pinned: list[str] | None, places: list[pathlib.Path]) -> tuple[str, dict[int, str]]:
    """Check an export; answers a summary, and what the chain says of each entry (for archives)."""
    lines = records(export)
    header = next(lines, {})
    need(
        is_a(header, "ledger", HEADER) and header["format"] == "aegis-ledger/2", "line 1 is not the header of an export"
    )
    origin = header["origin"]
    try:
        keys = read_keys(header["keys"], origin)
    except (ValueError, AttributeError):
        raise Altered("line 1: its keys are malformed") from None
    keys = keys if pinned is None else read_keys(pinned, origin)
    need(keys or pinned is None, f"none of the keys given is of this ledger, {origin}")
    outside: dict[int, str] = {}
    for note in (note for place in places for note in notes_elsewhere(place, origin)):
        found = open_note(note, origin, keys, "a checkpoint kept elsewhere")
        kept = outside.setdefault(int(found["entries"]), found["root"])
        need(kept == found["root"], f"two checkpoints kept elsewhere disagree on entry {found['entries']}: forked")
    need(outside or not places, f"no checkpoint of this ledger, {origin}, is kept there")
    seq, head, number, signed, previous = 0, sha256("aegis-ledger/2\n", origin, "\n"), 0, [0], "0" * 64
    gone: dict[int, str] = {}
    held: dict[int, str] = {}
    for line in lines:
        if is_a(line, "checkpoint", {"note": str}):
            where = f"checkpoint {number + 1}"
            note = open_note(line["note"], origin, keys, where)
            need(
                (int(note["number"]), note["previous"]) == (number + 1, previous), f"{where} is missing or out of order"
            )
            fits = int(note["entries"]) == seq > signed[-1] and note["root"] == b64(bytes.fromhex(head))
            need(fits, f"{where} does not fit the {seq} entries before it: rewritten or forked")
            number, previous = number + 1, sha256(line["note"])
            signed.append(seq)
            continue
        seq += 1
        where = f"entry {seq}"
        need(is_a(line, "entry", ENTRY | {"prev": str, "hash": str}), f"{where} is missing or malformed")
        need(line["seq"] == seq and line["prev"] == head, f"{where} is missing, or out of order")
        head = sha256(head, says(line))
        need(line["hash"] == head, f"{where} was changed")
        kept = outside.get(seq, b64(bytes.fromhex(head)))
        need(
            kept == b64(bytes.fromhex(head)), f"{where} is not the one that a checkpoint kept elsewhere signed: forked"
        )
        held[seq] = sha256(says(line))
        if line["body"] is None and line["salt"] is None:
            need(not line["kind"].startswith(KEPT), f"{where}: its kind is never removed")
            gone[seq] = line["body_sha256"]
        else:
            check_body(line)
            if line["kind"] == "ledger.pruned":
                check_pruned(seq, line["body"], gone)
    last = max(outside, default=0)
    need(last <= seq, f"entry {seq + 1} is missing: a checkpoint kept elsewhere covers {last}")
    whole = (header["entries"], header["head"], header["checkpoints"]) == (seq, head, number)
    need(whole, f"the header does not fit the {seq} entries and {number} checkpoints that follow")
    need(not gone, f"the body of entry {min(gone, default=0)} was removed, and no entry says so")
    need(not keys or not seq or number, "no checkpoint is left, though there is a key that signs them")
    need(outside.keys() <= set(signed), "a checkpoint kept elsewhere is missing here")
    trust = "keys pinned" if pinned is not None else "NOT PROVEN: no key was given with --key"
    return f"{seq} entries, {number} checkpoints over {signed[-1]} of them, {trust}; head {head}", held


def prove_removed(archive: pathlib.Path, held: dict[int, str]) -> int:
    """Show that every entry of an archive is the one that the ledger held, and every case; answers how many entries."""
    count, cases = 0, set()
    for number, line in enumerate(records(archive), 1):
        where = f"{archive.name}, line {number}"
        if is_a(line, "removed", ENTRY):
            check_body(line)
            need(held.get(line["seq"]) == sha256(says(line)), f"{where} is not entry {line['seq']} of this ledger")
            if line["kind"] == "case.finished":
                cases.add((line["incident_id"], json.loads(line["body"])["case_sha256"]))
            count += 1
        elif number > 1:
            intake = {"incident_id": str, "incident": str, "native_hex": str, "case": TEXT}
            need(is_a(line, "intake", intake), f"{where} is not a line of an archive")
            proven = line["case"] is None or (line["incident_id"], sha256(line["case"])) in cases
            need(proven, f"{where}: not the case that was decided")
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=pathlib.Path)
    parser.add_argument("--key", type=pathlib.Path, help="file with the public keys that you trust")
    for name, what in (
        ("checkpoints", "file or folder with checkpoints kept elsewhere"),
        ("archive", "what was removed"),
    ):
        parser.add_argument(f"--{name}", type=pathlib.Path, action="append", default=[], help=what)
    given = parser.parse_args()
    try:
        pinned = None if given.key is None else given.key.read_text("utf-8").splitlines()
        found, held = check(given.export, pinned, given.checkpoints)
        for archive in given.archive:
            found += f"\n{archive.name}: {prove_removed(archive, held)} removed entries are those that the ledger held"
    except Altered as error:
        print(f"ALTERED: {error}", file=sys.stderr)
        return 1
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"not checked: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"whole: {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
