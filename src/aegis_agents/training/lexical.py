"""Learns the bag of words beside the encoder: `python -m aegis_agents.training.lexical WEIGHTS --data PREPARED`.

Only situations teach it: boards and families repeat their words too often (on develop
situations the boards added nothing). The command gives a finished model a new table and calibrates it anew.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from aegis_agents.model.lexical import features
from aegis_agents.model.text import read
from aegis_agents.training.corpus import Example

MOST_FEATURES = 80_000
INVERSE_PENALTY = 4.0
BOUND = 1.5
"""Most that words add, in log-odds. On develop a larger bound gained 0.0005 AUC; whoever writes a log chooses words."""


def words_of(example: Example) -> list[int]:
    """The hashes of an alert's words and pairs, each as often as it is said."""
    return [int(h) for piece in read(example.incident)[0] for h in features(piece.value)]


def fit_lexical(examples: Sequence[Example]) -> bytes:
    """The table that `aegis_agents.model.lexical.Lexical` reads. Raises ValueError without attacks or without harmless alerts."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    told = [e for e in examples if e.verdict != "undetermined"]
    counted = TfidfVectorizer(analyzer=words_of, sublinear_tf=True, min_df=2, max_features=MOST_FEATURES)
    rows = counted.fit_transform(told)
    model = LogisticRegression(max_iter=600, C=INVERSE_PENALTY, class_weight="balanced")
    model.fit(rows, [e.verdict == "true_positive" for e in told])
    hashes = np.array(counted.get_feature_names_out(), np.uint32)
    order = np.argsort(hashes)
    out = io.BytesIO()
    np.savez(
        out, hashes=hashes[order], idf=counted.idf_[order].astype(np.float16),
        weights=model.coef_[0][order].astype(np.float16), bias=model.intercept_, bound=np.array([BOUND]),
    )  # fmt: skip
    return out.getvalue()


def teachers(examples: Sequence[Example]) -> list[Example]:
    """Those that teach words: situations; all, where there are none."""
    return [e for e in examples if e.source == "situations"] or list(examples)


def add_lexical(weights: Path, data: Path, choose_on: Path | None, console: Console | None = None) -> str:
    """Write the table into `weights`, learnt from a prepared set, and calibrate as `aegis train` does; returns the manifest's SHA-256."""
    from aegis_agents.model.fast import FastModel
    from aegis_agents.training.build import develop_examples
    from aegis_agents.training.calibrate import STANDARD_AIM, calibrate_folder
    from aegis_agents.training.prepare.dataset import read_dataset
    from aegis_agents.training.real import labelled_lines

    alerts = list(read_dataset(data))
    (weights / "lexical.npz").write_bytes(fit_lexical(teachers([a.example() for a in alerts if a.split == "train"])))
    manifest = json.loads((weights / "manifest.json").read_bytes())
    made = calibrate_folder(
        weights, manifest["name"], manifest["about"], develop_examples(alerts), aim=STANDARD_AIM, beside=FastModel(threads=2),
        choose_on=labelled_lines(choose_on) if choose_on else (), console=console or Console(stderr=True),
    )  # fmt: skip
    return str(made["manifest_sha256"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="a prepared set")
    parser.add_argument("--choose-on", type=Path, help="labelled lines to choose thresholds on, beside held-out alerts")
    given = parser.parse_args()
    print(f"{given.weights}: manifest SHA-256 {add_lexical(given.weights, given.data, given.choose_on)}")
