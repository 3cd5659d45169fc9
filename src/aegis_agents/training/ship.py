"""Puts a trained model into the package: `python -m aegis_agents.training.ship WEIGHTS [--adapter FOLDER]`. For maintainers.

Users promote models of their own with `aegis model promote`; this replaces the ones that ship,
pins their hashes in the code, and writes the vectors of the intelligence texts anew. What searches were taught is
the encoder's: with another one `training.tune_retrieval` and `tune_actions` must follow.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from aegis_agents.intel import SHIPPED_VECTORS, write_vectors
from aegis_agents.intel.taught import SHIPPED_TAUGHT, read_taught, write_taught
from aegis_agents.model import FastModel
from aegis_agents.model.files import FILES, read_weights, shipped_folder
from aegis_agents.training.manifest import check_fitted, write_pin


def ship_weights(folder: Path) -> str:
    """Copy checked weights into the package and pin them; returns the manifest's SHA-256. Raises ModelTampered or ModelError."""
    digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
    before, after = read_weights(), read_weights(folder, manifest_sha256=digest)
    check_fitted(after)
    for name in (*FILES, "manifest.json"):
        shutil.copyfile(folder / name, shipped_folder() / name)
    write_pin(digest)
    write_vectors(FastModel(shipped_folder(), manifest_sha256=digest, threads=2), SHIPPED_VECTORS)
    if all(before.contents[name] == after.contents[name] for name in ("encoder.onnx", "tokenizer.json")):
        carry_taught(before.version, after.version)
    return digest


def carry_taught(before: str, after: str, files: Iterable[Path] = tuple(SHIPPED_TAUGHT.values())) -> None:
    """Say that taught vectors are for the model `after`, whose encoder is the one of `before`. Raises InputError where they were another's."""
    for file in files:
        write_taught(read_taught(file, before), after, file)


def main() -> None:
    """Ship what the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, nargs="?", help="a folder with trained weights")
    parser.add_argument("--adapter", type=Path, help="a folder with an adapter of the language model")
    given = parser.parse_args()
    if given.weights:
        print(f"shipped {given.weights}: manifest SHA-256 {ship_weights(given.weights)}")
    if given.adapter:
        from aegis_agents.model.language.adapter import shipped_adapter
        from aegis_agents.training.tune_language import ship

        print(f"shipped {given.adapter}: SHA-256 {ship(given.adapter, shipped_adapter())}")


if __name__ == "__main__":
    main()
