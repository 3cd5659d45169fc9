"""Adapts the model to an organisation's own domain: the head is tuned on cases that its analysts confirmed.

The encoder stays, so a few minutes on a CPU are enough. So that what was learnt is not lost, our own
alerts are rehearsed beside the cases (Robins 1995), the head is drawn part of the way back
(Wortsman et al. 2022), and thresholds hold it to what the model before reaches on our alerts.
Only confirmed verdicts teach; cases kept back for the promotion gate are never trained on.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors.torch import load_file

from aegis_agents.errors import InputError
from aegis_agents.ledger import Store
from aegis_agents.model import FastModel
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import FILES, WeightFiles, read_weights
from aegis_agents.model.registry import current
from aegis_agents.training import calibrate, export
from aegis_agents.training.build import develop_examples
from aegis_agents.training.groups import Group, dataset_groups, tell
from aegis_agents.training.network import EvidenceHead
from aegis_agents.training.prepare import checks
from aegis_agents.training.prepare.collect import collect
from aegis_agents.training.prepare.dataset import LabelledAlert
from aegis_agents.training.prepare.redact import Redactor
from aegis_agents.training.regression import confirmed_examples
from aegis_agents.training.tune_alerts import tune_head

LEAST = 20
"""Confirmed cases below which nothing is learnt that memory doesn't already give."""
STEPS = 400
"""Of the head, when adapting."""
_SHARE = 0.5
"""How much of each batch is the organisation's own."""
_TAKEN = 0.6
"""How far the head moves from where it was to where the cases drew it; chosen on OT situations of one writer."""


def own_alerts(store: Store, console: Console) -> list[LabelledAlert]:
    """The confirmed cases to learn from, redacted. Raises InputError where they are too few or tell by their title."""
    redactor, found = Redactor(secrets.token_bytes(32)), []
    for e in confirmed_examples(store, kept_back=False):
        made = LabelledAlert(
            family=e.family, source="own-cases", licence="the organisation's own", origin="confirmed cases", outside=True,
            split="train", format=e.format, alert=redactor.alert(e.alert, e.format), verdict=e.verdict, severity=e.severity,
            techniques=e.techniques if e.verdict == "true_positive" else (),
        )  # fmt: skip
        if checks.speaks_to_machines(made):
            console.print(f"  left out {e.family}: a field speaks to machine readers", highlight=False)
        else:
            found.append(made)
    console.print(f"{len(found)} confirmed cases, replaced: {dict(redactor.found)}", highlight=False)
    if len(found) < LEAST:
        raise InputError(
            f"{len(found)} confirmed cases to learn from, at least {LEAST} are needed", field="cases",
            fix="confirm more (aegis confirm); memory uses each at once",
        )  # fmt: skip
    leak = checks.label_leak(found)
    console.print(f"title and severity alone: AUC {leak.auc:.3f} ({leak.low:.3f} to {leak.high:.3f})", highlight=False)
    if leak.leaks:
        console.print(
            "  they tell the verdict: the adapted model may lean on them; the gate compares on other alerts too"
        )
    return found


def adapt(
    store: Store, home: Path, run: Path, out: Path, *, name: str, steps: int = STEPS, seed: int = 7, console: Console | None = None
) -> dict[str, Any]:  # fmt: skip
    """Tune the head of the model in use on the confirmed cases, write it to `out`; promote it with the gate.

    Raises InputError with too few cases. `run` keeps the tuned head.
    """
    console = console or Console(stderr=True)
    own = own_alerts(store, console)
    used = current(home)
    folder, digest = (used.folder, used.manifest_sha256) if used else (None, None)
    files, before = read_weights(folder, manifest_sha256=digest), FastModel(folder, manifest_sha256=digest, threads=2)
    return tune_on(own, files, before, run, out, name=name, steps=steps, seed=seed, console=console)


def tune_on(
    own: list[LabelledAlert], files: WeightFiles, before: FastModel, run: Path, out: Path, *, name: str, steps: int,
    seed: int = 7, console: Console,
) -> dict[str, Any]:  # fmt: skip
    """Tune the head of a model (its `files`, and it itself `before`) on these alerts and rehearse ours, write all to `out`."""
    torch.manual_seed(seed)
    encoder = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"], threads=2, cache=0)
    run.mkdir(parents=True, exist_ok=True)
    (run / "before.safetensors").write_bytes(files.contents["head.safetensors"])
    head, like, old = EvidenceHead(0.2), EvidenceHead(0.0), load_file(run / "before.safetensors")
    head.load_state_dict(old)
    like.load_state_dict(old)
    ours = list(collect(None))
    groups: dict[str, list[Group]] = dataset_groups(ours, "train")
    # The severity of a case is what the model said of it: only the verdict was confirmed.
    cases = [told._replace(severity=-1) for a in own if (told := tell(a.example())).texts]
    groups["own"] = [cases[i : i + 4] for i in range(0, len(cases), 4)]
    tune_head(
        head, lambda texts: torch.from_numpy(encoder.encode(texts)), groups, steps=steps, rate=4e-4, seed=seed, own=_SHARE,
        like=like.eval(), console=console,
    )  # fmt: skip
    drawn = head.state_dict()
    head.load_state_dict({key: (1 - _TAKEN) * old[key] + _TAKEN * drawn[key] for key in drawn})
    out.mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (out / file).write_bytes(files.contents[file])
    export.export_head(head.eval(), out / "head.onnx")
    about = {"adapted_from": files.version, "own_cases": len(own)}
    return calibrate.calibrate_folder(out, name, about, develop_examples(ours), beside=before, console=console)
