"""Can the store be poisoned through its feeds? `python -m evals.intel_poisoning`. Writes evals/reports/intel_poisoning.{md,json}.

Poisoned documents in families (written for this), honest documents of outside feeds (AEGIS_DEV_DATA), the screen
between them and the shipped intelligence, the shipped model as the encoder. Thresholds were chosen on the tune
families and sources alone; the others are reported.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_agents.gate import find_signs
from aegis_agents.intel import Document, Intel
from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.attack import attack_documents
from aegis_agents.intel.kev import SHIPPED_KEV, kev_documents
from aegis_agents.intel.trust import Screened, ScreenPolicy, screen
from aegis_agents.intel.trust.known import IntelKnown
from aegis_agents.model import FastModel
from evals.counting import Share
from evals.intel_poisoning_honest import honest
from evals.intel_poisoning_indicators import indicator_figures, quorum_figures
from evals.intel_poisoning_texts import Family, families

REPORTS = Path(__file__).parent / "reports"
POLICY = ScreenPolicy()
SWEPT: dict[str, tuple[float, ...]] = {
    "far": (0.12, 0.14, 0.16, 0.18, 0.2, 0.22, 0.24, 0.3), "few_function_words": (0.05, 0.08, 0.11), "topics": (3, 4, 6, 8), "copied": (0.4, 0.6, 0.8),
    "alike": (0.8, 0.9), "same_topic": (0.2, 0.4, 0.6),
}  # fmt: skip
_LIMITS = """
The report half was looked at once before this run, and two faults that it showed were mended without touching a
threshold: ids in links counted as techniques (134 of 697 passages of the ATT&CK mirror were held back), and names of
techniques counted only among the nearest passages (0 of 30 passages with names in sentences were stopped). For these
two rows the figures are not of unseen data. That trust weighs in the ranking (`search.DISTRUST`) was decided after the
report half had shown 80 of 200 first results poisoned; how much it weighs was set by thought, once, and not tried out.

What the screen does not stop, and what bounds it instead:

- objects swapped in a copy, dismissals in words that the patterns lack, an honest sentence under a wrong technique:
  nothing in ids, negations or numbers tells them from honest text. They are found like any passage, with their low
  trust, source and owner on them, and can't enter the corpora of techniques, KEV and actions.
- a KEV entry copied under an unknown CVE is told only when the entry that it was copied from is among the nearest.
- an encyclopaedia's long entries name many techniques: a mirror of ATT&CK that is configured with low trust loses
  many of them (the honest table); the publisher's own, with high trust, is not compared.
- subjects of everyday life that stand near to some passage.
- languages other than English: opposites and dismissals are English.
- two feeds that copy from each other under two owners count as two voices; the configuration says who is one owner.
"""
_QUERIES = 200
_SWEPT_EVERY = 4
"""Of the honest documents of the tune half, every so manyth is swept over: it is done more than twenty times."""


class Remembering:
    """The encoder, asked once for each text."""

    def __init__(self, model: FastModel) -> None:
        self.version, self._model, self._known = model.version, model, dict[str, NDArray[np.float32]]()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), 384)."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        for at in range(0, len(new), 128):
            self._known.update(zip(new[at : at + 128], self._model.embed(new[at : at + 128]), strict=True))
        return np.stack([self._known[t] for t in texts])


class Remembered(IntelKnown):
    """What is near, looked up once for each vector."""

    def __init__(self, intel: Intel) -> None:
        super().__init__(intel, lambda keys, corpora: [], lambda feed: 0)
        self._near: dict[bytes, Any] = {}

    def nearest(self, vector: NDArray[np.float32], k: int) -> Any:
        """As IntelKnown."""
        key = vector.tobytes() + bytes([k])
        if key not in self._near:
            self._near[key] = super().nearest(vector, k)
        return self._near[key]


def wanted(text: str) -> str | None:
    """What the gate's detector says of a text."""
    signs = find_signs(text)
    return signs[0].intent if signs else None


class Bench:
    """What every measurement shares."""

    def __init__(self, intel: Intel, model: FastModel, data: Path) -> None:
        self.intel, self.encoder, self.known = intel, Remembering(model), Remembered(intel)
        shipped = [*attack_documents(), *action_documents(), *kev_documents(SHIPPED_KEV).documents]
        trusted: dict[str, list[Document]] = {}
        for document in shipped:
            trusted.setdefault(document.corpus, []).append(document)
        sentences = [r["text"] for r in json.loads((data / "tram" / "single_label.json").read_text("utf-8"))]
        self.asked, told = sentences[1::16][:_QUERIES], sentences[2::16]
        self.families: list[Family] = families(trusted, told)
        self.honest = honest(data)

    def screen(self, documents: Sequence[Document], policy: ScreenPolicy = POLICY) -> Screened:
        """The screen as it is shipped, or with another policy."""
        return screen(documents, known=self.known, speaks_to_machines=wanted, embed=self.encoder, policy=policy)

    def damage(self, documents: Sequence[Document]) -> Share:
        """Queries (TRAM sentences) whose first result is one of these documents."""
        ids = {d.id for d in documents}
        self.intel.replace_corpus("report", documents, version="poisoned")
        vectors = self.encoder.embed(self.asked)
        found = (self.intel.search(q, v, k=1)[0].id for q, v in zip(self.asked, vectors, strict=True))
        return Share.of(i in ids for i in found)


def sweep(bench: Bench) -> dict[str, list[dict[str, Any]]]:
    """Each threshold alone, on the tune half: attacks stopped and honest documents held back."""
    attacks = [d for f in bench.families if f.half == "tune" for d in f.documents]
    fair = [d for half, documents in bench.honest.values() if half == "tune" for d in documents[::_SWEPT_EVERY]]
    found: dict[str, list[dict[str, Any]]] = {}
    for name, values in SWEPT.items():
        for value in values:
            policy = ScreenPolicy.model_validate(POLICY.model_dump() | {name: value})
            stopped, held = (len(bench.screen(d, policy).quarantined) for d in (attacks, fair))
            found.setdefault(name, []).append({
                "value": value, "shipped": getattr(POLICY, name) == value,
                "stopped": Share(stopped, len(attacks)).to_json(), "held": Share(held, len(fair)).to_json(),
            })  # fmt: skip
    return found


def measure(bench: Bench) -> dict[str, Any]:
    """Everything, as numbers."""
    stopped, held, hurt = [], [], []
    for family in bench.families:
        print(family.name, file=sys.stderr)
        said = bench.screen(family.documents)
        why = Counter[str](q.reason for q in said.quarantined)
        share = Share(len(said.quarantined), len(family.documents))
        stopped.append({"name": family.name, "half": family.half, "share": share.to_json(), "reasons": dict(why)})
        before = bench.damage(family.documents)
        after = bench.damage(said.accepted) if said.accepted and said.quarantined else before
        after = after if said.accepted else Share(0, before.n)
        hurt.append({"name": family.name, "half": family.half, "without": before.to_json(), "with": after.to_json()})
    for name, (half, documents) in bench.honest.items():
        said = bench.screen(documents)
        why = Counter[str](q.reason for q in said.quarantined)
        share = Share(len(said.quarantined), len(documents))
        held.append({"name": name, "half": half, "share": share.to_json(), "reasons": dict(why)})
    everything = [d for f in bench.families if f.half == "report" for d in f.documents]
    total = {"without": bench.damage(everything).to_json(), "with": bench.damage(bench.screen(everything).accepted).to_json()}  # fmt: skip
    return {
        "stopped": stopped, "held": held, "damage": hurt, "damage of all report families at once": total,
        "indicators": indicator_figures(), "sweep": sweep(bench),
    }  # fmt: skip


def _share(row: dict[str, Any]) -> str:
    return f"{row['share']:.3f} ({row['k']}/{row['n']}, {row['low']:.2f} to {row['high']:.2f})"


def to_markdown(found: dict[str, Any]) -> str:
    """The report for people."""
    lines = [
        "# Poisoning the intelligence store", "", (__doc__ or "").split("\n\n")[1].replace("\n", " ").strip(), "",
        "Shares as share (k/n, 95 % Wilson interval). Families and honest sources of the half \"tune\" chose the "
        "thresholds; judge by \"report\". Copies of one family share a template: the intervals treat them as "
        "independent and are too narrow.", "", f"Encoder {found['encoder']}.", "",
        "## Poisoned documents stopped", "", "| family | half | stopped | by |", "|---|---|---|---|",
    ]  # fmt: skip
    for row in found["stopped"]:
        reasons = ", ".join(f"{k} {v}" for k, v in row["reasons"].items()) or "nothing"
        lines.append(f"| {row['name']} | {row['half']} | {_share(row['share'])} | {reasons} |")
    lines += ["", "## Honest documents held back", "", "| source | half | held back | by |", "|---|---|---|---|"]
    for row in found["held"]:
        reasons = ", ".join(f"{k} {v}" for k, v in row["reasons"].items()) or "nothing"
        lines.append(f"| {row['name']} | {row['half']} | {_share(row['share'])} | {reasons} |")
    lines += ["", "## Retrieval: queries whose first result is poisoned", "",
              f"{_QUERIES} TRAM sentences through hybrid search over everything; no sentence is also a poisoned text.", "",
              "| family | half | without the screen | with it |", "|---|---|---|---|"]  # fmt: skip
    for row in found["damage"]:
        lines.append(f"| {row['name']} | {row['half']} | {_share(row['without'])} | {_share(row['with'])} |")
    total = found["damage of all report families at once"]
    lines.append(f"| all of report at once | report | {_share(total['without'])} | {_share(total['with'])} |")
    lines += ["", "## Indicators", "", "| what | stopped or let through |", "|---|---|"]
    lines += [f"| {name} | {_share(share)} |" for name, share in found["indicators"].items()]
    lines += ["", "## Quorum: harmless alerts under a flood", "", *found["quorum"]["said"], "",
              "| who lists every indicator of the alert | verdicts that change | without a quorum |", "|---|---|---|"]  # fmt: skip
    lines += [f"| {r['who']} | {_share(r['changed'])} | {_share(r['naive'])} |" for r in found["quorum"]["rows"]]
    lines += ["", "## Thresholds, on the tune half", "", f"Each moved alone, over every {_SWEPT_EVERY}th honest document; * ships.", "", "| setting | attacks stopped | honest held back |", "|---|---|---|"]  # fmt: skip
    for name, rows in found["sweep"].items():
        lines += [f"| {name} {r['value']}{' *' if r['shipped'] else ''} | {_share(r['stopped'])} | {_share(r['held'])} |" for r in rows]  # fmt: skip
    return "\n".join([*lines, "", "## Limits", _LIMITS])


def main() -> None:
    """Measure and write."""
    folder = os.environ.get("AEGIS_DEV_DATA")
    if not folder:
        raise SystemExit("AEGIS_DEV_DATA is not set: it names the folder with development data")
    model = FastModel(threads=2)
    with tempfile.TemporaryDirectory(prefix="aegis-poison-") as place, Intel.open(place, model) as intel:
        found = {"encoder": model.version, **measure(Bench(intel, model, Path(folder)))}
        found["quorum"] = quorum_figures(model, Path(folder))
    (REPORTS / "intel_poisoning.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (REPORTS / "intel_poisoning.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))


if __name__ == "__main__":
    main()
