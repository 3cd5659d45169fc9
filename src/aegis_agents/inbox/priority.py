"""How likely serious an alert is, in about a millisecond, before the model has seen it.

What its words say weighs most: the shipped bag of words (`model.lexical`) knows which ones stood in
attacks. What the product claims weighs less, since it is told before anything is known, but an alert
never falls more than one step below it: whoever writes a log field chooses words. What is about an
asset that the customer listed as important or protected is one step up. All this decides who is
first, never what is true.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aegis_agents.errors import ModelError
from aegis_agents.inbox.records import Priority
from aegis_agents.inbox.turn import PRIORITIES
from aegis_agents.records import Incident, Target

if TYPE_CHECKING:
    from aegis_agents.gate.assets import AssetRegister
    from aegis_agents.model.lexical import Lexical
    from aegis_agents.settings import Settings

Prioritise = Callable[[Incident], Priority]

_WORDS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("critical", "fatal", "emergency", "emerg", "urgent", "p1", "sev1", "very high", "severe"), 3),
    **dict.fromkeys(("high", "error", "major", "p2", "sev2", "alert", "crit"), 2),
    **dict.fromkeys(("medium", "moderate", "warning", "warn", "p3", "sev3", "average"), 1),
    **dict.fromkeys(("low", "informational", "information", "info", "notice", "minor", "debug", "none", "p4", "p5"), 0),
}
_UNSAID: Final = 1
_SCALES: Final[Mapping[str, tuple[float, float, float]]] = {
    "wazuh": (7, 12, 15),  # rule levels 0 to 16 (Wazuh, "Rules classification")
    "guardduty": (4, 7, 9),  # 1.0 to 10.0 (AWS, "Severity levels for GuardDuty findings")
    "sentinelone": (40, 60, 80),
    "crowdstrike": (40, 60, 80),  # 1 to 100
}
"""From where on a number is medium, high and critical, by source; of others 1 to 100, or 1 to 10 where it is below 10."""
_UPSIDE_DOWN: Final = frozenset({"suricata_eve", "windows_event"})
"""1 is the worst."""
_NUMBER: Final = re.compile(r"\d{1,3}(?:\.\d{1,3})?")
_MOST_CHARS: Final = 20_000
"""So much of an alert is read: a padded one must not take long."""
_CLAIM_WEIGHT: Final = 0.5
"""Log-odds that a step of the product's severity is worth beside the words, whose own lie within 1.5."""
_STEPS: Final = (-0.6, 0.6, 1.5)
"""Log-odds from where on an alert is normal, high and urgent."""
_ASKED: Final = 4
"""Hosts and users of an alert that are looked up in the list of assets."""


def claimed(incident: Incident) -> int:
    """The rank that the product's severity stands for; "normal" where it says nothing that is known."""
    said = (incident.claim.severity or "").strip().lower()
    if said in _WORDS:
        return _WORDS[said]
    if not _NUMBER.fullmatch(said):
        return _UNSAID
    number = float(said)
    if incident.source in _UPSIDE_DOWN:
        return {1.0: 2, 2.0: 1}.get(number, 0)
    scale = _SCALES.get(incident.source, (4, 7, 9) if number <= 10 else (40, 70, 90))
    return sum(number >= step for step in scale)


def by_claim(incident: Incident) -> Priority:
    """By the product's severity alone."""
    return PRIORITIES[claimed(incident)]


def prioritiser(settings: Settings) -> Prioritise:
    """By words, claim and assets, with the model that is promoted under `home`, or the shipped one.

    Nothing is loaded before the first alert. Where the model can't be read the claim alone decides: alerts
    must come in all the same. Raises SettingsError for a wrong list of assets.
    """
    from functools import cache

    register = _register(settings)
    words = cache(lambda: _words(settings))  # once, whether it was found or not

    def prioritise(incident: Incident) -> Priority:
        claim, odds = claimed(incident), words()
        rank = claim if odds is None else scored(claim, odds.attack_odds(_texts(incident)))
        if register is not None and rank < len(PRIORITIES) - 1 and _is_listed(register, incident):
            rank += 1
        return PRIORITIES[rank]

    return prioritise


def scored(claim: int, odds: float) -> int:
    """The rank of these log-odds of an attack under this claim; at most one step below the claim."""
    score = odds + _CLAIM_WEIGHT * (claim - _UNSAID)
    return max(sum(score >= step for step in _STEPS), claim - 1)


def _words(settings: Settings) -> Lexical | None:
    from aegis_agents.model.files import read_weights
    from aegis_agents.model.lexical import Lexical
    from aegis_agents.model.registry import current

    try:
        own = current(settings.home)
        files = read_weights(own.folder, manifest_sha256=own.manifest_sha256) if own else read_weights()
    except ModelError:  # whoever decides with the model says so; here nothing rests on it
        return None
    return Lexical(files.contents["lexical.npz"])


def _texts(incident: Incident) -> Iterator[str]:
    left = _MOST_CHARS
    for fact in incident.facts:
        if left <= 0:
            return
        yield fact.value[:left]
        left -= len(fact.value)


def _register(settings: Settings) -> AssetRegister | None:
    if settings.assets is None:
        return None
    from aegis_agents.gate.assets import AssetRegister

    return AssetRegister.load(settings.assets)


def _is_listed(register: AssetRegister, incident: Incident) -> bool:
    """Whether a host or user that it is about is important or protected."""
    about = [e for e in incident.entities if e.role in ("subject", "actor") and e.kind in ("host", "user", "ip")]
    now = datetime.now(UTC)
    return any(
        register.look_up(incident, Target(kind=entity.kind, value=entity.value), now).tier != "standard"
        for entity in about[:_ASKED]
    )
