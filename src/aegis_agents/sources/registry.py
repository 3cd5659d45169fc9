"""The formats that Aegis reads, by name, and which of them an alert is in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from aegis_agents.errors import InputError
from aegis_agents.sources.format import Format, unwrap
from aegis_agents.sources.formats import (
    cloudtrail,
    crowdstrike,
    defender_xdr,
    elastic_ecs,
    falco,
    gcp_scc,
    generic,
    github_audit,
    guardduty,
    ocsf,
    okta,
    paloalto_threat,
    proofpoint_tap,
    securityhub_asff,
    sentinel,
    sentinelone,
    splunk_es,
    suricata_eve,
    wazuh,
    windows_event,
    zeek_notice,
)

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        module.NAME: module.FORMAT
        for module in (
            defender_xdr, sentinel, crowdstrike, sentinelone, elastic_ecs, wazuh, splunk_es, okta, proofpoint_tap,
            guardduty, securityhub_asff, cloudtrail, gcp_scc, suricata_eve, zeek_notice, paloalto_threat, falco,
            github_audit, ocsf, windows_event, generic,
        )
    }
)  # fmt: skip
"""Name → format. Of two that are equally sure of an alert the earlier one gets it."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType({"webhook": "generic", "sysmon": "windows_event"})


def detect_format(alert: Mapping[str, Any]) -> str:
    """The name of the format that is surest of this alert; "generic" if none knows it."""
    inside = unwrap(alert)
    return max(FORMATS.values(), key=lambda known: known.detect(inside)).name


def format_named(name: str) -> Format:
    """The format of this name or alias; InputError lists the names if there is none."""
    known = FORMATS.get(ALIASES.get(name, name))
    if known is None:
        raise InputError(f"unknown format {name!r}", field="format", fix="one of " + ", ".join(FORMATS))
    return known
