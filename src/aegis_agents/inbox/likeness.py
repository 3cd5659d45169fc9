"""What two alerts have in common that tell of the same thing again: all but times and serial numbers.

Folding must never hide an attack, so everything is compared unless it is known to say nothing.
A value is left out only if all of these hold:

- the sensor wrote it: what others could have written, or the organisation's records, is compared
  to the letter (the trust of facts, see `sources.trust`);
- nothing that can be looked up or acted on stands in it: no user, host, address, file, hash, message;
- its field is one of a few that mean a time, the alert's own id, a serial number, a source port or a
  counter, and its value has the shape of one. A name alone never does: `id` is as often a rule's or a
  user's.

What is left out is not quite forgotten: of a time its distance from the event stays, in coarse
steps (a domain of yesterday is not one of last year), of a counter its number of digits. Where an
alert was cut or repaired while it was read nothing is folded, since the difference may lie there.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from aegis_agents.records import Fact, Incident
from aegis_agents.sources.clock import parse_time
from aegis_agents.sources.keys import Keys, split_keys, word_set

_ALERT_IDS: Final = word_set(
    "alertid alertuid alertuuid systemalertid provideralertid originalalertid incidentid detectionid findingid "
    "findinguid notableid compositeid signalid alertnumber incidentnumber"
)
"""The alert's own id by name: one word with a digit in it. Of a short one only the digits are left out."""
_UNIQUE_IDS: Final = word_set(
    "id uid uuid guid eventid eventuuid eventuid requestid correlationid traceid spanid transactionid activityid "
    "flowid communityid insertid sharedeventid recordid documentid logid"
)
"""Ids of an event where they are long enough to be unique: a short one may be a code (4625) or an account (0)."""
_BARE: Final = word_set("id uid uuid guid")
_OF_THE_EVENT: Final = word_set(
    "alert alerts event detection finding info signal kibana metadata meta log record transaction detail result source"
)
"""All that may stand above a bare id: in anything else it is that thing's id."""
_IDENTITY: Final = word_set(
    "user users account accounts actor principal subject target device host machine agent endpoint tenant app "
    "application client service resource resources object group role rule policy process file image container session"
)
"""What has an id of its own, wherever it stands above."""
_SERIAL: Final = word_set(
    "eventrecordid recordnumber recordid sequence sequencenumber sequenceno seq seqno seqnum txid firedtimes"
)
_SOURCE_PORT: Final = word_set("srcport sourceport sport spt clientport origp")
_SOURCE: Final = word_set("src source client srcendpoint sourceendpoint")
_COUNTER: Final = word_set(
    "count eventcount alertcount doccount hitcount occurrences occurrencecount repeatcount timesseen"
)
_FLOW: Final = word_set("bytestoserver bytestoclient pktstoserver pktstoclient")
_TIME: Final = word_set(
    "time timestamp ts date datetime at created updated modified seen start started end ended received observed "
    "occurred generated published detected ingested epoch completed raised"
)
_QUANTITY: Final = word_set(
    "bytes packets pkts count size length total number duration port octets records rows amount"
)
_LOG_LINE: Final = word_set("fulllog rawlog rawmessage rawevent")

_EPHEMERAL: Final = 32_768
"""Source ports from here on are picked by the system (Linux's default; RFC 6335 has 49,152): below they may mean something."""
_SMALL_FLOW: Final = 100_000
_TOKEN: Final = re.compile(r"[A-Za-z0-9._:/+=@{}|#-]{1,160}")
_UNIQUE: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|\d{10,}|"
    r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9+/_=-]{18,}"
)
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\s?(?:Z|UTC|[+-]\d\d:?\d\d)?|\d{10,19}(?:\.\d{1,9})?"
)
_STAMP: Final = re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")
_BEGINS: Final = re.compile(
    r"(?:<\d{1,3}>1? ?)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))"
    r" (?P<program>[\w.-]{1,255} [\w./-]{1,64})(?:\[\d{1,7}\])?: "
)
_ENDS: Final = re.compile(r" port (\d{5})(?= ?(?:ssh2|\[preauth\])?$)")
_NEAR_DAYS: Final = 32.0
_STEPS: Final = ((1 / 24, "hour"), (1.0, "day"), (4.0, "days"), (11.0, "week"), (32.0, "month"), (366.0, "year"))


def likeness_of(incident: Incident, stream: str) -> str | None:
    """160 bits of SHA-256, the same for alerts that differ in times and serial numbers alone; None where nothing may fold.

    Alerts of different streams, tenants and formats are never alike: who can write to one stream must
    not be able to have the alerts of another folded.
    """
    if incident.notes or not incident.facts:
        return None
    named = {fact for entity in incident.entities if entity.kind != "alert" for fact in entity.facts}
    compared: list[tuple[str, str]] = []
    left_out: dict[str, str] = {}
    for fact in incident.facts:
        if fact.derived:
            compared.append((fact.path, _without(fact, left_out)))
            continue
        keys = _keys(fact.path)
        token = None
        if fact.trust == "product" and fact.id not in named:
            token = _token(keys, fact.value, incident.observed_at)
        elif keys.leaf in _LOG_LINE:
            token = _line(fact.value)
        if token is not None:
            left_out[fact.id] = fact.value
        compared.append((fact.path, fact.value if token is None else f"\0{token}"))
    # NUL can't stand in a fact (it is made visible), so no value can pass for one that was left out.
    whole = [stream, incident.tenant, incident.source, *incident.claim.model_dump().values(), sorted(compared)]
    return hashlib.sha256(json.dumps(whole).encode("ascii")).hexdigest()[:40]


def _keys(path: str) -> Keys:
    """The keys of a path as `flatten` writes it, without the numbers of lists."""
    return split_keys(tuple(name for name in re.split(r"[.\[\]#]+", path) if name and not name.isdigit()))


def _token(keys: Keys, value: str, event: datetime | None) -> str | None:
    """What stands for a value that says nothing of what happened; None if it may."""
    above_and_parent = keys.above | {keys.parent}
    if keys.leaf in _ALERT_IDS:
        if not _TOKEN.fullmatch(value) or not any(c.isdigit() for c in value):
            return None
        return "id" if _UNIQUE.search(value) else "id " + re.sub(r"\d+", "#", value)
    if keys.leaf in _SERIAL and value.isdecimal():
        return "serial"
    if keys.leaf in _UNIQUE_IDS and not above_and_parent & _IDENTITY:
        fits = keys.leaf not in _BARE or keys.above <= _OF_THE_EVENT
        return "id" if fits and _TOKEN.fullmatch(value) and _UNIQUE.search(value) else None
    if keys.leaf in _SOURCE_PORT or (keys.leaf == "port" and keys.parent in _SOURCE):
        return "port" if value.isdecimal() and _EPHEMERAL <= int(value[:6]) <= 65_535 else None
    if keys.leaf in _COUNTER:
        return f"count of {len(value)} digits" if value.isdecimal() else None
    if keys.leaf in _FLOW:
        return f"flow of {len(value)} digits" if value.isdecimal() and int(value[:7]) < _SMALL_FLOW else None
    return _when(keys, value, event)


def _when(keys: Keys, value: str, event: datetime | None) -> str | None:
    """How far a time lies from the event, in coarse steps."""
    if not keys.words & _TIME and keys.leaf not in _TIME and not keys.leaf.endswith(("time", "timestamp", "date")):
        return None
    if _STAMP.fullmatch(value):
        return "stamp"
    if event is None or not _MOMENT.fullmatch(value) or (moment := parse_time(value)) is None:
        return None
    days = (moment - event) / timedelta(days=1)
    if value[4] != "-" and (abs(days) > _NEAR_DAYS or keys.words & _QUANTITY):
        return None  # a number that is no time of this event may be bytes_received
    step = next((name for most, name in _STEPS if abs(days) <= most), "years")
    return step if step == "hour" else f"{step} {'after' if days > 0 else 'before'}"


def _line(value: str) -> str | None:
    """A log line without its stamp, its process id and, at its very end, an ephemeral source port."""
    begins = _BEGINS.match(value)
    if begins is None:
        return None
    rest = _ENDS.sub(lambda found: " port *" if int(found[1]) >= _EPHEMERAL else found[0], value[begins.end() :])
    return f"line {begins['program']}: {rest}"


def _without(fact: Fact, left_out: Mapping[str, str]) -> str:
    """A derived fact; where it rests on what was left out, without its quotations: they are facts that are compared."""
    quoted = [left_out[source] for source in fact.inputs if source in left_out]
    if not quoted:
        return fact.value
    said = fact.value.partition(" (")[0]
    for value in quoted:
        said = said.replace(value, "*")
    return said
