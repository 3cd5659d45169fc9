"""A small store with a known past, for questions with known answers: seven cases, and what people did about them.

The alerts are those of `aegis demo` and two made from them; the persons hold tokens. Verdicts are the shipped model's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents import Aegis
from aegis_agents.records import AEGIS, ROLES, Target

PEOPLE = ("alice", "bert", "carol", "dave", "erin")


class Scene(NamedTuple):
    """The store, and names for what is in it: `ids` has cases ("attack" …), how sure they are ("sure_attack" …) and actions ("isolate" …)."""

    aegis: Aegis
    ids: dict[str, str]


class Everything:
    """A connector that does all it is told, in memory, so that outcomes are known."""

    name = "scene"

    def __init__(self) -> None:
        from aegis_agents.records import CATALOGUE

        self.actions = frozenset(CATALOGUE)
        self._in_effect: set[tuple[str, str, str]] = set()

    def apply(self, action: str, target: Target, *, key: str, note: str) -> str:
        self._in_effect.add((action, target.kind, target.value))
        return "done"

    def read(self, action: str, target: Target) -> bool | None:
        return (action, target.kind, target.value) in self._in_effect

    def undo(self, action: str, target: Target, *, key: str) -> str:
        self._in_effect.discard((action, target.kind, target.value))
        return "lifted"


def _alerts() -> dict[str, dict[str, Any]]:
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    names = ("1_attack", "2_authorised", "3_wrong_detection", "4_unclear", "5_injection")
    attack, purple, wiki, vendor, web = (json.loads((folder / f"{n}.json").read_text("utf-8")) for n in names)
    vendor["context"]["shift_note"] = "supervisor not yet reached by phone"  # so that closing it is proposed
    earlier = json.loads(json.dumps(purple))
    earlier["kibana.alert.uuid"], earlier["host"]["name"] = "0aa1c2", "ALD-PT-LAB-04"
    second = json.loads(json.dumps(attack).replace("ALD-LT-0442", "ALD-LT-0107").replace("m.oyelaran", "b.hale"))
    second |= {"composite_id": "5c1d0e:ind:77:1", "sha256": "ab" * 32}
    second["network_accesses"][0]["remote_address"] = "203.0.113.92"
    return {
        "earlier": earlier, "second": second, "attack": attack, "purple": purple, "wiki": wiki, "vendor": vendor, "web": web,
    }  # fmt: skip


@contextmanager
def scene(home: Path) -> Iterator[Scene]:
    """The store, open. `earlier` was taken in last week, `second` yesterday, the rest today."""
    with Aegis(home=home, tools=[Everything()]) as aegis:
        tokens = {name: aegis.store.add_token(name, ROLES, AEGIS, valid_for=timedelta(days=1)) for name in PEOPLE}
        now = datetime.now(UTC)
        monday = (now - timedelta(days=now.weekday())).replace(hour=9, minute=0)
        ids: dict[str, str] = {}
        for name, alert in _alerts().items():
            when = {"earlier": monday - timedelta(days=4), "second": now - timedelta(days=1)}.get(name)
            if when is not None:
                told = when.isoformat(timespec="microseconds")
                aegis.store._now = lambda told=told: told  # type: ignore[attr-defined]
            case = aegis.investigate(alert)
            ids[name], ids[f"sure_{name}"] = case.incident_id, f"{case.confidence:.2f}"
            aegis.store.__dict__.pop("_now", None)
        for name, of, action in (
            ("isolate", "attack", "isolate_host"), ("disable", "attack", "disable_user"),
            ("revoke", "attack", "revoke_sessions"), ("block", "attack", "block_ip"), ("hash", "attack", "block_hash"),
            ("close_wiki", "wiki", "close_alert"), ("close_purple", "purple", "close_alert"),
            ("close_vendor", "vendor", "close_alert"), ("isolate_web", "web", "isolate_host"),
            ("block_web", "web", "block_ip"), ("ticket", "attack", "open_ticket"), ("isolate_second", "second", "isolate_host"),
        ):  # fmt: skip
            ids[name] = next(r.action_id for r in aegis.store.actions(ids[of]) if r.proposal.action == action)
        aegis.approve(ids["isolate"], token=tokens["alice"], reason="confirmed by phone")
        aegis.deny(ids["disable"], token=tokens["bert"], reason="needed for payroll")
        aegis.approve(ids["revoke"], token=tokens["alice"])
        aegis.approve(ids["block"], token=tokens["dave"])
        aegis.undo(ids["block"], token=tokens["carol"])
        aegis.approve(ids["close_wiki"], token=tokens["dave"], reason="wiki search")
        aegis.confirm(ids["earlier"], "benign_positive", token=tokens["erin"])
        yield Scene(aegis, ids)
