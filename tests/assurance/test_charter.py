"""The charter: every answer is there, every figure follows the settings or the ledger, nothing is invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from aegis_agents import Aegis
from aegis_agents.assurance.charter import Charter, Line, charter
from aegis_agents.assurance.charter_reading import card_figures, quantiles
from aegis_agents.assurance.charter_text import to_text
from aegis_agents.cli.charter import print_charter
from aegis_agents.gate import Gate
from aegis_agents.gate.earned.cells import EarnedAutonomy, EarnedCell
from aegis_agents.gate.probe import break_even, probe
from aegis_agents.gate.tiers import TIERS
from aegis_agents.model.files import shipped_folder
from aegis_agents.records import AEGIS, CATALOGUE, ROLES, VERDICTS, Assessment
from tests.people import YEAR

QUESTIONS = ("decided", "wrong", "fast", "expertise", "compromise", "misuse", "requirements", "trail")
Open = Callable[..., Aegis]


class Shaped:
    """Stands in for the weights: an attack where the alert says so."""

    version = "shaped@1"

    def assess(self, incident: Any, *, masked: Any = frozenset()) -> Assessment:
        verdict = next((v for f in incident.facts for v in VERDICTS if v == f.value), "undetermined")
        return Assessment(
            verdict=verdict, confidence=0.97, probabilities={verdict: 0.97}, severity="high", weights=(), techniques=(),
            model=self.version, facts_read=1, facts_skipped=0,
        )  # fmt: skip

    def embed(self, texts: Any) -> Any:
        import numpy as np

        return np.eye(384, dtype=np.float32)[[len(t) % 384 for t in texts]]

    def embed_incident(self, incident: Any) -> Any:
        return self.embed([incident.title])[0]

    def assess_many(self, incidents: Any) -> Any:
        return [self.assess(i) for i in incidents]


class NoIntel:
    """No snapshot: the charter needs its id alone."""

    snapshot_id = memory_version = "none"

    def is_technique(self, technique: str) -> bool:
        return True

    def refresh(self) -> None:
        """Nothing to refresh."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    made: list[Aegis] = []

    def make(**settings: Any) -> Aegis:
        home = tmp_path / f"home-{len(made)}"
        found = Aegis(model=Shaped(), intel=NoIntel(), home=home, **settings)  # type: ignore[arg-type]
        made.append(found)
        return found

    yield make
    for aegis in made:
        aegis.close()


def lines(found: Charter, question: str) -> tuple[Line, ...]:
    return found.answers[QUESTIONS.index(question)].lines


def text(found: Charter, question: str) -> str:
    return "\n".join(line.text for line in lines(found, question))


def test_every_question_is_answered_with_a_source(opened: Open) -> None:
    found = charter(opened())
    assert len(found.answers) == len(QUESTIONS)
    for answer in found.answers:
        assert answer.lines
        assert all(line.text and line.source for line in answer.lines)
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    shown = to_text(found)
    assert all(f"{number}. {answer.question}" in shown for number, answer in enumerate(found.answers, 1))


def test_what_was_not_measured_says_so(opened: Open) -> None:
    found = charter(opened())
    unmeasured = [
        line for question in ("wrong", "fast") for line in lines(found, question) if line.figures.get("n") == 0
    ]
    assert len(unmeasured) == 7
    assert all("not measured" in line.text for line in unmeasured)


def write(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.write_text(content, "utf-8")
    return path


OWN_RULE = '@id("no-hosts") forbid (principal, action == Aegis::Action::"isolate_host", resource);'


@pytest.mark.parametrize(
    ("setting", "value", "question", "says"),
    [
        ("autonomy", "recommend", "decided", "isolate_host: standard: only recommends"),
        ("mode", "shadow", "decided", "mode shadow"),
        ("policy", ("own.cedar", OWN_RULE), "decided", "isolate_host: standard: never (no-hosts)"),
        ("policy", ("own.cedar", OWN_RULE), "misuse", "your own: no-hosts"),
        ("matrix", ("m.toml", '[open_ticket]\nstandard = "ask"'), "decided", "open_ticket: standard: asks a person"),
        ("kill_switch", ("STOP", ""), "decided", "ENGAGED"),
        ("kill_switch", ("STOP", ""), "misuse", "now ON"),
        ("assets", ("a.toml", '[groups.lab]\nhosts = ["l-*"]'), "misuse", "asset lists: lab"),
        ("max_actions_per_hour", 7, "compromise", "actions 7"),
        ("budgets", {"most_per_hour": 9, "per_group": {"lab": 4}}, "compromise", "group.lab 4"),
        ("budgets", {"most_per_hour": 9}, "compromise", "at most 9 contain and destroy actions"),
        ("costs", ("c.toml", 'unit = "EUR"\n[missed.high]\nstandard = 777'), "wrong", "a missed high attack: standard 777"),
        ("earn", "act_undo", "decided", "the most that reviews may unlock: act_undo (act_undo with at most 0.02 wrong)"),
        ("earn", "act", "decided", "act_undo with at most 0.02 wrong; act with at most 0.01 wrong"),
        ("earn", "act", "compromise", "at most 20 a cell and day count towards more"),
        ("ledger_every", 7, "trail", "signed every 7 entries"),
        ("require_token", True, "misuse", "is authenticated by a token alone"),
        ("webhook_url", "https://tickets.example/hook", "compromise", "connector webhook"),
        ("llm", "local", "expertise", "language model: local"),
    ],
)  # fmt: skip
def test_a_setting_changes_its_line(
    setting: str, value: Any, question: str, says: str, opened: Open, tmp_path: Path
) -> None:
    given = write(tmp_path, *value) if isinstance(value, tuple) else value
    assert says not in text(charter(opened()), question)
    assert says in text(charter(opened(**{setting: given})), question)


def test_the_cost_model_names_its_own_file_and_assumption(opened: Open, tmp_path: Path) -> None:
    own = write(tmp_path, "c.toml", 'unit = "EUR"\n[waiting]\napproval = 3')
    found, shipped = charter(opened(costs=own)), charter(opened())
    assert "in EUR, cost model" in text(found, "wrong")
    assert str(own) in text(found, "wrong")
    assert "assumptions, nothing in it was measured" in text(shipped, "wrong")
    assert any("assumes 3 h" in line.source for line in lines(found, "fast"))


def test_it_follows_the_ledger(opened: Open) -> None:
    aegis = opened()
    token = aegis.store.add_token("ada", ROLES, AEGIS, valid_for=YEAR)
    for outcome in ("executed", "executed", "executed", "failed", "undone"):
        aegis.store.append("action.settled", None, {"outcome": outcome})
    aegis.store.append("review.given", None, {"offered": True, "answer": "right"})
    aegis.store.append("review.given", None, {"offered": True, "answer": "wrong"})
    aegis.store.append("review.given", None, {"offered": False, "answer": "wrong"})
    aegis.store.append("verdict.confirmed", None, {"verdict": "true_positive", "judged": "false_positive"})
    aegis.store.append("verdict.confirmed", None, {"verdict": "false_positive", "judged": "benign_positive"})
    found = text(charter(aegis), "wrong")
    assert "could not be confirmed: 1 of 4 (0.250" in found
    assert "took back: 1 of 3 (0.333, 95 % Clopper-Pearson 0.008 to 0.906)" in found
    assert "not right: 1 of 2" in found
    assert "attacks that were not called one: 1 of 1" in found
    assert "not called so: 0 of 1 (0.000, 95 % Clopper-Pearson 0.000 to 0.975)" in found
    exposed = text(charter(aegis), "compromise")
    assert "a stolen token of an approver could approve what waits (0 now)" in exposed
    assert "in force: 1" in exposed
    assert token not in to_text(charter(aegis))
    trail = text(charter(aegis), "trail")
    assert f"whole: {len(aegis.store.entries())} entries" in trail


def test_one_decision_and_one_incident_count_once(opened: Open) -> None:
    aegis = opened()
    for answer in ("right", "wrong", "right"):
        aegis.store.append("review.given", None, {"offered": True, "answer": answer, "action_id": "act-1"})
    for verdict in ("false_positive", "true_positive"):
        aegis.store.append("verdict.confirmed", "inc-1", {"verdict": verdict, "judged": "true_positive"})
    found = text(charter(aegis), "wrong")
    assert "not right: 1 of 1" in found
    assert "attacks that were not called one: 0 of 1" in found
    assert "not called so: not measured" in found


def test_as_shipped_reviews_unlock_nothing(opened: Open) -> None:
    found = charter(opened())
    assert "the most that reviews may unlock: off (nothing)" in text(found, "decided")
    assert "none unlocks anything" in text(found, "compromise")


def test_several_tenants_are_told(opened: Open) -> None:
    aegis = opened()
    aegis.store.append("intake.admitted", None, {"tenant": "one"})
    assert "several tenants" not in text(charter(aegis), "trail")
    aegis.store.append("intake.admitted", None, {"tenant": "two"})
    assert "of all of them: one, two" in text(charter(aegis), "trail")


def test_it_times_what_was_decided_and_answered(opened: Open) -> None:
    aegis = opened()
    case = aegis.store.case  # no case yet: nothing is measured
    assert case("none") is None
    assert quantiles([3.0, 1.0, 2.0]) == (2.0, 3.0)
    assert quantiles([5.0]) == (5.0, 5.0)
    assert quantiles([float(n) for n in range(1, 101)]) == (50.0, 95.0)


def test_a_tampered_ledger_is_said_and_does_not_hide_the_rest(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    from aegis_agents.errors import LedgerTampered

    aegis = opened()

    def broken(*_: Any, **__: Any) -> Any:
        raise LedgerTampered("entry 4 does not fit")

    monkeypatch.setattr(type(aegis.store), "verify", broken)
    found = charter(aegis)
    assert "NOT WHOLE: entry 4 does not fit" in text(found, "trail")


def test_the_card_is_read_and_its_worst_is_shown(opened: Open) -> None:
    figures = card_figures(shipped_folder() / "card.md")
    assert len(figures) > 20
    assert all(0 <= f.k <= f.n and f.low <= f.high for f in figures)
    shown = [line for line in lines(charter(opened()), "expertise") if line.source.startswith("model card")]
    assert shown
    rated = {f"{f.section}, {f.what}" for f in figures}
    assert all(line.text.split(": 0.")[0].split(": 1.")[0] in rated for line in shown)
    assert card_figures(Path("/nonexistent/card.md")) == []


# the probe


def test_a_probe_is_what_the_gate_would_say_at_best() -> None:
    everything = {name: dict.fromkeys(TIERS, "act") for name in ("record", "contain", "destroy", "close_alert")}
    wide = Gate(autonomy="act", matrix=everything, risk={"contain": 0.9, "destroy": 0.9, "close_alert": 0.9})
    for action, spec in CATALOGUE.items():
        standard, protected = (probe(wide.settings, action, tier) for tier in ("standard", "protected"))
        assert standard.verb == ("ask" if spec.effect == "destroy" else "execute")
        if spec.effect in ("contain", "destroy"):
            assert (protected.verb, protected.persons) == ("ask", 2 if spec.effect == "destroy" else 1)
    assert probe(wide.settings, "isolate_host", "standard").threshold == 0.9
    assert probe(Gate().settings, "isolate_host", "standard").rule == "autonomy.ask"


def test_a_probe_knows_what_was_earned() -> None:
    cell = EarnedCell(cell="block_ip/standard", level="act", threshold=0.93, evidence=12)
    earned = EarnedAutonomy(cells={"block_ip/standard": cell})
    gate = Gate(autonomy="act")
    found = probe(gate.settings, "block_ip", "standard", earned=earned)
    assert (found.verb, found.threshold) == ("execute", 0.93)
    assert probe(gate.settings, "block_ip", "important", earned=earned).verb == "ask"


def test_the_break_even_is_where_acting_begins_to_pay() -> None:
    settings = Gate().settings
    from aegis_agents.gate import cost

    for action in ("isolate_host", "block_ip", "revoke_sessions"):
        found = break_even(settings, action, "standard", "high")  # type: ignore[arg-type]
        assert found is not None
        for share, pays in ((found + 0.01, True), (found - 0.01, False)):
            odds = cost.Odds(share, 1 - share, 0.0)
            spec = CATALOGUE[action]  # type: ignore[index]
            priced = cost.price(settings.costs, odds, spec, "contain", "high", "standard")
            assert (priced.cheapest == "execute") is pays
    assert (
        break_even(
            Gate(costs={"outage": {"isolate_host": {"standard": 1e6}}}).settings, "isolate_host", "standard", "high"
        )
        is None
    )
    assert break_even(settings, "open_ticket", "standard", "high") is None
    closing = break_even(settings, "close_alert", "standard", "high")
    assert closing is not None
    assert closing > 0.99


# the command

app = Typer()
app.command("charter")(print_charter)


def test_the_command_prints_text_and_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("aegis_agents.assembly.open_model", lambda settings: Shaped())
    monkeypatch.setattr("aegis_agents.assembly.open_intel", lambda settings, model: NoIntel())
    plain = CliRunner().invoke(app, [])
    assert plain.exit_code == 0, plain.output
    assert "What could a compromise do?" in plain.output
    as_json = CliRunner().invoke(app, ["--json"])
    assert len(json.loads(as_json.output)["answers"]) == len(QUESTIONS)
    wrong = CliRunner().invoke(app, ["--settings", str(write(tmp_path, "bad.toml", "nonsense = 1"))])
    assert wrong.exit_code == 2
