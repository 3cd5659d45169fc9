"""Everything that is decided on has its declared form, checked anew and strictly.

Records are checked when they are made, but a checkpoint, a model or a plugin can
make one without its checks; nothing passes here on trust.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from aegis_agents.gate.request import GateRequest, Ruling, allow

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext

_ROUNDING = 1e-6


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Refuse an action or a conclusion that does not have its form, or whose numbers are out of range."""
    for name, record in (("action", request.action), ("conclusion", request.conclusion)):
        try:
            type(record).model_validate(record.model_dump(warnings=False), strict=True)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            return Ruling("refuse", "schema.invalid", f"{name}.{where}: {first['msg']}")
    if not request.action.action_id.strip():
        return Ruling("refuse", "schema.invalid", "action.action_id: is empty")
    for name, confidence in (
        ("conclusion", request.conclusion.confidence),
        ("assessment", request.assessment.confidence),
    ):
        if not 0.0 <= confidence <= 1.0:  # written so that a NaN fails
            return Ruling("refuse", "schema.invalid", f"{name}.confidence: must lie in 0..1")
    shares = request.assessment.probabilities.values()
    if not all(0.0 <= share <= 1.0 for share in shares) or sum(shares) > 1.0 + _ROUNDING:
        return Ruling("refuse", "schema.invalid", "assessment.probabilities: must lie in 0..1 and sum to 1 at most")
    return allow("schema.valid")
