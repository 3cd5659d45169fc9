"""The Cedar policy: shipped rules, the user's on top, and one question a decision.

Forbid beats permit and what nobody permits is denied, so a user's file can add
permits and forbids but never take a shipped forbid away. Where a denial would fall
away with a person's approval (the same question, asked with one and two approvals),
the answer is ask; otherwise refuse.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.errors import PolicyError
from aegis_agents.gate.cedar_text import Statement, statements
from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    import cedarpy

    from aegis_agents.gate.context import GateContext

_MOST_APPROVALS: Final = 2


@dataclass(frozen=True)
class CedarPolicy:
    """Parsed policies: `names` are the rule ids in order, `version` the hash of all their text."""

    names: tuple[str, ...]
    version: str
    policies: cedarpy.PolicySet = field(repr=False)
    schema: cedarpy.Schema = field(repr=False)

    @classmethod
    def load(cls, path: str | Path | None = None) -> CedarPolicy:
        """The shipped policies, and those of the file at `path` on top.

        PolicyError names file and line where a policy does not parse, does not fit
        the schema, takes a shipped id, or is a template (which decides nothing until linked).
        """
        import cedarpy

        shipped = _shipped()
        if path is None:
            return shipped
        text = _read(Path(path))
        added = _checked(text, str(path), shipped.schema, taken=frozenset(shipped.names))
        names = (*shipped.names, *added)
        policies = cedarpy.PolicySet.from_str(f"{_shipped_text()}\n{text}")
        if len(policies) != len(names):  # a decision names its policy by position
            raise PolicyError(f"{path}: {len(policies)} policies were read where {len(names)} were checked")
        return cls(names, _hash(shipped.version, text), policies, shipped.schema)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\x00".join(texts).encode()).hexdigest()[:16]


def _shipped_text() -> str:
    folder = resources.files("aegis_agents.gate") / "policy"
    files = sorted((item for item in folder.iterdir() if item.name.endswith(".cedar")), key=lambda item: item.name)
    return "\n".join(item.read_text(encoding="utf-8") for item in files)


@lru_cache(maxsize=1)
def _shipped() -> CedarPolicy:
    import cedarpy

    text = _shipped_text()
    schema_text = (resources.files("aegis_agents.gate") / "policy" / "aegis.cedarschema").read_text(encoding="utf-8")
    schema = cedarpy.Schema.from_str(schema_text)
    names = _checked(text, "the shipped policy", schema, taken=frozenset())
    return CedarPolicy(names, _hash(schema_text, text), cedarpy.PolicySet.from_str(text), schema)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: can't be read: {error}") from error


def _checked(text: str, name: str, schema: cedarpy.Schema, taken: frozenset[str]) -> tuple[str, ...]:
    """The ids of the policies in a text, in order; PolicyError for the first that is wrong."""
    ids: list[str] = []
    for statement in statements(text):
        rule = _check_one(statement, f"{name}, line {statement.line}", schema) or f"{Path(name).stem}:{statement.line}"
        if rule in taken or rule in ids:
            raise PolicyError(f'{name}, line {statement.line}: @id("{rule}") is taken; give the policy another id')
        ids.append(rule)
    return tuple(ids)


def _check_one(statement: Statement, where: str, schema: cedarpy.Schema) -> str | None:
    """The @id of one policy, None when it has none."""
    import cedarpy

    try:
        parsed = json.loads(cedarpy.policies_to_json_str(statement.text))
    except ValueError as error:
        raise PolicyError(f"{where}: {error}") from error
    if parsed["templates"]:
        raise PolicyError(f"{where}: a template (?principal, ?resource) decides nothing; write a policy without slots")
    found: Sequence[Mapping[str, Any]] = list(parsed["staticPolicies"].values())
    if len(found) != 1:
        raise PolicyError(f"{where}: one policy was expected here, {len(found)} were found")
    result = cedarpy.validate_policies(statement.text, schema)
    if not result.validation_passed:
        raise PolicyError(f"{where}: {'; '.join(error.error for error in result.errors)}")
    rule = found[0].get("annotations", {}).get("id")
    return str(rule) if rule else None


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to what the policies allow now, to ask where approvals would lift a denial."""
    import cedarpy

    policy = context.settings.policy
    levels = [min(request.approvals, _MOST_APPROVALS), *range(request.approvals + 1, _MOST_APPROVALS + 1)]
    answers = cedarpy.is_authorized_batch(
        [_question(request, context, approvals) for approvals in levels],
        policy.policies,
        _entities(request, context),
        policy.schema,
    )
    for answer in answers:
        if answer.diagnostics.errors or answer.decision is cedarpy.Decision.NoDecision:
            # A policy that fails while it is evaluated is skipped by Cedar, and it may have been a forbid.
            return Ruling("refuse", "policy.error", f"a policy could not be evaluated: {answer.diagnostics.errors[0]}")
    if answers[0].allowed:
        return allow(_rule(policy, answers[0]), approvals=request.approvals)
    rule = _rule(policy, answers[0])
    for needed, answer in zip(levels[1:], answers[1:], strict=True):
        if answer.allowed:
            who = "a person's approval" if needed == 1 else f"the approval of {needed} persons"
            return Ruling(
                "ask", rule, f"the policy wants {who}", approvals=needed,
                numbers={"approvals": request.approvals, "approvals_needed": needed},
            )  # fmt: skip
    return Ruling("refuse", rule, "the policy forbids it", numbers={"approvals": request.approvals})


def _rule(policy: CedarPolicy, answer: cedarpy.AuthzResult) -> str:
    """The id of the first policy that decided, in the order of the files."""
    positions = sorted(int(name.removeprefix("policy")) for name in answer.diagnostics.reasons)
    return policy.names[positions[0]] if positions else "policy.default_deny"


def _question(request: GateRequest, context: GateContext, approvals: int) -> dict[str, Any]:
    conclusion = request.conclusion
    return {
        "principal": {"type": "Aegis::Agent", "id": "aegis"},
        "action": {"type": "Aegis::Action", "id": context.spec.name},
        "resource": {"type": "Aegis::Asset", "id": request.target_key},
        "context": {
            "approvals": approvals,
            "verdict": conclusion.verdict,
            "severity": conclusion.severity,
            "confidence_percent": int(conclusion.confidence * 100),
            "window": context.asset.window,
            "source": request.incident.source,
            "tenant": request.incident.tenant,
        },
    }


def _entities(request: GateRequest, context: GateContext) -> list[dict[str, Any]]:
    asset, target = context.asset, request.action.target
    parents = [{"type": "Aegis::Group", "id": name} for name in sorted(asset.groups)]
    attributes = {
        "kind": target.kind, "value": target.value, "tier": asset.tier,
        "internal": asset.internal, "own": asset.own, "well_known": asset.well_known,
    }  # fmt: skip
    uid = {"type": "Aegis::Asset", "id": request.target_key}
    groups = [{"uid": parent, "attrs": {}, "parents": []} for parent in parents]
    return [{"uid": uid, "attrs": attributes, "parents": parents}, *groups]
