"""Caution: where watching the model found something wrong, a person decides until a person lifts it.

It lowers to "ask" what would have been done alone, and can do nothing else. Records (tickets, notices) go on: how else
would people hear of it. Closing an alert is no record here, as everywhere in the gate.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from aegis_agents.gate.likeness import likeness, sketch, words_of
from aegis_agents.records import Incident
from aegis_agents.records.base import Record

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext
    from aegis_agents.gate.request import GateRequest, Ruling

Scope = Literal["all", "source", "class", "cluster"]
"""What falls back: everything; one source's incidents; one class of action; one source's incidents that are alike."""

ALIKE: Final = 0.5
"""Likeness from which an incident belongs to a cluster."""


class FellBack(Record):
    """One fall-back that nobody has lifted.

    `entry` is its ledger entry (0: it passes by itself), `of` the source or class, `like` the sketch of a cluster (see `gate.likeness`),
    `cause` which watch found it ("drift.sources", "canary" ...).
    """

    entry: int
    scope: Scope
    of: str = ""
    like: str = ""
    cause: str = ""
    reason: str = ""


class Caution(Record):
    """All that has fallen back; `unreadable` says why that can't be known, which is caution for everything."""

    fallen: tuple[FellBack, ...] = ()
    unreadable: str = ""

    def about(self, incident: Incident, action_class: str) -> FellBack | None:
        """The first fall-back that such an action of this incident is under; None if none is."""
        own = _Sketched(incident)
        return next((fell for fell in self.fallen if _covers(fell, own, action_class)), None)


NO_CAUTION: Final = Caution()


class _Sketched:
    """An incident whose sketch is made when a cluster is asked about, once."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident

    @cached_property
    def sketch(self) -> str:
        """Of what an attacker could have written."""
        return sketch(words_of(self.incident, chosen=True))


def _covers(fell: FellBack, own: _Sketched, action_class: str) -> bool:
    if fell.scope == "all":
        return True
    if fell.scope == "class":
        return fell.of == action_class
    if fell.of != own.incident.source:
        return False
    if fell.scope == "source":
        return True
    try:
        return likeness(fell.like, own.sketch) >= ALIKE
    except ValueError:  # no sketch that can be read: the whole source is asked about
        return True


def check(request: GateRequest, context: GateContext) -> Ruling:
    """Lower to "ask" what is under a fall-back, but for records."""
    from aegis_agents.gate.request import Ruling, allow

    caution = request.caution
    if caution == NO_CAUTION or context.action_class == "record":
        return allow("caution.none", open=len(caution.fallen))
    if caution.unreadable:
        return Ruling("ask", "caution.unreadable", f"what fell back can't be read: {caution.unreadable}")
    fell = caution.about(request.incident, context.action_class)
    if fell is None:
        return allow("caution.elsewhere", open=len(caution.fallen))
    lifted = f"; ledger entry {fell.entry}); `aegis monitor --resume` lifts it" if fell.entry else ")"
    reason = f"autonomy fell back ({fell.reason}{lifted}"
    return Ruling(
        "ask", "caution.fell_back", reason, numbers={"entry": fell.entry, "scope": fell.scope, "cause": fell.cause}
    )
