"""What is answered: one attempt, a suite of them, and the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from aegis_agents._version import __version__

if TYPE_CHECKING:
    from aegis_agents.assurance.redteam.ground import Ground

Result = Literal["held", "got_through", "not_tried", "error"]
"""held: the attack had no effect; got_through: it had; not_tried: these settings leave nothing to attack,
and `detail` says why; error: the attempt ended in an error of Aegis', which is no defence."""


class Attempt(NamedTuple):
    """One attack, and what came of it."""

    suite: str
    name: str
    result: Result
    detail: str = ""


class Suite(NamedTuple):
    """A kind of attack. `owasp` and `atlas` are ids of the OWASP LLM and Agentic Top 10 and of MITRE ATLAS."""

    id: str
    about: str
    owasp: tuple[str, ...]
    atlas: tuple[str, ...]
    run: Callable[[Ground], Iterator[Attempt]]


class Report(NamedTuple):
    """All attempts, of which suites, on which versions, and which settings could not be tried."""

    suites: tuple[Suite, ...]
    attempts: tuple[Attempt, ...]
    versions: Mapping[str, str]
    set_aside: tuple[str, ...]
    """Settings of the user's that were replaced, so that nothing outside is touched."""
    seconds: float
    at: str = ""
    """When it began, as ISO 8601 in UTC."""

    @property
    def got_through(self) -> tuple[Attempt, ...]:
        """What had an effect, errors included: what could not be judged is not held."""
        return tuple(a for a in self.attempts if a.result in ("got_through", "error"))

    @property
    def exit_code(self) -> int:
        """0 if nothing got through, 1 if something did."""
        return 1 if self.got_through else 0

    def of(self, suite: str) -> list[Attempt]:
        """The attempts of one suite."""
        return [a for a in self.attempts if a.suite == suite]

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe values."""
        return {
            "exit_code": self.exit_code,
            "at": self.at,
            "aegis": __version__,
            "seconds": round(self.seconds, 1),
            "versions": dict(self.versions),
            "settings_set_aside": list(self.set_aside),
            "suites": [
                {
                    "id": s.id, "about": s.about, "owasp": list(s.owasp), "atlas": list(s.atlas),
                    "attempts": [a._asdict() for a in self.of(s.id)],
                }
                for s in self.suites
            ],
        }  # fmt: skip
