"""The Cedar policy: every shipped rule, and the user's on top of them."""

from __future__ import annotations

import csv
import re
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import cedarpy
import pytest
from gate_cases import TARGETS, conclusion, context, open_gate, request

from aegis_agents.errors import PolicyError
from aegis_agents.gate import Gate, cedar
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.cedar_text import statements
from aegis_agents.gate.tiers import PROTECTED_GROUPS, TIERS
from aegis_agents.records import CATALOGUE

ATTACK, HARMLESS = "true_positive", "benign_positive"
PROTECTED = AssetFacts(tier="protected")
FLAGS = ("internal", "own", "well_known")


class Case(NamedTuple):
    """A line of policy_cases.csv: what the shipped policy answers, and which rule says so.

    `asset` is made of words: a tier, a window, a flag of the network, or else a group. `answer` is
    execute or refuse, or ask with how many persons are needed in all.
    """

    why: str
    action: str
    verdict: str
    asset: AssetFacts
    approvals: int
    answer: str
    rule: str

    @property
    def ceiling(self) -> str:
        return self.answer.split()[0]

    @classmethod
    def read(cls, line: dict[str, str]) -> Case:
        words = line["asset"].split()
        tier = next((word for word in words if word in TIERS), "standard")
        window = next((word for word in words if word in ("freeze", "maintenance")), "")
        groups = frozenset(words) - {tier, window, *FLAGS}
        facts: dict[str, Any] = {"tier": tier, "window": window, "groups": groups}
        asset = AssetFacts(**facts, **{flag: flag in words for flag in FLAGS})
        return cls(
            line["why"], line["action"], line["verdict"], asset, int(line["approvals"]), line["answer"], line["rule"]
        )


with (Path(__file__).parent / "policy_cases.csv").open(encoding="utf-8", newline="") as file:
    CASES = [Case.read(line) for line in csv.DictReader(file)]


def group(name: str) -> AssetFacts:
    return AssetFacts(groups=frozenset({name}))


def ruling(
    name: str, verdict: Any, asset: AssetFacts, approvals: int, policy: Path | None = None, **changes: Any
) -> Any:
    who = ("ann", "bob")[:approvals]
    changes.setdefault("target", TARGETS.get(name, ("file", "/tmp/x")))
    return cedar.check(request(name, verdict, approved_by=who, **changes), context(name, asset, policy=policy))


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.action}-{c.rule}-{c.approvals}")
def test_the_shipped_policy(case: Case) -> None:
    answer = ruling(case.action, case.verdict, case.asset, case.approvals)
    asked = f"ask {answer.approvals}" if answer.ceiling == "ask" else answer.ceiling
    assert (asked if " " in case.answer else answer.ceiling, answer.rule) == (case.answer, case.rule), case.why


def test_every_shipped_rule_has_a_case() -> None:
    names = set(CedarPolicy.load().names)
    assert names == {case.rule for case in CASES}
    for name in names - {case.rule for case in CASES if case.ceiling == "execute"}:
        # A rule that forbids stands beside a case of the same action that goes through.
        actions = {case.action for case in CASES if case.rule == name}
        assert any(case.action in actions and case.ceiling == "execute" for case in CASES), name


def test_every_action_and_shipped_group_has_cases() -> None:
    assert {case.action for case in CASES} >= set(CATALOGUE) - {"add_watchlist"}
    assert {name for case in CASES for name in case.asset.groups} >= set(PROTECTED_GROUPS)


def test_the_shipped_policy_fits_its_schema_and_the_catalogue() -> None:
    folder = resources.files("aegis_agents.gate") / "policy"
    texts = [item.read_text("utf-8") for item in folder.iterdir() if item.name.endswith(".cedar")]
    schema_text = (folder / "aegis.cedarschema").read_text("utf-8")
    result = cedarpy.validate_policies("\n".join(texts), cedarpy.Schema.from_str(schema_text))
    assert result.validation_passed, result.errors
    named = set(re.findall(r'"(\w+)"', " ".join(re.findall(r"action ([^;]*?)\bin \[", schema_text))))
    assert named == set(CATALOGUE)
    classes = {"record": "record", "contain": "contain", "destroy": "destroy"}
    for effect, parent in classes.items():
        (block,) = [b for b in re.findall(r"action ([^;]*?)\bin \[\"(\w+)\"\]", schema_text) if b[1] == parent]
        inside = set(re.findall(r'"(\w+)"', block[0]))
        assert inside == {n for n, s in CATALOGUE.items() if s.effect == effect and n != "close_alert"}


def test_it_says_how_many_persons_are_needed() -> None:
    assert ruling("isolate_host", ATTACK, group("ot"), 0).approvals == 1
    assert ruling("revoke_sessions", ATTACK, PROTECTED, 0).approvals == 2
    assert ruling("revoke_sessions", ATTACK, PROTECTED, 1).approvals == 2


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.cedar"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_user_permit_never_beats_a_shipped_forbid(tmp_path: Path) -> None:
    own = write(tmp_path, '@id("all") permit (principal, action, resource);')
    for case in CASES:
        if case.ceiling != "execute":
            answer = ruling(case.action, case.verdict, case.asset, case.approvals, own)
            assert (answer.ceiling, answer.rule) == (case.ceiling, case.rule)


def test_a_user_forbid_counts_and_gives_its_name(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        """
        // our own rules; one; two
        @id("no-fridays")
        forbid (principal, action == Aegis::Action::"isolate_host", resource)
        when { resource.value like "web-*" && context.confidence_percent < 100 };
        forbid (principal, action, resource) when { context.source == "other" };
        """,
    )
    gate = open_gate(policy=own)
    assert gate.decide(request("isolate_host", approved_by=("a", "b"))).rule == "no-fridays"
    assert gate.decide(request("disable_user")).verb == "execute"
    assert gate.versions["policy"] != Gate().versions["policy"]
    other = request("disable_user", incident=request().incident.model_copy(update={"source": "other"}))
    assert gate.decide(other).rule == "own:6"


def test_a_user_rule_that_a_person_can_lift_asks(tmp_path: Path) -> None:
    own = write(tmp_path, '@id("two") forbid (principal, action, resource) unless { context.approvals >= 2 };')
    answer = ruling("open_ticket", ATTACK, AssetFacts(), 1, own)
    assert (answer.ceiling, answer.rule, answer.approvals) == ("ask", "two", 2)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("permit (principal, action, resource);\n\nforbid (principal action, resource);", 3, "unexpected token"),
        (
            '\n// a comment; with " marks\nforbid (principal, action, resource) when { context.aprovals > 1 };',
            3,
            "aprovals",
        ),
        ('permit (principal, action == Aegis::Action::"format_disk", resource);', 1, "format_disk"),
        (
            'permit (principal, action, resource);\n@id("protected.ot") forbid (principal, action, resource);',
            2,
            "taken",
        ),
        ('@id("a") permit (principal, action, resource);\n@id("a") permit (principal, action, resource);', 2, "taken"),
        ("forbid (principal == ?principal, action, resource);", 1, "template"),
        ("permit (principal, action, resource)", 1, "end of input|unexpected"),
        ('permit (principal, action, resource) when { resource.value == "x };', 1, "token|string"),
        ("permit (principal, action, resource);\n;", 2, "token|policy"),
    ],
)
def test_a_wrong_user_policy_names_file_and_line(tmp_path: Path, text: str, line: int, says: str) -> None:
    with pytest.raises(PolicyError, match=says) as caught:
        Gate(write(tmp_path, text))
    assert f"own.cedar, line {line}:" in str(caught.value)


def test_a_policy_file_that_cant_be_read(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"none\.cedar"):
        Gate(tmp_path / "none.cedar")
    (tmp_path / "bytes.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match=r"bytes\.cedar"):
        Gate(tmp_path / "bytes.cedar")


def test_an_empty_policy_file_adds_nothing(tmp_path: Path) -> None:
    assert CedarPolicy.load(write(tmp_path, "// nothing yet\n")).names == CedarPolicy.load().names


def test_a_policy_that_fails_while_it_is_evaluated_refuses(tmp_path: Path) -> None:
    # Cedar skips such a policy, and would then permit what it was to forbid.
    own = write(
        tmp_path,
        "forbid (principal, action, resource)\nwhen { context.confidence_percent * 9223372036854775807 > 0 };",
    )
    answer = ruling("isolate_host", ATTACK, AssetFacts(), 0, own)
    assert (answer.ceiling, answer.rule) == ("refuse", "policy.error")


def test_statements_know_their_lines() -> None:
    text = '\n\na "x;y // z" ; // c;\n\n  b\n;'
    assert [(item.line, item.text) for item in statements(text)] == [(3, 'a "x;y // z" ;'), (5, "b\n;")]


def test_what_the_policy_sees_is_the_conclusion(tmp_path: Path) -> None:
    own = write(
        tmp_path,
        '@id("see") forbid (principal, action, resource) when { context.severity == "low" && '
        'context.tenant == "default" && resource.kind == "host" && resource.tier == "standard" };',
    )
    low = conclusion().model_copy(update={"severity": "low"})
    assert ruling("isolate_host", ATTACK, AssetFacts(), 0, own, conclusion=low).rule == "see"
    assert ruling("isolate_host", ATTACK, AssetFacts(), 0, own).ceiling == "execute"
