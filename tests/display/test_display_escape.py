"""What an alert says can't leave the place where it is shown: not in HTML, SVG, attributes, or plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents import display
from tests.display.display_cases import CASE, INCIDENT, hostile

ATTACKS = (
    "</svg><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title></desc><style>*{display:none}</style>",
    "]]><!--<foreignObject><iframe src=//evil.example>",
    "javascript:alert(1)",
    "&lt;script&gt;&#x3c;script&#x3e;",
    "<math><mi xlink:href='data:x,<script>'>",
    "=cmd|' /C calc'!A0",
    "[link](javascript:alert(1)) ![i](http://evil.example/x.png)",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\x1b[2J",
    "pay\u202eexe.fdp\u2066\u200b\u00ad",
    "\x00\x08\ufffe\uffff\ud800 nul and surrogates",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b" * 30,
)
ALLOWED = {
    "article", "badge", "br", "circle", "desc", "details", "div", "h3", "h4", "line", "p", "path", "rect", "span", "summary",
    "svg", "table", "tbody", "td", "text", "th", "thead", "title", "tr",
}  # fmt: skip
ATTRIBUTES = {
    "class", "role", "aria-label", "viewbox", "width", "height", "xmlns", "x", "y", "x1", "x2", "y1", "y2", "rx", "cx", "cy",
    "r", "d", "title", "scope", "open",
}  # fmt: skip


def rendered(case: dict[str, Any], incident: dict[str, Any]) -> dict[str, str]:
    """Everything that this package draws of them, by name."""
    entry = {"seq": 1, "at": "x", "kind": case["title"], "incident_id": case["title"], "body": {"reason": case["title"], case["title"]: 1}, "hash": case["title"]}  # fmt: skip
    row = CASE["actions"][0] | {"reason": case["title"], "title": case["title"], "why_waiting": case["title"], "cites": [{"id": case["title"], "text": case["title"]}], "approvals": [{"by": case["title"]}]}  # fmt: skip
    answer = {"title": case["title"], "before": case, "after": case, "changes": [{"id": "f1", "path": case["title"], "before": case["title"], "after": None}],
              "actions": [{"action": case["title"], "target": {"value": case["title"]}, "before": "ask", "after": None}], "versions": {case["title"]: [case["title"], "b"]}}  # fmt: skip
    return {
        "case": display.case_html(case, incident), "incident": display.incident_html(incident),
        "steps": display.steps_svg(case), "timeline": display.timeline_svg(incident),
        "entities": display.entities_svg(incident, case), "evidence": display.evidence_svg(case),
        "techniques": display.techniques_svg(case), "many": display.techniques_svg([case, case]),
        "queue": display.queue_html([case | {"at": case["title"]}]), "ledger": display.ledger_html([entry]),
        "approvals": display.approvals_html([row]), "passages": display.passages_html(case),
        "verification": display.verification_html({"head": case["title"], "keys": [1]}),
        "what_if": display.what_if_html(answer), "replay": display.replay_html(answer),
    }  # fmt: skip


class Strict(HTMLParser):
    """Reads HTML as a browser would, and keeps what must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag not in ALLOWED:
            self.wrong.append(f"<{tag}>")
        self.wrong += [f"{tag} {name}={value}" for name, value in attrs if name not in ATTRIBUTES]
        names = [name for name, _ in attrs]
        self.wrong += [f"{tag} {name} twice" for name in names if names.count(name) > 1]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:
        self.wrong.append("comment")

    handle_decl = handle_pi = unknown_decl = handle_comment


def check(html: str) -> None:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.wrong == []
    assert parser.open == []
    html.encode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufffe\uffff]", html)


@pytest.mark.parametrize("text", ATTACKS)
def test_no_text_of_an_alert_becomes_markup(text: str) -> None:
    for html in rendered(*hostile(text)).values():
        check(html)


@given(st.text(alphabet=st.characters(blacklist_categories=()), max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_text_it_is(text: str) -> None:
    for name, html in rendered(*hostile("x" + text)).items():
        check(html)
        if name in ("steps", "timeline", "entities", "evidence", "techniques", "many"):
            ElementTree.fromstring(html)  # well-formed XML


def test_markup_of_an_alert_is_shown_as_text() -> None:
    html = display.evidence_html([CASE["evidence"][0] | {"value": "<b>bold</b>"}])
    assert "&lt;b&gt;bold&lt;/b&gt;" in html


def test_hidden_and_bidirectional_characters_are_named() -> None:
    assert display.visible("pay\u202eexe.fdp") == "pay⟦U+202E⟧exe.fdp"
    assert display.visible("a\x1b[2Jb") == "a⟦U+001B⟧[2Jb"
    assert display.visible("zero\u200bwidth") == "zero⟦U+200B⟧width"
    assert "⟦U+202E⟧" in display.case_html(CASE | {"title": "x\u202ey"})


def test_letters_that_need_marks_keep_them_and_piles_are_counted() -> None:
    assert display.visible("ệ \u0915\u094d\u0937") == "ệ \u0915\u094d\u0937"
    assert display.visible("Z" + "\u0351" * 40 + "!") == "Z\u0351\u0351⟦+38 marks⟧!"


def test_a_megabyte_is_cut_with_a_count_and_both_ends() -> None:
    value = "A" + "x" * 1_000_000 + "END"
    html = display.evidence_html([CASE["evidence"][0] | {"value": value}])
    assert "998,004 characters cut" in html
    assert "END" in html
    assert len(html) < 5000
    case, incident = hostile(value)
    for name, made in rendered(case, incident).items():
        assert len(made) < 400_000, name


def test_plain_text_holds_no_control_character() -> None:
    for text in ATTACKS:
        case, incident = hostile(text + "\nline\ttab\rback")
        for shown in (
            display.case_text(case),
            display.incident_text(incident),
            display.evidence_text(case["evidence"]),
        ):
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        # A value can't begin a line of its own that looks like one of ours.
        assert not any(line.startswith("line") for line in display.case_text(case).splitlines())


def test_brackets_in_what_an_alert_says_cite_nothing() -> None:
    html = display.summary_html(CASE)
    assert html.count("aegis-cite") == 3  # [f3], and [f3, T1219]; not the [f4] inside the quotation
    assert "[f4]" in html
    assert display.summary_html(CASE | {"summary": "Sure. [f999]"}).count("aegis-cite") == 0


def test_no_style_script_or_address_in_what_a_strict_page_embeds() -> None:
    for html in rendered(CASE, INCIDENT).values():
        assert not re.search(r"<script|<style|style=|href|src=|url\(|@import|on\w+=", html)
        assert set(re.findall(r"https?://[^\"]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"url\(|@import|https?:|expression", display.css())


@pytest.mark.parametrize("junk", [{}, {"evidence": None, "actions": "x", "probabilities": [], "confidence": float("nan")},
                                  {"evidence": [1, None], "actions": [{"target": 3}], "techniques": 5, "timing_ms": "x"}])  # fmt: skip
def test_what_a_stranger_sends_is_drawn_as_far_as_it_goes(junk: dict[str, Any]) -> None:
    for html in (display.case_html(junk), display.incident_html(junk), display.queue_html([junk]), display.ledger_html([junk])):  # fmt: skip
        check(html)
    display.case_text(junk)
