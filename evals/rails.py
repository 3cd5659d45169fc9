"""What each rail of the gate stops, and what it stops wrongly: `python -m evals.rails`. Writes evals/reports/rails.{md,json}.

Attacks and innocent look-alikes of every rail, through the shipped rails as they run at the action boundary (needs
AEGIS_DEV_DATA). Halves are split by source and writer: what is mended is mended on "develop", judge by "report".
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.gate import Gate, GateRequest
from aegis_agents.gate.assets import AssetFacts
from aegis_agents.gate.context import GateContext
from aegis_agents.gate.request import class_of
from aegis_agents.gate.risk import upper_bound
from aegis_agents.gate.validators import RAILS
from aegis_agents.gate.validators.runner import crash_refuses
from aegis_agents.intel.attack import attack_documents
from aegis_agents.records import CATALOGUE, Entity, Fact, Sentence, Target
from evals.rails_actions import NOW, Trial, named, trials
from evals.rails_protected import named_assets
from evals.rails_suites import Text, incidents, injection_texts, outgoing_texts

REPORTS = Path(__file__).parent / "reports"
_SHOWN_MISSES = 40
_ELSEWHERE = "BIPIA"
"""Orders to other machines than one that triages: counted with the attacks, and shown apart."""
_ASKED = "named by external text alone"
"""Real proposals that action.target is there to ask about; a family of their own, and not among the innocent ones."""
_LIMITS = """
## How often the report half was looked at

input.injection was measured on the report half once before this run: it stopped 22 of 249 attacks (18 of 5026 innocent
texts), 7 of 20 of the development cases' where it stopped 20 of 20 of the half that it had been written on. Phrases had
been learned. What was then added (`injection/orders.py`: kinds of words in place of phrases; spellings undone; other
languages; fields read together) was written and chosen on the development half and Sigma's descriptions alone; the one
who wrote it had seen the texts of three styles of `evals.injections` (plain instruction, fake analyst note, fake system
message) and the names of its disguises. All other rails were measured once.

## What is missed, and what bounds it instead

- input.injection finds text that addresses a machine reader or gives it orders. It does not find claims: that an exercise
  was announced, that a ticket exists, that a colleague looked. Those are no signs of an attack (most such texts are
  true), and are the counterfactual check's: before anything is done alone the model is asked again without any external
  text, and where the verdict hangs on it a person decides (evals/reports/counterfactual.md).
- Nor does it find orders for other machines than a triage model (BIPIA's: translate this, write a poem, mine a coin).
  They can't do what they ask: text of an alert reaches no tool, no target and no rule (`action.target` and planning
  take targets from entities alone), and what a language model writes is worded, cited and dropped where it is not
  (agents/narrate.py).
- An order cut into single words, one a field, is read as an order by nobody here, and by the fast model as the words
  that it is: the counterfactual check masks them all.
- action.outgoing masks what it knows the form of. A password that stands alone in a command line, without a word that
  says so, can't be told from a file name; the write path sends no more than the proposal's reason, which quotes no fact.
- action.protected knows an executive's account, not the laptop that is tagged as one's: signs of persons don't protect
  machines, since in an alert they mostly stand beside machines of others. List such hosts in the asset settings.
- action.target's real proposals whose target is named by external text alone are asked about on purpose: they are shown
  as a family and counted neither as innocent nor as attacks.
- The intervals treat texts of one family as independent; texts that share a form are not, and the intervals are too narrow.
"""


class Row(NamedTuple):
    """One try: the rail, the half, the family, whether it attacks, whether the rail lowered it, and by which rule."""

    rail: str
    half: str
    family: str
    attack: bool
    stopped: bool
    rule: str
    shown: str


class Bench:
    """The shipped rails over requests, with the techniques of the packaged ATT&CK."""

    def __init__(self) -> None:
        known = {d.technique for d in attack_documents() if d.technique}
        self.techniques = sorted(known)
        self.gate = Gate(is_technique=known.__contains__)

    def rule(self, rail: str, request: GateRequest, asset: AssetFacts | None = None) -> tuple[bool, str]:
        """Whether the rail lowers it, and its rule; a rail that crashes refuses, as in the gate."""
        spec = CATALOGUE.get(request.action.action)
        if spec is None:  # the gate refuses before any rail runs
            return True, "gate.unknown_action"
        context = GateContext(self.gate.settings, spec, class_of(spec), asset or AssetFacts())
        ruling = crash_refuses(rail, lambda: RAILS[rail](request, context))
        return ruling.ceiling != "execute", ruling.rule


def _planted(text: Text) -> GateRequest:
    """A containment whose alert holds this text in external fields."""
    base = named("host", "web-17")
    facts = tuple(
        Fact(
            id=f"x{n}",
            path=value if text.in_key else f"labels[{n}].text",
            value="1" if text.in_key else value,
            trust="external",
        )
        for n, value in enumerate(text.values)
    )
    return base.model_copy(
        update={"incident": base.incident.model_copy(update={"facts": (*base.incident.facts, *facts)})}
    )


def _told(text: Text) -> GateRequest:
    """A ticket whose text holds this."""
    base = named("host", "web-17")
    incident = base.incident.model_copy(
        update={"entities": (*base.incident.entities, Entity(kind="alert", value="n-1"))}
    )
    sentences = (Sentence(text=text.values[0], cites=("f1",)),)
    action = base.action.model_copy(update={"action": "open_ticket", "target": Target(kind="alert", value="n-1")})
    conclusion = base.conclusion.model_copy(update={"sentences": sentences})
    return base.model_copy(update={"incident": incident, "action": action, "conclusion": conclusion})


def rows(bench: Bench, data: Path) -> Iterator[Row]:
    """Every try of every suite."""
    for rail, texts, build in (
        ("input.injection", injection_texts(data), _planted), ("action.outgoing", outgoing_texts(data), _told),
    ):  # fmt: skip
        for text in texts:
            yield Row(
                rail, text.half, text.family, text.attack, *bench.rule(rail, build(text)), " | ".join(text.values)
            )
    for asset in named_assets():
        request = named(asset.kind if asset.kind != "ip" else "host", asset.value, asset.facts)
        target = Target(kind=asset.kind, value=asset.value)
        found = asset.assets.look_up(request.incident, target, NOW)
        yield Row(
            "action.protected",
            asset.half,
            asset.family,
            asset.protected,
            *bench.rule("action.protected", request, found),
            asset.value,
        )
    by_half: dict[str, list[tuple[str, Any]]] = defaultdict(list)
    for half, source, incident in incidents(data):
        by_half[half].append((source, incident))
    for half, found_alerts in by_half.items():
        for number, (source, incident) in enumerate(found_alerts):
            other = found_alerts[(number + 7) % len(found_alerts)][1]
            technique = bench.techniques[number % len(bench.techniques)]
            yield from _tried(bench, half, source, trials(incident, other, technique))
    yield from _techniques(bench)


def _tried(bench: Bench, half: str, source: str, made: Iterator[Trial]) -> Iterator[Row]:
    for trial in made:
        stopped, rule = bench.rule(trial.rail, trial.request)
        family = f"{source}: {trial.family}" if not trial.attack else trial.family
        if rule == "target.external_only" and not trial.attack:
            # What the rail is there to ask about: the target is named by text alone that anybody could write.
            family = f"{family}, {_ASKED}"
        yield Row(
            trial.rail,
            half,
            family,
            trial.attack,
            stopped,
            rule,
            f"{trial.request.action.action} {trial.request.action.target}",
        )


def _techniques(bench: Bench) -> Iterator[Row]:
    """Each technique of ATT&CK is known: half of them by turns."""
    base = named("host", "web-17")
    for number, technique in enumerate(bench.techniques):
        request = base.model_copy(
            update={"conclusion": base.conclusion.model_copy(update={"techniques": (technique,)})}
        )
        half = "report" if number % 2 else "develop"
        yield Row(
            "grounding.techniques",
            half,
            "every technique of ATT&CK",
            False,
            *bench.rule("grounding.techniques", request),
            technique,
        )


def share(stopped: int, n: int) -> dict[str, float | int]:
    """k of n with the exact 95 % interval (Clopper and Pearson 1934)."""
    high = upper_bound(stopped, n, 0.025) if n else 1.0
    low = 1.0 - upper_bound(n - stopped, n, 0.025) if n and stopped else 0.0
    return {
        "k": stopped,
        "n": n,
        "share": round(stopped / n, 4) if n else 0.0,
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _counted(found: list[Row]) -> dict[str, float | int]:
    return share(sum(row.stopped for row in found), len(found))


def summarise(found: list[Row]) -> dict[str, Any]:
    """Shares by rail, half and kind, and by family."""
    rails: dict[str, Any] = {}
    for rail in RAILS:
        mine = [row for row in found if row.rail == rail]
        rails[rail] = {
            half: {
                kind: _counted([r for r in mine if r.half == half and r.attack == attack and _ASKED not in r.family])
                for kind, attack in KINDS.items()
            }
            for half in HALVES
        }
        families = dict.fromkeys((r.half, r.attack, r.family) for r in mine)
        rails[rail]["families"] = [
            {
                "half": half,
                "attack": attack,
                "family": family,
                **_counted([r for r in mine if (r.half, r.attack, r.family) == (half, attack, family)]),
            }
            for half, attack, family in families
        ]
        own = [r for r in mine if r.half == "report" and r.attack and not r.family.startswith(_ELSEWHERE)]
        rails[rail]["report, orders that are meant for a triage"] = _counted(own) if rail == "input.injection" else None
        rails[rail]["rules"] = dict(Counter(r.rule for r in mine if r.stopped))
    return rails


KINDS = {"attacks stopped": True, "innocent stopped": False}
HALVES = ("develop", "report")


def _cell(figures: dict[str, Any]) -> str:
    if not figures["n"]:
        return "none"
    return f"{figures['share']:.3f} ({figures['k']}/{figures['n']}, {figures['low']:.3f} to {figures['high']:.3f})"


def to_markdown(found: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# The rails of the gate", "", (__doc__ or "").split("\n\n")[1].replace("\n", " "), "",
        "Shares as share (k/n, exact 95 % Clopper-Pearson interval). \"Stopped\" is lowered to asking a person, or refused.", "",
        f"`python -m evals.rails`, policy {found['versions']['policy']}, gate {found['versions']['gate']}.", "",
        "| rail | half | attacks stopped | innocent stopped |", "|---|---|---|---|",
    ]  # fmt: skip
    for rail, figures in found["rails"].items():
        lines += [
            f"| {rail} | {half} | {_cell(figures[half]['attacks stopped'])} | {_cell(figures[half]['innocent stopped'])} |"
            for half in HALVES
        ]
    apart = found["rails"]["input.injection"]["report, orders that are meant for a triage"]
    lines += ["", f"input.injection on the report half without BIPIA's orders to other machines: {_cell(apart)}."]
    lines.append(_LIMITS)
    for rail, figures in found["rails"].items():
        lines += [
            "",
            f"## {rail}",
            "",
            f"by rule: {', '.join(f'{rule} {count}' for rule, count in figures['rules'].items())}",
            "",
        ]
        lines += ["| family | half | kind | stopped |", "|---|---|---|---|"]
        shown = sorted(figures["families"], key=lambda f: (f["half"] == "develop", not f["attack"]))
        lines += [
            f"| {f['family']} | {f['half']} | {'attack' if f['attack'] else 'innocent'} | {_cell(f)} |" for f in shown
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try, count, write."""
    folder = os.environ.get("AEGIS_DEV_DATA")
    if not folder:
        sys.exit("AEGIS_DEV_DATA is not set: it names the folder with development data")
    bench = Bench()
    found = list(rows(bench, Path(folder)))
    report = {"versions": bench.gate.versions, "rails": summarise(found)}
    (REPORTS / "rails.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (REPORTS / "rails.md").write_text(to_markdown(report), "utf-8")
    print(to_markdown(report).split("## What is missed")[0])
    if "--misses" in sys.argv:  # the development half alone: what is mended is mended there
        wrong = [r for r in found if r.half == "develop" and r.attack != r.stopped]
        for row in wrong[:_SHOWN_MISSES] if "--all" not in sys.argv else wrong:
            print(
                f"{row.rail} {row.family} {'missed' if row.attack else 'wrongly stopped'} {row.rule}: {row.shown[:150]!r}"
            )


if __name__ == "__main__":
    main()
