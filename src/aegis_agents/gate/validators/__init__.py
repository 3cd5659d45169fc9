"""The rails: each a pure function in its own module, and a guardrails-ai Validator around it.

`RAILS` lists them in the order of the gate: what came in, what it rests on, what would be done.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aegis_agents.gate.validators import (
    citations,
    injection_signs,
    outgoing,
    schema,
    target_known,
    target_protected,
    techniques,
    verdict_fit,
)

if TYPE_CHECKING:
    from aegis_agents.gate.context import Step

RAILS: Final[Mapping[str, Step]] = MappingProxyType(
    {
        "input.schema": schema.check,
        "input.injection": injection_signs.check,
        "grounding.citations": citations.check,
        "grounding.techniques": techniques.check,
        "action.target": target_known.check,
        "action.protected": target_protected.check,
        "action.verdict": verdict_fit.check,
        "action.outgoing": outgoing.check,
    }
)
