"""Every ATT&CK technique named exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse a conclusion that names a technique which the loaded ATT&CK does not have."""
    for technique in request.conclusion.techniques:
        if not context.settings.is_technique(technique):
            return Ruling("refuse", "technique.unknown", f"{technique!r} is no ATT&CK technique")
    return allow("technique.known", techniques=len(request.conclusion.techniques))
