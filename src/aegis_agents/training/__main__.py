"""`python -m aegis_agents.training`: train the encoder and its heads, and export the weights.

    python -m aegis_agents.training --run runs/mine --out runs/mine/weights [--data DIR] [--ship]

A run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from aegis_agents.model.files import FILES, shipped_folder
from aegis_agents.training.build import build
from aegis_agents.training.export import write_pin


def main() -> None:
    """Parse the arguments, train, and with --ship put the result into the package."""
    parser = argparse.ArgumentParser(prog="python -m aegis_agents.training", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="where checkpoints are kept")
    parser.add_argument("--out", type=Path, required=True, help="where the weights go")
    parser.add_argument("--data", type=Path, help="a folder with real labelled data (AIT-ADS, Sigma)")
    parser.add_argument("--steps", type=int, default=1300, help="steps of the first stage")
    parser.add_argument("--alerts", type=int, default=16_000, help="generated alerts for the second stage")
    parser.add_argument("--epochs", type=int, default=14, help="epochs of the second stage")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ship", action="store_true", help="replace the package's weights and their pin")
    given = parser.parse_args()
    figures = build(given.run, given.out, data=given.data, steps=given.steps, alerts=given.alerts, epochs=given.epochs, seed=given.seed)  # fmt: skip
    if given.ship:
        shipped_folder().mkdir(exist_ok=True)
        for name in (*FILES, "manifest.json"):
            shutil.copyfile(given.out / name, shipped_folder() / name)
        write_pin(figures["manifest_sha256"])


if __name__ == "__main__":
    main()
