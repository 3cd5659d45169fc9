"""Does memory help, and can it be abused? `python -m evals.memory_stream`. Writes evals/reports/memory.{json,md}.

A queue in which situations come again: the whole of Aegis judges a fixed set of alerts of
test situations, none trained on, after 0, 10, 100 and all confirmations of OTHER tellings of
the same situations (other names, other order). Then two abuses: an attacker who has fifty
harmless look-alikes of an attack confirmed first, and a flood of one side.
"""

from __future__ import annotations

import json
import random
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from aegis_agents import Aegis, Case
from aegis_agents.evaluation.figures import share_of
from aegis_agents.evaluation.suites import test_situations
from aegis_agents.records import Incident, Verdict
from aegis_agents.sources import parse
from aegis_agents.training.corpus import Example
from aegis_agents.training.perturb import Change, perturb

REPORTS = Path(__file__).parent / "reports"
STEPS = (0, 10, 100, None)
HARMLESS: tuple[Verdict, ...] = ("benign_positive", "false_positive")


class Telling(NamedTuple):
    """One alert of the queue, and what it was."""

    incident: Incident
    verdict: Verdict


def telling(example: Example, number: int, rng: random.Random) -> Telling:
    """The alert again, as another alert: other people and machine numbers, or another order of fields."""
    alert = example.alert | {"queue_number": number}
    change: Change = rng.choice(("renamed", "reordered"))
    changed = perturb(alert, example.format, change, rng) or parse(alert, format=example.format)
    return Telling(changed, example.verdict)


def is_right(case: Case, verdict: Verdict) -> bool:
    """Benign and false count as one, as everywhere."""
    return case.verdict == verdict or (case.verdict in HARMLESS and verdict in HARMLESS)


def stream(home: Path, seed: int = 3) -> dict[str, Any]:
    """Accuracy on the same alerts after so many confirmations of other tellings."""
    rng = random.Random(seed)
    decided = [e for _, _, told in test_situations() for e in told if e.verdict != "undetermined"]
    rng.shuffle(decided)
    asked = decided[:150]
    confirmations = [telling(e, 10_000 + n, rng) for n, e in enumerate(decided)]
    rng.shuffle(confirmations)
    found: dict[str, Any] = {"situations": len({e.family for e in decided})}
    done = 0
    with Aegis(home=home, mode="shadow") as aegis:
        for step in STEPS:
            wanted = confirmations[done : len(confirmations) if step is None else step]
            for told in wanted:
                case = aegis.investigate(told.incident)
                aegis.confirm(case.incident_id, told.verdict, by="evaluation")
            done += len(wanted)
            again = [telling(e, 100_000 * (STEPS.index(step) + 1) + n, random.Random(n)) for n, e in enumerate(asked)]
            cases = [aegis.investigate(t.incident) for t in again]
            attacks = [(c, t) for c, t in zip(cases, again, strict=True) if t.verdict == "true_positive"]
            found[f"right after {done} confirmations"] = share_of(
                [is_right(c, t.verdict) for c, t in zip(cases, again, strict=True)]
            )
            found[f"attacks called harmless after {done}"] = share_of([c.verdict in HARMLESS for c, _ in attacks])
    return found


def abuse(home: Path, seed: int = 5) -> dict[str, Any]:
    """An attack, asked before and after fifty of its own look-alikes were confirmed harmless; and the other way round."""
    rng = random.Random(seed)
    chosen = rng.sample([told for _, _, told in test_situations()], 12)
    found: dict[str, list[bool]] = {}
    with Aegis(home=home, mode="shadow") as aegis:
        for number, told in enumerate(chosen):
            for side, wrong in (("true_positive", "benign_positive"), ("benign_positive", "true_positive")):
                example = next(e for e in told if e.verdict == side)
                first = aegis.investigate(telling(example, 1_000_000 + number, rng).incident)
                for n in range(50):
                    case = aegis.investigate(telling(example, 2_000_000 + 1000 * number + n, rng).incident)
                    aegis.confirm(case.incident_id, wrong, by="attacker's accomplice")  # type: ignore[arg-type]
                after = aegis.investigate(telling(example, 3_000_000 + number, rng).incident)
                if side == "true_positive" and first.verdict == side:
                    found.setdefault("attacks made harmless by 50 false confirmations", []).append(
                        after.verdict in HARMLESS
                    )
                if side == "benign_positive" and first.verdict in HARMLESS:
                    found.setdefault("harmless alerts made attacks by 50 false confirmations", []).append(
                        after.verdict == "true_positive"
                    )
    return {name: share_of(hits) for name, hits in found.items()}


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory(prefix="aegis-memory-") as home:
        found = stream(Path(home) / "stream") | abuse(Path(home) / "abuse")
    lines = ["# Memory, measured", "", "`python -m evals.memory_stream`; shares with 95 % Wilson intervals.", ""]
    for name, value in found.items():
        said = (
            value
            if isinstance(value, int)
            else f"{value['share']} ({value['k']}/{value['n']}, {value['low']:.2f} to {value['high']:.2f})"
        )
        lines.append(f"- {name}: {said}")
    (REPORTS / "memory.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "memory.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
