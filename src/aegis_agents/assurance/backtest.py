"""`aegis backtest`: closed cases whose truth is known, decided as Aegis would decide them now. Nothing is done.

Two sources: cases of the ledger that a person confirmed, and a file of closed alerts from before Aegis.
A file's cases are decided in shadow in a throw-away state, with what reviews have unlocked by now, and without
memory: a confirmed copy of the same case would answer for the model. An alert counts once, however often it is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aegis_agents.agents.approval import earned_now
from aegis_agents.agents.recall import CONFIRMED
from aegis_agents.errors import InputError
from aegis_agents.gate import upper_bound
from aegis_agents.records import VERDICTS, Case, Verdict
from aegis_agents.sources import read_lines

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.assurance.simulate import Truth
    from aegis_agents.ledger import JournalRow, Store

_HARMLESS = ("benign_positive", "false_positive")
_RECORDS = ("open_ticket", "notify_owner", "add_watchlist", "snapshot_disk")
_DELTA = 0.05

_APART: Final[dict[str, Any]] = {
    "mode": "shadow", "memory_strength": 0.0, "database": None, "ledger_key": None, "ledger_copies": None,
    "connectors": None, "connector_secrets": {}, "webhook_url": None, "nftables": False, "kill_switch": None, "llm": "",
}  # fmt: skip
"""Nothing of a backtest may reach the real database, ledger or systems; and that the kill switch is engaged today
says nothing of what would be done. A language model decides nothing, and would be sent every case."""


@dataclass(frozen=True)
class ClosedCase:
    """An alert as it came, and what it was."""

    alert: dict[str, Any]
    verdict: Verdict
    line: int


@dataclass
class Tally:
    """How often something happened, of how many, with the exact 95 % interval (Clopper and Pearson 1934)."""

    hits: int = 0
    total: int = 0

    def count(self, hit: bool) -> None:
        """One more."""
        self.hits += hit
        self.total += 1

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values; the interval is None without cases."""
        if not self.total:
            return {"n": 0, "hits": 0, "share": None, "interval": None}
        low = 1 - upper_bound(self.total - self.hits, self.total, _DELTA / 2)
        high = upper_bound(self.hits, self.total, _DELTA / 2)
        return {"n": self.total, "hits": self.hits, "share": self.hits / self.total, "interval": [low, high]}


@dataclass
class Backtest:
    """What came of it. Rates are counted as everywhere: undetermined is a miss in both."""

    detection: Tally = field(default_factory=Tally)
    """Attacks answered true_positive."""
    rejection: Tally = field(default_factory=Tally)
    """Non-attacks answered benign_positive or false_positive."""
    coverage: Tally = field(default_factory=Tally)
    """Cases that were decided at all."""
    wrong_alone: Tally = field(default_factory=Tally)
    """Of the containments and closings that would have run alone, those against what was true."""
    contained_alone: Tally = field(default_factory=Tally)
    """Attacks that would have been contained without a person."""
    closed_attacks: Tally = field(default_factory=Tally)
    """Attacks whose alert would have been closed without a person."""
    asked: int = 0
    """Questions to people."""
    decided: Counter[str] = field(default_factory=Counter)
    """Decisions by action and verb."""
    failed: list[str] = field(default_factory=list)
    """Lines that could not be read, and why."""

    def count(self, case: Case, rows: Sequence[JournalRow], truth: Verdict) -> None:
        """One case, and its actions as the journal has them."""
        attack = truth == "true_positive"
        self.coverage.count(case.verdict != "undetermined")
        if attack:
            self.detection.count(case.verdict == "true_positive")
        else:
            self.rejection.count(case.verdict in _HARMLESS)
        alone = [r.proposal.action for r in rows if r.decision.verb == "execute" and r.proposal.action not in _RECORDS]
        for action in alone:
            self.wrong_alone.count(attack if action == "close_alert" else not attack)
        if attack:
            self.contained_alone.count(any(action != "close_alert" for action in alone))
            self.closed_attacks.count("close_alert" in alone)
        for row in rows:
            self.decided[f"{row.proposal.action}: {row.decision.verb}"] += 1
            self.asked += row.decision.verb == "ask"

    def to_dict(self) -> dict[str, Any]:
        """As JSON-safe values."""
        names = ("detection", "rejection", "coverage", "wrong_alone", "contained_alone", "closed_attacks")
        rates = {name: getattr(self, name).to_dict() for name in names}
        return rates | {"asked": self.asked, "decided": dict(self.decided), "failed": self.failed}


def confirmed(store: Store) -> Truth:
    """What people said that incidents were; the latest word counts."""
    found: Truth = {}
    last = 0
    while batch := store.entries(after=last, kind=CONFIRMED):
        for entry in batch:
            if entry.incident_id and entry.body:
                found[entry.incident_id] = entry.body["verdict"]
        last = batch[-1].seq
    return found


def read_closed(file: Path) -> Iterator[ClosedCase | InputError]:
    """Closed cases of a JSON Lines file, each {"alert": {...}, "verdict": "true_positive"}.

    A line that is wrong is an InputError in its place; a file that can't be read raises one.
    """
    try:
        with file.open("rb") as stream:
            for number, found in read_lines(stream):
                yield found if isinstance(found, InputError) else _closed(found, number)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}", field="file") from error


def _closed(found: dict[str, Any], number: int) -> ClosedCase | InputError:
    if not isinstance(found.get("alert"), dict):
        return InputError("has no alert", field="alert", fix='{"alert": {...}, "verdict": "..."}', line=number)
    verdict = next((v for v in VERDICTS[:3] if v == found.get("verdict")), None)
    if verdict is None:
        return InputError("is no final verdict", field="verdict", fix=f"one of {', '.join(VERDICTS[:3])}", line=number)
    return ClosedCase(found["alert"], verdict, number)


def backtest_file(aegis: Aegis, cases: Iterable[ClosedCase | InputError], *, home: Path) -> Iterator[Backtest]:
    """The tally after each case, decided in shadow under the settings of `aegis`, with state in `home`."""
    from aegis_agents.aegis import Aegis

    settings, found, lines = aegis.settings.model_copy(update={"home": home, **_APART}), Backtest(), dict[str, int]()
    earned = earned_now(aegis.context)
    with Aegis(model=aegis.context.model, intel=aegis.context.intel, settings=settings) as shadow:
        # What was opened once is kept under its name; this takes its place.
        vars(shadow)["context"] = replace(shadow.context, earned=lambda _: earned, feed_times=aegis.context.feed_times)
        for item in cases:
            if isinstance(item, InputError):
                found.failed.append(str(item))
            else:
                try:
                    case = shadow.investigate(item.alert)
                    first = lines.setdefault(case.incident_id, item.line)
                    if first != item.line:
                        raise InputError(f"is the alert of line {first} again", fix="give each alert once")
                    found.count(case, shadow.store.actions(case.incident_id), item.verdict)
                except InputError as error:
                    found.failed.append(str(error.at_line(item.line)))
            yield found
