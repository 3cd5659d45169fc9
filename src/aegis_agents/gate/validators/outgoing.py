"""Nothing secret, and no personal number, leaves in a ticket or a message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aegis_agents.gate.redact import PERSONAL_KINDS, secrets_in
from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

_LEAVING: Final = frozenset({"open_ticket", "notify_owner"})


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower a ticket or message to ask while its text carries any; redact() masks them beforehand."""
    if context.spec.name not in _LEAVING:
        return allow("outgoing.stays")
    found = {
        kind for text in (request.action.reason, *(sentence.text for sentence in request.conclusion.sentences))
        for kind in secrets_in(text)
    }  # fmt: skip
    if found and found <= PERSONAL_KINDS:
        return Ruling("ask", "outgoing.personal", f"the text holds personal data: {', '.join(sorted(found))}")
    if found:
        return Ruling("ask", "outgoing.secret", f"the text holds secrets: {', '.join(sorted(found))}")
    return allow("outgoing.clean")
