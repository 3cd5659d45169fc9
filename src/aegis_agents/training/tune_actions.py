"""Teaches search to find response actions: `python -m aegis_agents.training.tune_actions OUT`.

For the maintainer. As in `tune_retrieval` the encoder stays and the actions' vectors move. The lessons
(action_lessons.jsonl: needs, hand-overs and alerts with the actions that they call for, Apache-2.0) were written for
this by three writers who saw neither the suites of evals/retrieval nor the words by which an action says when it is
used. Rate, steps and temperature were chosen on the tune halves of those suites.
"""

from __future__ import annotations

import argparse
import json
from importlib import resources
from pathlib import Path

from rich.console import Console

from aegis_agents.intel.actions import action_documents
from aegis_agents.intel.documents import Embedder
from aegis_agents.intel.taught import Taught, write_taught
from aegis_agents.records import CATALOGUE
from aegis_agents.training.retrieval_lessons import Lesson
from aegis_agents.training.tune_retrieval import Plan, fit

PLAN = Plan(steps=200, rate=1e-3, temperature=0.1)


def action_lessons() -> list[Lesson]:
    """The lessons. Raises ValueError for one without a text, or with an action that does not exist."""
    file = resources.files("aegis_agents.training") / "action_lessons.jsonl"
    found = []
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        row = json.loads(line)
        if not row["text"].strip() or not row["actions"] or not set(row["actions"]) <= set(CATALOGUE):
            raise ValueError(f"action_lessons.jsonl:{number}: no text, or an action that does not exist")
        found.append(Lesson(row["text"], tuple(row["actions"])))
    return found


def tune_actions(model: Embedder, console: Console | None = None) -> Taught:
    """Teach the catalogue's actions."""
    documents = action_documents()
    sources = {"needs": action_lessons(), "descriptions": [Lesson(d.to_embed, (d.id,)) for d in documents]}
    queries = model.embed([x.text for each in sources.values() for x in each])
    start = model.embed([d.to_embed for d in documents])
    return fit(sources, queries, [d.id for d in documents], start, PLAN, console)


if __name__ == "__main__":
    from aegis_agents.model import FastModel

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="the npz to write")
    shipped = FastModel(threads=2)
    write_taught(tune_actions(shipped, Console(stderr=True)), shipped.version, parser.parse_args().out)
