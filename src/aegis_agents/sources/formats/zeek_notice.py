"""Zeek: records of notice.log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aegis_agents.sources.format import Format, Head, Hint, has, text, when

NAME = "zeek_notice"


def detect(alert: Mapping[str, Any]) -> int:
    """How sure it is that the alert is in this format, 0..100."""
    note = alert.get("note")
    if isinstance(note, str) and "::" in note and has(alert, "ts", "uid", "msg", "src", "id.orig_h", "peer_descr") >= 2:
        return 96
    return 60 if has(alert, "id.orig_h", "id.resp_h", "uid", "ts") == 4 else 0


def head(alert: Mapping[str, Any]) -> Head:
    """Id, title, time and the product's own claims."""
    return Head(
        native_id=text(alert, "uid", "fuid"),
        title=text(alert, "note", "msg"),
        observed_at=when(alert, "ts"),
        verdict=text(alert, "actions.0"),
    )


FORMAT = Format(
    NAME,
    detect,
    head,
    trust=(
        (".note.", "product"),
        (".msg.", "product"),
        (".sub.", "external"),
        (".emaildest.", "organization"),
        (".peerdescr.", "product"),
        (".actions.", "product"),
        (".uid.", "product"),
    ),
    hints=(
        Hint(".emaildest.", None),
        Hint(".peerdescr.", None),
        Hint(".actions.", None),
        Hint(".note.", None),
        Hint(".uid.", None),
        Hint(".msg.", None),
    ),
)
