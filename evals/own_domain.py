"""Does adapting to an organisation's own cases help? `python -m evals.own_domain`. Writes evals/reports/own_domain.{json,md}.

One industry: the closed alerts of a brewery group's OT (evals/own_domain/plant.jsonl, written
for this by somebody who wrote nothing else here; never trained on). Two in three of its
situations are confirmed cases to adapt to, the others are judged before and after. The
promotion gate then says whether the adapted model may take the shipped one's place.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from aegis_agents.evaluation.figures import share_of
from aegis_agents.ledger import SqliteStore
from aegis_agents.model import FastModel
from aegis_agents.model.files import read_weights
from aegis_agents.records import Assessment
from aegis_agents.training.alerts.situations import Situation, tell_variant
from aegis_agents.training.corpus import Example
from aegis_agents.training.own_cases import STEPS, tune_on
from aegis_agents.training.prepare.dataset import LabelledAlert
from aegis_agents.training.promote import HARMLESS, compare, is_right, rule
from aegis_agents.training.regression import regression_suite

REPORTS, PLANT = Path(__file__).parent / "reports", Path(__file__).parent / "own_domain" / "plant.jsonl"


def plant() -> tuple[list[Example], list[Example]]:
    """Alerts to adapt to, and alerts to judge; situations go whole, by a hash of their names."""
    adapt: list[Example] = []
    judge: list[Example] = []
    for line in PLANT.read_text("utf-8").splitlines():
        situation = Situation.model_validate_json(line)
        kept = hashlib.sha256(situation.scenario.encode()).digest()[0] % 3 == 0
        told = [tell_variant(situation, v, f"plant:{situation.scenario}") for v in situation.variants]
        (judge if kept else adapt).extend(told)
    return adapt, judge


def as_case(example: Example) -> LabelledAlert:
    """What a confirmed case knows: the verdict, but not which facts decided."""
    return LabelledAlert(
        family=example.family, source="own-cases", licence="the organisation's own", origin="confirmed cases", outside=True,
        split="train", format=example.format, alert=example.alert, verdict=example.verdict, severity=example.severity,
        techniques=example.techniques,
    )  # fmt: skip


def figures(examples: list[Example], said: list[Assessment]) -> dict[str, Any]:
    """Detection, rejection, coverage, all right."""
    pairs = list(zip(examples, said, strict=True))
    return {
        "detection": share_of([s.verdict == "true_positive" for e, s in pairs if e.verdict == "true_positive"]),
        "rejection": share_of([s.verdict in HARMLESS for e, s in pairs if e.verdict in HARMLESS]),
        "coverage": share_of([s.verdict != "undetermined" for _, s in pairs]),
        "right": share_of([is_right(s, e) for e, s in pairs]),
    }


def main() -> None:
    """Adapt, judge, ask the gate, write."""
    console = Console(stderr=True)
    adapt, judge = plant()
    with tempfile.TemporaryDirectory(prefix="aegis-plant-") as folder:
        old = FastModel(threads=2)
        made = tune_on(
            [as_case(e) for e in adapt], read_weights(), old, Path(folder) / "run", Path(folder) / "weights", name="plant",
            steps=STEPS, console=console,
        )  # fmt: skip
        new = FastModel(Path(folder) / "weights", manifest_sha256=made["manifest_sha256"], threads=2)
        before, after = (m.assess_many([e.incident for e in judge]) for m in (old, new))
        test = compare(
            [is_right(s, e) for s, e in zip(after, judge, strict=True)],
            [is_right(s, e) for s, e in zip(before, judge, strict=True)],
        )
        # The organisation's kept-back cases join the regression suite, as they do in `aegis model promote`.
        ruling = rule(new, old, regression_suite(SqliteStore(Path(folder) / "empty.sqlite")) + judge)
    found = {
        "cases adapted to": len(adapt), "situations adapted to": len({e.family for e in adapt}), "cases judged": len(judge),
        "situations judged": len({e.family for e in judge}), "before": figures(judge, before), "after": figures(judge, after),
        "mcnemar": test._asdict(), "promoted": ruling.promoted, "reasons": list(ruling.reasons), "gate": ruling.figures,
    }  # fmt: skip
    (REPORTS / "own_domain.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    lines = ["# Adapting to one's own domain: OT", "", (__doc__ or "").split("\n\n")[1].replace("\n", " "), ""]
    lines += [
        f"- {k}: {found[k]}" for k in ("cases adapted to", "situations adapted to", "cases judged", "situations judged")
    ]
    lines += ["", "| | before | after |", "|---|---|---|"]
    for name in ("detection", "rejection", "coverage", "right"):
        cells = [f"{w[name]['share']:.2f} ({w[name]['k']}/{w[name]['n']}, {w[name]['low']:.2f} to {w[name]['high']:.2f})" for w in (found["before"], found["after"])]  # fmt: skip
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    lines += [
        "",
        f"Exact McNemar: only after right {test.only_new}, only before right {test.only_old}, p {test.p:.3g}.",
        "",
    ]
    lines += [f"The promotion gate: {'promoted' if ruling.promoted else 'refused: ' + '; '.join(ruling.reasons)}.", ""]
    (REPORTS / "own_domain.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
