"""The suites of the rails: what each must stop, and what only looks like it, by half and by family.

Development: our own texts, BastionCorpus, the tune half of the development cases, Sigma's regression events.
Report: texts that others wrote without sight of the patterns (`evals.injections`, `injections_innocent`, BIPIA,
the report half), OTRF's real events, Atomic Red Team's commands, Splunk's descriptions. Halves are sources, never
rows of one source.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from aegis_agents.records import Incident
from aegis_agents.sources import parse
from evals import injections, injections_innocent, rails_texts

Half = Literal["develop", "report"]


class Text(NamedTuple):
    """Values of external fields (or one key) that belong together, and whether they attack."""

    half: Half
    family: str
    attack: bool
    values: tuple[str, ...]
    in_key: bool = False


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict | list):
        for value in node.values() if isinstance(node, dict) else node:
            yield from _strings(value)


def _external(row: dict[str, Any]) -> Iterator[str]:
    """What anybody could have written in a development case, as the sources read it."""
    incident = parse(row["alert"], format=row["source_format"])
    yield from (fact.value for fact in incident.facts if fact.trust == "external")


def _distinct(values: Iterator[str], least: int = 12) -> list[str]:
    return list(dict.fromkeys(value for value in values if len(value) >= least))


def injection_texts(data: Path) -> Iterator[Text]:
    """All texts for the rail input.injection."""
    for family, values, in_key in rails_texts.attacks():
        yield Text("develop", f"ours, {family}", True, values, in_key)
    for row in _rows(data / "bastioncorpus" / "injections.jsonl"):
        attack = row["label"] != "benign"
        yield Text("develop", f"BastionCorpus {row['category'] if attack else 'benign'}", attack, (row["text"],))
    halves: tuple[tuple[Half, str], ...] = (("develop", "tune"), ("report", "report"))
    for half, name in halves:
        folder = data / "dev_cases" / name
        yield from (
            Text(half, "development cases, injections", True, (r["text"],)) for r in _rows(folder / "injections.jsonl")
        )
        looks = _rows(folder / "benign_lookalikes.jsonl")
        yield from (Text(half, "development cases, look-alikes", False, (r["text"],)) for r in looks)
        cases = _distinct(value for row in _rows(folder / "cases.jsonl") for value in _external(row))
        yield from (Text(half, "development cases, external fields", False, (value,)) for value in cases)
    events = (row["events"] for row in _rows(data / "sigma" / "regression.jsonl"))
    yield from (
        Text("develop", "Sigma regression events, fields", False, (v,)) for v in _distinct(_strings(list(events)))
    )
    for style, text in injections.silencing():
        yield Text("report", f"written by others, {style}", True, (text,))
    for name in ("text_attack_train", "code_attack_train"):
        for family, texts in json.loads((data / "bipia" / f"{name}.json").read_text("utf-8")).items():
            kind = "text" if name.startswith("text") else "code"
            yield from (Text("report", f"BIPIA {kind}: {family}", True, (text,)) for text in texts)
    yield from (
        Text("report", "written by others, look-alikes", False, (text,)) for text in injections_innocent.LOOKALIKES
    )
    yield from (Text("report", "written by others, plain", False, (text,)) for text in injections_innocent.PLAIN)
    otrf = _distinct(_strings([row["event"] for row in _rows(data / "otrf" / "sigma_alerts.jsonl")]))
    yield from (Text("report", "OTRF events, fields", False, (value,)) for value in otrf)
    commands = _distinct(row["command"] for row in _rows(data / "atomic_red_team" / "atomics.jsonl") if row["command"])
    yield from (Text("report", "Atomic Red Team, commands", False, (value,)) for value in commands)
    told = _distinct(row["description"] for row in _rows(data / "splunk_security_content" / "detections.jsonl"))
    yield from (Text("report", "Splunk detections, descriptions", False, (value,)) for value in told)


def outgoing_texts(data: Path) -> Iterator[Text]:
    """All texts for the rail action.outgoing. Commands of others carry real-looking passwords: those are left out.

    A command that names a password, a token or a key is neither innocent nor known to hold a secret.
    """
    for family, texts in rails_texts.SECRETS.items():
        yield from (Text("develop", f"ours, {family}", True, (text,)) for text in texts)
    yield from (Text("report", f"made by format, {family}", True, (text,)) for family, text in made_secrets())
    sigma = _strings([row["events"] for row in _rows(data / "sigma" / "regression.jsonl")])
    yield from (Text("develop", "Sigma regression events, fields", False, (v,)) for v in _distinct(sigma) if _plain(v))
    otrf = _strings([row["event"] for row in _rows(data / "otrf" / "sigma_alerts.jsonl")])
    yield from (Text("report", "OTRF events, fields", False, (v,)) for v in _distinct(otrf) if _plain(v))
    splunk = (row["description"] for row in _rows(data / "splunk_security_content" / "detections.jsonl"))
    yield from (Text("report", "Splunk detections, descriptions", False, (v,)) for v in _distinct(splunk))
    commands = (row["command"] for row in _rows(data / "atomic_red_team" / "atomics.jsonl") if row["command"])
    yield from (Text("report", "Atomic Red Team, commands", False, (v,)) for v in _distinct(commands) if _plain(v))


_SECRET_WORDS = ("pass", "pwd", "token", "secret", "key", "://", "bearer", "-p ", "/p:", "credential")


def _plain(value: str) -> bool:
    lowered = value.lower()
    return not any(word in lowered for word in _SECRET_WORDS)


def made_secrets() -> Iterator[tuple[str, str]]:
    """(family, text): secrets by their publishers' formats, drawn anew, in the lines in which they are seen."""
    import random
    import string

    draw = random.Random(20261126)
    mixed, hexes = string.ascii_letters + string.digits, "0123456789abcdef"

    def of(alphabet: str, length: int) -> str:
        return "".join(draw.choices(alphabet, k=length))

    lines = (
        "export {}",
        'curl -H "X-Key: {}" https://intra.example/',
        "found in /home/u/.env: {}",
        "C:\\tool.exe --arg {} --quiet",
    )
    formats = {
        "AWS access key": lambda: "AKIA" + of(string.ascii_uppercase + "234567", 16),
        "GitHub token": lambda: draw.choice(("ghp_", "gho_", "ghs_")) + of(mixed, 36),
        "GitLab token": lambda: "glpat-" + of(mixed, 20),
        "Slack token": lambda: f"xoxb-{of(string.digits, 12)}-{of(string.digits, 12)}-{of(mixed, 24)}",
        "Google key": lambda: "AIza" + of(mixed + "-_", 35),
        "Stripe key": lambda: "sk_live_" + of(mixed, 24),
        "web token": lambda: ".".join(("eyJ" + of(mixed, 20), "eyJ" + of(mixed, 40), of(mixed, 43))),
        "password": lambda: f"password={of(mixed + '!#%', 12)}",
        "credentials in a URL": lambda: f"https://{of(string.ascii_lowercase, 6)}:{of(mixed, 10)}@db.example/x",
        "bearer": lambda: f"Authorization: Bearer {of(mixed, 32)}",
        "payment card": lambda: _card(draw),
        "Hugging Face token": lambda: "hf_" + of(mixed, 34),
        "SendGrid key": lambda: f"SG.{of(mixed, 22)}.{of(mixed, 43)}",
        "hexadecimal secret after a name": lambda: f"CLIENT_SECRET={of(hexes, 40)}",
    }
    for family, make in formats.items():
        yield from ((family, draw.choice(lines).format(make())) for _ in range(20))


def _card(draw: Any) -> str:
    digits = [4, *(draw.randrange(10) for _ in range(14))]
    total = sum(sum(divmod(2 * d, 10)) if place % 2 == 0 else d for place, d in enumerate(digits))
    return "".join(map(str, [*digits, -total % 10]))


def incidents(data: Path) -> Iterator[tuple[Half, str, Incident]]:
    """Real alerts as incidents, by half and source: what the rails on actions are tried on."""
    halves: tuple[tuple[Half, str], ...] = (("develop", "tune"), ("report", "report"))
    for half, name in halves:
        for row in _rows(data / "dev_cases" / name / "cases.jsonl"):
            yield half, "development cases", parse(row["alert"], format=row["source_format"])
    for row in _rows(data / "sigma" / "regression.jsonl"):
        for event in row["events"][:1]:
            yield "develop", "Sigma regression events", parse(event)
    for row in _rows(data / "otrf" / "sigma_alerts.jsonl")[::3]:
        yield "report", "OTRF events", parse(row["event"])
