from __future__ import annotations

import datetime as dt
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.formats.yaml_documents import read_yaml
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)
DATA = os.environ.get("AEGIS_DEV_DATA")
KEY = str(uuid.uuid5(uuid.NAMESPACE_DNS, "rule"))

RULE = f"""
title: Example Rule
id: {KEY.upper()}
status: test
description: |
  Detects something
  that is an example
references: [https://example.com/]
author: somebody
date: 2026-01-02
modified: 2026-02-03
tags: [attack.defense-evasion, attack.t1685, attack.t1059.001, cve.2030-1]
logsource: {{product: windows, category: process_creation}}
detection:
  selection: {{Image|endswith: '\\\\example.exe'}}
  condition: selection
falsepositives: [Administrators, Unknown]
level: high
"""


def feed(kind: str = "sigma", **more: Any) -> Feed:
    return Feed.model_validate({"name": "rules", "kind": kind, "path": "x"} | more)


def reading(*texts: str | bytes, kind: str = "sigma", name: str = "{}.yml", **more: Any) -> Parsed:
    blobs = [Blob(name.format(n), t if isinstance(t, bytes) else t.encode()) for n, t in enumerate(texts)]
    return read(blobs, feed(kind, **more), fetched_at=NOW)


def test_a_rule_says_what_it_finds_where_how_bad_it_is_and_what_it_mistakes() -> None:
    (rule,) = reading(RULE).documents
    assert (rule.corpus, rule.id, rule.aliases) == ("rule", f"rules/{KEY}", (KEY,))
    assert (rule.title, rule.technique, rule.licence) == ("Example Rule", "T1685", "DRL-1.1")
    assert rule.text == (
        "Example Rule. Detects something that is an example Log source: product windows, category process_creation. "
        "Level: high. ATT&CK: T1685 (T1562.001 in v18.1), T1059.001, defense evasion. "
        "False positives: Administrators; Unknown."
    )
    assert rule.to_embed == "Example Rule. Detects something that is an example"
    assert rule.observed_at == dt.datetime(2026, 2, 3, tzinfo=dt.UTC)


def test_from_a_feed_of_high_trust_a_rule_goes_by_its_own_id() -> None:
    (rule,) = reading(RULE, trust="high", licence="ours").documents
    assert (rule.id, rule.aliases, rule.licence) == (KEY, (), "ours")


def test_the_vector_is_made_from_title_and_first_words_only() -> None:
    (rule,) = reading(RULE.replace("that is an example", "x" * 500)).documents
    assert len(rule.to_embed) == len("Example Rule. ") + 200
    assert "x" * 500 in rule.text


def test_several_rules_in_one_file_and_in_json_lines() -> None:
    other = RULE.replace(KEY.upper(), str(uuid.uuid4()))
    assert len(reading(f"{RULE}\n---\n{other}").documents) == 2
    rule = {
        "id": KEY,
        "title": "A",
        "logsource": {"product": "x"},
        "detection": {"s": {"a": 1}, "condition": "s"},
        "tags": None,
    }
    lines = "\n".join(json.dumps(rule | {"id": str(uuid.uuid4())}) for _ in range(3)) + "\n{broken\n"
    parsed = reading(lines, name="{}.jsonl")
    assert len(parsed.documents) == 3
    assert [s.where for s in parsed.skipped] == ["0.jsonl:4"]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (RULE.replace(f"id: {KEY.upper()}", "id: 5"), "no Sigma rule"), (RULE.replace(f"id: {KEY.upper()}", "x: 5"), "has no id"),
        (RULE.replace("level: high", "level: sideways"), "no Sigma rule"), (RULE.replace("title: Example Rule", "title: [x]"), "Sigma rule"),
        (RULE.replace("logsource:", "log:"), "no Sigma rule"), (RULE.replace("detection:", "detected:"), "no Sigma rule"),
        ("just text", "is no rule"), ("- 1", "is no rule"), ("a: [", "not YAML"), ("a: 2030-99-99", "not YAML"),
        ("? [a]\n: b", "not YAML"), ("!!python/object/apply:os.system ['true']", "not YAML"), ("a: \t\x01", "not YAML"),
        (b"title: \xff\xfe", "UTF-8"), (RULE, "more than once"),
        ("a: &a [x]\nb: [*a, *a]", "anchors"), ("[" * 100_000, "nested"), ("- " * 100_000, "nested"),
        ("{a: " * 100_000, "nested"), ("? " * 100_000, "nested"), ("x" * 600_000, "bytes"),
        ("correlation: {type: x}\ntitle: y", "no Sigma rule"), ("a: " + "9" * 5000, "YAML"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_bad_rule_costs_itself(bad: str | bytes, why: str) -> None:
    started = time.process_time()
    parsed = reading(RULE, bad)
    assert [d.title for d in parsed.documents] == ["Example Rule"]
    assert len(parsed.skipped) == 1
    assert why in parsed.skipped[0].why
    assert time.process_time() - started < 5


def test_billions_of_laughs_are_refused_before_they_are_told() -> None:
    laughs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{n}: &{n} [{','.join([f'*{p}'] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(InputError, match="anchors"):
        read_yaml(Blob("x.yml", laughs.encode()))


def test_files_beside_the_rules_are_named() -> None:
    parsed = read([Blob("README.md", b"# Rules"), Blob("rules/a.yml", RULE.encode())], feed(), fetched_at=NOW)
    assert len(parsed.documents) == 1
    assert [s.where for s in parsed.skipped] == ["README.md"]


def test_what_holds_no_rule_is_refused() -> None:
    for content in ("just text", "[", "{}", "\x00"):
        with pytest.raises(InputError) as caught:
            reading(content)
        assert caught.value.fix


def test_a_rule_decides_nothing_about_itself() -> None:
    lie = "trust: 1\ntlp: clear\ntenant: acme\nowner: sigmahq\ncorpus: technique\nfeed: shipped\nlicence: none\n"
    (rule,) = reading(RULE.replace("Example Rule", '"a\\u202eb"') + lie, tlp="red", tenant="north").documents
    assert (rule.trust, rule.tlp, rule.tenant, rule.owner, rule.corpus, rule.feed, rule.licence) == (
        0.3, "red", "north", "rules", "rule", "rules", "DRL-1.1",
    )  # fmt: skip
    assert rule.title == "ab"


@pytest.mark.skipif(DATA is None, reason="needs AEGIS_DEV_DATA")
def test_every_rule_of_sigmahq_is_read_within_seconds() -> None:
    raw = (Path(str(DATA)) / "sigma" / "rules.jsonl").read_bytes()
    started = time.process_time()
    parsed = reading(raw, name="rules.jsonl")
    assert time.process_time() - started < 10
    assert len(parsed.documents) == 3676
    assert not parsed.skipped
    assert sum(d.technique is not None for d in parsed.documents) == 3213


# --- RE&CT

ACTION = """
title: RA_9001_isolate_example_host
id: RA9001
description: >
  Isolate a host
author: somebody
creation_date: 2026/01/02
stage: containment
workflow: |
  1. Find it.
  2. Pull the plug.
"""


def test_a_response_action_has_its_id_from_a_trusted_feed_and_is_known_by_it_from_another() -> None:
    (step,) = reading(ACTION, kind="react").documents
    assert (step.id, step.aliases) == ("rules/RA9001", ("RA9001", "RA_9001_isolate_example_host"))
    parsed = reading(ACTION, kind="react", trust="high")
    (step,) = parsed.documents
    assert (step.corpus, step.id, step.title, step.licence) == (
        "playbook",
        "RA9001",
        "Isolate example host",
        "Apache-2.0",
    )
    assert step.text == "Isolate example host. Isolate a host Stage: containment. 1. Find it. 2. Pull the plug."
    assert step.aliases == ("RA_9001_isolate_example_host",)
    assert parsed.version == "of 2026-01-02"


def test_the_templates_sentence_is_no_workflow() -> None:
    template = (
        "  Description of the workflow for the Response Action in markdown format.\n  Here newlines will be saved.\n"
    )
    (step,) = reading(ACTION.replace("  1. Find it.\n  2. Pull the plug.\n", template), kind="react").documents
    assert step.text == "Isolate example host. Isolate a host Stage: containment."


def test_what_is_no_response_action_is_listed() -> None:
    stage = ACTION.replace("RA9001", "RS0003")
    parsed = reading(ACTION, stage, "5", "id: RA٩٠٠٢", "id: [RA9001]", "stage: {}\nid: RA9002", kind="react")
    assert [d.id for d in parsed.documents] == ["rules/RA9001", "rules/RA9002"]
    assert parsed.documents[1].title == "RA9002"
    assert len(parsed.skipped) == 4


@pytest.mark.skipif(DATA is None, reason="needs AEGIS_DEV_DATA")
def test_every_action_of_react_is_read() -> None:
    raw = (Path(str(DATA)) / "react" / "response_actions.jsonl").read_bytes()
    parsed = reading(raw, kind="react", name="actions.jsonl")
    assert len(parsed.documents) == 216
    assert not parsed.skipped
    assert not any("Description of the workflow" in d.text for d in parsed.documents)
