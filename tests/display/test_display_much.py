"""A case with too much in it stays a page that can be read, and says what it leaves out."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from aegis_agents import display
from aegis_agents.display.plain import MOST
from aegis_agents.display.tables import MOST_ROWS

HOSTILE = {
    "attribute": "\"><img src=x onerror=alert(1)>'`",
    "script": "</title></svg></style><script>alert(1)</script>",
    "entity": "&lt;script&gt;&#x3c;",
    "right to left": "אבד \u202e exe.fdp ال",
    "emoji": "👩‍👩‍👧‍👦🔥🇪🇪" * 20,
    "controls": "\x00\x1b[31m\r\n\t\ud800",
    "long": "A" * 5_000,
    "windows": "C:\\Users\\x\\AppData\\Local\\Temp\\" * 20,
}


def case(count: int, said: str) -> dict[str, Any]:
    facts = [
        {"kind": "fact", "id": f"f{n}", "path": said, "value": said, "weight": (-1) ** n * (n % 10) / 10, "trust": said}
        for n in range(count)
    ]
    passages = [
        {"kind": "passage", "id": f"T{1000 + n}", "source": "technique", "title": said, "score": 0.5, "feed": said, "tlp": said}
        for n in range(count)
    ]  # fmt: skip
    action = dict.fromkeys(("action_id", "action", "outcome", "rule", "reason", "by", "detail"), said)
    return {
        "incident_id": "inc-1", "native_id": said, "source": said, "title": said, "verdict": "true_positive",
        "confidence": 0.9, "severity": said, "timing_ms": 1.0, "summary": f"a [f1] “{said} [f1]” b [f1].",
        "techniques": [said, *(f"T{1000 + n}" for n in range(count))], "evidence": facts + passages,
        "probabilities": {"true_positive": 0.9}, "versions": {said: said}, "notes": [said] * count,
        "actions": [action | {"target": {"kind": said, "value": said}} for _ in range(count)],
    }  # fmt: skip


def incident(count: int, said: str) -> dict[str, Any]:
    times = [f"2026-01-{1 + n % 28:02d}T00:00:{n % 60:02d}Z" for n in range(count)]
    return {
        "id": "inc-1", "source": said, "native_id": said, "title": said, "observed_at": "2026-01-01T00:00:00Z", "claim": {said: said},
        "facts": [{"id": f"f{n}", "path": said, "value": times[n] if n % 3 == 0 else said, "trust": said, "inputs": [said]} for n in range(count)],
        "entities": [{"kind": "alert", "value": said, "role": "subject", "facts": []}]
        + [{"kind": said, "value": f"{said}{n}", "role": ("actor", "subject", "peer", said)[n % 4], "facts": [f"f{n}"]} for n in range(count)],
    }  # fmt: skip


class Tags(HTMLParser):
    """Fails on whatever could run, fetch or style."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "style", "a", "iframe", "object", "use", "foreignobject", "image", "link"}
        for name, _ in attrs:
            assert not name.startswith("on")
            assert name not in {"style", "href", "src", "xlink:href"}


@pytest.mark.parametrize("said", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_whatever_stands_in_any_field_is_text(said: str, count: int) -> None:
    held, about = case(count, said), incident(count, said)
    html = display.case_html(held, about) + display.incident_html(about)
    Tags().feed(html)
    for svg in re.findall(r"<svg.*?</svg>", html, re.S):
        ElementTree.fromstring(svg)
    for shown in (html, display.case_text(held), display.incident_text(about)):
        assert not re.search("[\x00\x1b\u202e\ud800]", shown)


def test_of_a_thousand_things_it_says_how_many_it_leaves_out() -> None:
    held, about = case(1_000, "x"), incident(1_000, "x")
    html = display.case_html(held, about)
    for name in ("facts", "passages", "actions"):
        assert f"{1_000 - MOST_ROWS} further {name} are not shown" in html
    assert "980 more notes are not shown" in html
    text = display.case_text(held)
    assert text.count("\n") < 2 * MOST + 1_010
    assert f"and {2_000 - MOST} more" in text
    assert f"and {1_000 - MOST} more" in text


def test_the_entities_are_counted_as_they_are_drawn() -> None:
    html = display.case_html(case(3, "x"), incident(3, "x"))
    assert re.search(r"Entities <span[^>]*>3<", html)
    assert "3 entities" in html


def test_a_case_of_two_hundred_facts_is_drawn_soon() -> None:
    held, about = case(200, "powershell.exe -enc x"), incident(200, "powershell.exe -enc x")
    held["techniques"] = []
    times = []
    for _ in range(5):
        started = time.process_time()
        display.case_html(held, about)
        times.append(time.process_time() - started)
    assert min(times) < 0.1  # measured: 0.02


def test_text_that_runs_right_to_left_turns_nothing_beside_it() -> None:
    rule = next(r for r in display.css().split("}") if "unicode-bidi:isolate" in r)
    for name in ("value", "sub", "cite", "title", "about"):
        assert f".aegis-{name}" in rule
