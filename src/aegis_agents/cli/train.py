"""`aegis train`: prepare data, fine-tune, adapt to your own cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, needs_extra, spoken_errors

train_app = typer.Typer(help="Prepare data and fine-tune (needs the train extra).", no_args_is_help=True)

_Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
_Prepared = Annotated[Path, typer.Option("--data", help="A prepared set.")]
_Run = Annotated[Path, typer.Option("--run", help="Where checkpoints are kept; a run that was stopped goes on.")]


@train_app.command("prepare")
def prepare_data(
    out: _Out,
    sources: Annotated[
        Path | None, typer.Option("--sources", help="A folder with outside data (AIT-ADS, Sigma); none does without.")
    ] = None,
    likeness: Annotated[
        float, typer.Option("--likeness", min=0.5, max=1.0, help="From here on two alerts are near copies.")
    ] = 0.9,
    keep_contradicted: Annotated[
        bool, typer.Option("--keep-contradicted", help="Keep outside alerts whose label all else contradicts.")
    ] = False,
) -> None:
    """Collect, redact, drop copies, look for poison and label leaks; say what was dropped and why."""
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.training.prepare.pipeline import prepare

        prepare(out, data=sources, likeness=likeness, keep_contradicted=keep_contradicted)


@train_app.command()
def fit(
    data: _Prepared,
    run: _Run,
    out: _Out,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="An encoder to begin the second stage with.")
    ] = None,
    fact_steps: Annotated[int, typer.Option("--fact-steps", min=1, help="Steps of the first stage.")] = 1200,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the second stage.")] = 900,
    detection: Annotated[
        float, typer.Option("--detection", min=0.5, max=0.99, help="What thresholds aim at on families held out.")
    ] = 0.9,
    seed: int = 7,
) -> None:
    """Fine-tune the encoder and its head, quantise, calibrate; then `aegis model promote` it."""
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.training.build import Recipe, build
        from aegis_agents.training.tune_alerts import Plan

        recipe = Recipe(fact_steps, Plan(steps=steps, seed=seed), detection, seed)
        made = build(run, out, data=data, recipe=recipe, start_from=start_from)
        typer.echo(f"{out}: manifest SHA-256 {made['manifest_sha256']}")


@train_app.command()
def cases(
    out: _Out,
    run: _Run,
    industry: Annotated[str, typer.Option("--name", help="What the adapted model is called.")] = "own-cases",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of the head.")] = 400,
    settings: SettingsFile = None,
) -> None:
    """Adapt the model in use to the cases that your analysts confirmed (redacted, checked); then promote it."""
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.aegis import Aegis
        from aegis_agents.training.own_cases import adapt

        with Aegis.from_settings(settings) if settings else Aegis() as aegis:
            made = adapt(aegis.store, aegis.settings.home, run, out, name=industry, steps=steps)
        typer.echo(f"{out}: manifest SHA-256 {made['manifest_sha256']}")
