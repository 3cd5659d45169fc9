"""How the model stands, as one record and as plain numbers for gauges."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from aegis_agents.agents.offering import newest
from aegis_agents.gate.caution import Caution
from aegis_agents.ledger import Store
from aegis_agents.monitor.calibrated import Error, error_of
from aegis_agents.monitor.canaries import ANSWERED
from aegis_agents.monitor.drift import STREAMS
from aegis_agents.monitor.falling import fallen
from aegis_agents.monitor.reading import FINISHED
from aegis_agents.monitor.state import State, Watched
from aegis_agents.records.base import Record
from aegis_agents.settings_monitor import MonitorSettings


class Test(Record):
    """One test: how often it was fed, its stake now and at most, and the stake from which something is shown."""

    name: str
    n: int
    stake: float
    most: float
    needed: float
    shown: bool


class Agreed(Record):
    """What people said of a group."""

    group: str
    agreed: int
    contradicted: int
    share: float | None
    test: Test


class Round(Record):
    """The last round of canaries."""

    at: datetime
    model: str
    fed: int
    wrong: dict[str, str]
    missed: tuple[str, ...] = ()


class Status(Record):
    """All of it, for the version of the model in use.

    `groups` are near-duplicates counted once a day, `near` those that are remembered, `missing` how many groups are still
    needed as a reference, `errors` calibration errors by month, `unreadable` entries that had to be left out, `behind` how
    many ledger entries lie between the last decided case that was read and the newest: what happened there was not looked at yet.
    """

    model: str
    cases: int
    groups: int
    missing: int
    drift: tuple[Test, ...]
    agreement: tuple[Agreed, ...]
    unclear: int
    answers: dict[str, tuple[int, int]]
    calibration: Test
    reviewed: int
    mean_confidence: float | None
    right: float | None
    errors: dict[str, Error]
    near: int
    probed: int
    unreadable: int
    behind: int
    canaries: Round | None
    caution: Caution

    def gauges(self) -> dict[str, float]:
        """Plain numbers by name, for Prometheus; no label, nothing that an alert says."""
        last = self.canaries
        found = {
            "aegis_monitor_fallen_back": float(len(self.caution.fallen) or bool(self.caution.unreadable)),
            "aegis_monitor_cases": float(self.cases),
            "aegis_monitor_reference_missing": float(self.missing),
            "aegis_monitor_reviewed": float(self.reviewed),
            "aegis_monitor_canaries_wrong": float(len(last.wrong)) if last else 0.0,
            "aegis_monitor_canaries_at_seconds": last.at.timestamp() if last else 0.0,
            "aegis_monitor_unreadable": float(self.unreadable),
            "aegis_monitor_probed_groups": float(self.probed),
            "aegis_monitor_behind_entries": float(self.behind),
            "aegis_monitor_calibration_stake": self.calibration.stake,
        }
        for test in self.drift:
            found[f"aegis_monitor_drift_{test.name}_stake"] = test.stake
        for group in self.agreement:
            if group.group == "all" and group.share is not None:
                found["aegis_monitor_contradicted_share"] = group.share
        return found


def status(store: Store, state: State, settings: MonitorSettings, model: str) -> Status:
    """How this version of the model stands."""
    watched = state.models.get(model, Watched())
    drift, calibrated = watched.drift, watched.calibrated
    tests = [
        _test(name, drift.streams[name].wager, drift.doubt(settings.doubt / 2))
        for name in STREAMS if name in drift.streams
    ]  # fmt: skip
    groups = []
    for name, group in watched.agreement.groups.items():
        total = group.agreed + group.contradicted
        test = _test(name, group.wager, watched.agreement.doubt(name, settings.doubt / 4))
        share = group.contradicted / total if total else None
        groups.append(Agreed(group=name, agreed=group.agreed, contradicted=group.contradicted, share=share, test=test))
    ranked = drift.streams["sources"].wager.n if "sources" in drift.streams else 0
    return Status(
        model=model, cases=watched.cases, groups=drift.usual.n + ranked,
        missing=max(0, settings.reference - drift.usual.n - ranked), drift=tuple(tests), agreement=tuple(groups),
        unclear=watched.agreement.unclear, answers=watched.agreement.answers,
        calibration=_test("calibration", calibrated.wager, calibrated.doubt(settings.doubt / 4)), reviewed=calibrated.n,
        mean_confidence=calibrated.sure / calibrated.n if calibrated.n else None,
        right=calibrated.right / calibrated.n if calibrated.n else None,
        errors={month: error_of(found) for month, found in calibrated.months.items()},
        near=len(state.probing.clusters), probed=sum(c.told for c in state.probing.clusters),
        unreadable=state.unreadable, behind=_behind(store, state),
        canaries=_round(store), caution=fallen(store),
    )  # fmt: skip


def _test(name: str, wager: Any, doubt: float) -> Test:
    return Test(name=name, n=wager.n, stake=wager.value, most=wager.top, needed=1 / doubt, shown=wager.shown(doubt))


def _behind(store: Store, state: State) -> int:
    last = newest(store, FINISHED, 1)
    return max(0, last[-1].seq - state.read.get(FINISHED, 0)) if last else 0


def _round(store: Store) -> Round | None:
    last = newest(store, ANSWERED, 1)
    if not last or last[-1].body is None:
        return None
    return Round.model_validate(last[-1].body | {"at": last[-1].at})
