"""Asks the assistant questions with known answers: `python -m evals.assistant [--half develop|report|both]`.

The embedded model alone, no language model, over the store of `evals.assistant_scene`. Counted: `routing`, the question
was understood as meant; `answers`, the answer has what a right one must have, is about the right case, claims to answer
where it should and only there, and proposes what was asked for and nothing else; `refusals`, the same over those that
must not or can't be answered; `cites real`, every cite exists in store or intelligence and says what stands there. Half
`report` is for reporting: nothing was chosen by it. Writes evals/reports/assistant.{json,md} with --half both.
Exit code 1 if a cite was not real.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents.assistant import Answer, Assistant, Cite
from evals.assistant_questions import DEVELOP, REPORT, SEEN, Conversation, Turn
from evals.assistant_scene import Scene, scene
from evals.counting import Share

REPORTS = Path(__file__).parent / "reports"


class Judged(NamedTuple):
    """One turn, its answer, and what was wrong with it."""

    turn: Turn
    answer: Answer
    wrong: tuple[str, ...]
    unreal: tuple[str, ...]

    @property
    def routed(self) -> bool:
        """Whether it was understood as meant."""
        return self.answer.intent in self.turn.intents.split("|")


def judge(turn: Turn, answer: Answer, ids: dict[str, str], assistant: Assistant) -> Judged:
    """What is wrong with an answer."""
    said = answer.text.lower()
    wrong = [
        f"lacks {needed}" for needed in turn.has
        if not any(part.format_map(ids).lower() in said for part in needed.split("|"))
    ]  # fmt: skip
    wrong += [f"has {banned}" for banned in turn.hasnt if banned.format_map(ids).lower() in said]
    if turn.focus and answer.incident_id != ids[turn.focus]:
        wrong.append(f"is about {answer.incident_id}")
    if answer.answered != turn.answered:
        wrong.append(f"claims {'to answer' if answer.answered else 'that it can not'}")
    proposed = [p.action for p in answer.proposals]
    if turn.proposes and proposed != [turn.proposes]:
        wrong.append(f"proposes {proposed}")
    if not turn.proposes and proposed and "act" not in turn.intents.split("|"):
        wrong.append(f"proposes {proposed}")
    unreal = [c.id for c in answer.cites if not is_real(c, answer, assistant)]
    return Judged(turn, answer, tuple(wrong), tuple(unreal))


def is_real(cite: Cite, answer: Answer, assistant: Assistant) -> bool:
    """Whether a cite exists, asked of store and intelligence and not of the assistant's own words."""
    desk = assistant._desk
    if cite.kind == "case":
        return desk.store.case(cite.id) is not None
    if cite.kind == "action":
        return desk.action(cite.id) is not None
    if cite.kind == "ledger":
        seq = int(cite.id.partition(":")[2])
        return [e.seq for e in desk.store.entries(after=seq - 1, limit=1)] == [seq]
    if cite.kind == "fact":
        case = desk.store.case(cite.ref.partition(", ")[0])
        return case is not None and case.incident is not None and any(f.id == cite.id for f in case.incident.facts)
    assert desk.intel is not None
    known = cite.id.removeprefix("case:")  # a confirmed case is a passage too
    return any(p.id == cite.id for p in desk.intel.lookup(cite.id)) or desk.store.case(known) is not None


def run(half: tuple[Conversation, ...], made: Scene, assistant: Assistant) -> list[Judged]:
    """Every turn of a half, each conversation in a thread of its own."""
    found = []
    for number, conversation in enumerate(half):
        for turn in conversation:
            case = made.ids[turn.case] if turn.case else None
            answer = assistant.ask(turn.question.format_map(made.ids), case, thread=f"{id(half)}-{number}")
            found.append(judge(turn, answer, made.ids, assistant))
    return found


def figures(judged: list[Judged]) -> dict[str, Any]:
    """The shares, each with its 95 % Wilson interval."""
    refusing = [j for j in judged if not j.turn.answered]
    later = [j for j in judged if not j.turn.case and j.turn.focus]
    return {
        "routing": Share.of(j.routed for j in judged).to_json(),
        "answers": Share.of(not j.wrong for j in judged).to_json(),
        "answers where there is one": Share.of(not j.wrong for j in judged if j.turn.answered).to_json(),
        "refusals and can't-answers": Share.of(not j.wrong for j in refusing).to_json(),
        "the right case, where the caller named none": Share.of(
            "is about" not in " ".join(j.wrong) for j in later
        ).to_json(),
        "cites real": Share.of(not j.unreal for j in judged).to_json(),
        "cites": sum(len(j.answer.cites) for j in judged),
    }


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--half", choices=("develop", "report", "both"), default="develop")
    parser.add_argument("--quiet", action="store_true", help="figures alone, not which questions went wrong")
    chosen = parser.parse_args()
    halves = {"develop": (*DEVELOP, *SEEN), "report": REPORT}
    wanted = halves if chosen.half == "both" else {chosen.half: halves[chosen.half]}
    with tempfile.TemporaryDirectory(prefix="aegis-assistant-") as home, scene(Path(home)) as made:
        aegis = made.aegis
        assistant = Assistant(aegis.context, autonomy=aegis.autonomy_in_force, standings=aegis.standings)
        results = {name: run(half, made, assistant) for name, half in wanted.items()}
        versions = aegis.context.versions
    told = {name: figures(judged) for name, judged in results.items()}
    for name, judged in results.items():
        for j in judged:
            if (j.wrong or j.unreal or not j.routed) and not chosen.quiet:
                print(
                    f"{name}: {j.turn.question!r}: {j.answer.intent} for {j.turn.intents}; {'; '.join(j.wrong)} {j.unreal or ''}"
                )
    print(json.dumps(told, indent=1))
    if chosen.half == "both":
        REPORTS.mkdir(exist_ok=True)
        (REPORTS / "assistant.json").write_text(
            json.dumps({"versions": versions, "halves": told}, indent=1) + "\n", "utf-8"
        )
        (REPORTS / "assistant.md").write_text(to_markdown(told, versions["model"]), "utf-8")
    return 1 if any(j.unreal for judged in results.values() for j in judged) else 0


def to_markdown(told: dict[str, dict[str, Any]], model: str) -> str:
    """The figures as a table."""
    lines = [
        "# The assistant, embedded model alone", "",
        f"`python -m evals.assistant --half both`, model {model}. 95 % Wilson intervals. Questions and the past that they",
        "are about were written for this by the author of the routing. `report` was written before it was asked, and asked once;",
        "since then \"yesterdays\" is read as a span of time, and nothing else of how questions are read was changed.", "",
        "| | develop | report |", "|---|---|---|",
    ]  # fmt: skip
    for row in told["develop"]:
        cells = [told[half][row] for half in ("develop", "report")]
        shown = [
            str(c) if isinstance(c, int) else f"{c['share']} ({c['k']}/{c['n']}; {c['low']:.2f} to {c['high']:.2f})"
            for c in cells
        ]
        lines.append(f"| {row} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
