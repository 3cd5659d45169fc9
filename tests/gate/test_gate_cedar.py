"""The Cedar policy: every shipped rule, and the user's on top of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gate_cases import conclusion, context, open_gate, request

from aegis_agents.errors import PolicyError
from aegis_agents.gate import Gate, cedar
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.cedar_text import statements
from aegis_agents.gate.tiers import PROTECTED_GROUPS

ATTACK, HARMLESS = "true_positive", "benign_positive"
PROTECTED = AssetFacts(tier="protected")


def group(name: str) -> AssetFacts:
    return AssetFacts(groups=frozenset({name}))


CASES: list[tuple[str, str, str, AssetFacts, int, str]] = [
    # rule, action, verdict, asset, approvals, ceiling
    ("permit.record", "open_ticket", "undetermined", AssetFacts(), 0, "execute"),
    ("permit.contain", "isolate_host", ATTACK, AssetFacts(), 0, "execute"),
    ("permit.destroy", "kill_process", ATTACK, AssetFacts(), 1, "execute"),
    ("permit.close", "close_alert", HARMLESS, AssetFacts(), 0, "execute"),
    *((f"protected.{name}", "isolate_host", ATTACK, group(name), 0, "ask") for name in PROTECTED_GROUPS),
    *((f"protected.{name}", "kill_process", ATTACK, group(name), 0, "ask") for name in PROTECTED_GROUPS),
    *(("permit.contain", "isolate_host", ATTACK, group(name), 1, "execute") for name in PROTECTED_GROUPS),
    *(("permit.record", "notify_owner", ATTACK, group(name), 0, "execute") for name in PROTECTED_GROUPS),
    ("protected.tier", "disable_user", ATTACK, PROTECTED, 0, "ask"),
    ("network.internal_address", "block_ip", ATTACK, AssetFacts(internal=True), 2, "refuse"),
    ("permit.contain", "isolate_host", ATTACK, AssetFacts(internal=True), 0, "execute"),
    ("network.own", "block_ip", ATTACK, AssetFacts(own=True), 2, "refuse"),
    ("network.own", "block_domain", ATTACK, AssetFacts(own=True), 2, "refuse"),
    ("network.well_known", "block_ip", ATTACK, AssetFacts(well_known=True), 2, "refuse"),
    ("network.well_known", "block_domain", ATTACK, AssetFacts(well_known=True), 2, "refuse"),
    ("window.freeze", "isolate_host", ATTACK, AssetFacts(window="freeze"), 0, "ask"),
    ("window.maintenance", "disable_user", ATTACK, AssetFacts(window="maintenance"), 0, "ask"),
    ("permit.contain", "disable_user", ATTACK, AssetFacts(window="maintenance"), 1, "execute"),
    ("people.destroy_needs_one", "revoke_sessions", ATTACK, AssetFacts(), 0, "ask"),
    ("people.four_eyes", "revoke_sessions", ATTACK, PROTECTED, 1, "ask"),
    ("permit.destroy", "revoke_sessions", ATTACK, PROTECTED, 2, "execute"),
    ("verdict.contain_needs_attack", "isolate_host", HARMLESS, AssetFacts(), 2, "refuse"),
    ("verdict.contain_needs_attack", "isolate_host", "undetermined", AssetFacts(), 2, "refuse"),
    ("verdict.close_needs_harmless", "close_alert", ATTACK, AssetFacts(), 2, "refuse"),
]


def ruling(
    name: str, verdict: Any, asset: AssetFacts, approvals: int, policy: Path | None = None, **changes: Any
) -> Any:
    who = ("ann", "bob")[:approvals]
    return cedar.check(request(name, verdict, approved_by=who, **changes), context(name, asset, policy=policy))


@pytest.mark.parametrize(("rule", "name", "verdict", "asset", "approvals", "ceiling"), CASES)
def test_shipped_rule(rule: str, name: str, verdict: Any, asset: AssetFacts, approvals: int, ceiling: str) -> None:
    answer = ruling(name, verdict, asset, approvals)
    assert (answer.ceiling, answer.rule) == (ceiling, rule)


def test_every_shipped_rule_has_a_case() -> None:
    assert set(CedarPolicy.load().names) == {case[0] for case in CASES}


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
    for rule, name, verdict, asset, approvals, ceiling in CASES:
        if ceiling != "execute":
            answer = ruling(name, verdict, asset, approvals, own)
            assert (answer.ceiling, answer.rule) == (ceiling, rule)


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
