"""`aegis train`: fine-tune the encoder, adapt it to your own cases, prepare data, tune the language model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from aegis_agents.cli.spoken import SettingsFile, needs_extra, spoken_errors

train_app = typer.Typer(help="Prepare data and fine-tune (needs the train extra).")

Sources = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        exists=True,
        file_okay=False,
        help="A folder with outside data (AIT-ADS, Sigma); none does without.",
    ),
]


_WITHOUT_CASES = ("data", "sources", "start_from", "fact_steps", "detection", "rejection", "undetermined", "choose_on")
"""Options of a whole run: cases tune the head of the model in use, and thresholds are held to what it reaches."""


def _given(context: typer.Context, names: Sequence[str]) -> list[str]:
    """Those options that stand on the command line."""
    given = (n for n in names if getattr(context.get_parameter_source(n), "name", "") == "COMMANDLINE")
    return [f"--{name.replace('_', '-')}" for name in given]


@train_app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    from_cases: Annotated[
        bool, typer.Option("--from-cases", help="Adapt the model in use to the cases that your analysts confirmed.")
    ] = False,
    run: Annotated[
        Path, typer.Option("--run", help="Where checkpoints are kept; a run that was stopped goes on.")
    ] = Path("runs/latest"),
    out: Annotated[Path | None, typer.Option("--out", help="Where the weights go (default: RUN/weights).")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="A prepared set (default: RUN/data, prepared if it is not there).")
    ] = None,
    sources: Sources = None,
    name: Annotated[str | None, typer.Option("--name", help="What the model is called.")] = None,
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help='A checkpoint to begin the second stage with, or "shipped".')
    ] = None,
    fact_steps: Annotated[
        int | None, typer.Option("--fact-steps", min=1, help="Steps of the first stage (default 700).")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps",
            min=0,
            help="Steps of the second stage (0 exports what it starts from), or of the head with --from-cases.",
        ),
    ] = None,
    detection: Annotated[
        float, typer.Option("--detection", min=0.5, max=0.99, help="The share of attacks that thresholds aim to find.")
    ] = 0.9,
    rejection: Annotated[
        float,
        typer.Option("--rejection", min=0.1, max=0.99, help="The share of harmless alerts that they aim to reject."),
    ] = 0.75,
    undetermined: Annotated[
        float,
        typer.Option(
            "--undetermined", min=0.0, max=0.99, help="The share of undetermined alerts that they aim to call so."
        ),
    ] = 0.3,
    choose_on: Annotated[
        Path | None,
        typer.Option(
            "--choose-on",
            exists=True,
            dir_okay=False,
            help="JSON Lines of {id, alert, truth: {verdict}} to choose thresholds on, beside held-out alerts.",
        ),
    ] = None,
    seed: int = 7,
    settings: SettingsFile = None,
) -> None:
    """Fine-tune encoder and head, quantise and calibrate; then `aegis model promote` what came of it."""
    if context.invoked_subcommand is not None:
        return
    if steps == 0 and (from_cases or start_from is None):
        raise typer.BadParameter("0 exports what --start-from names, and takes no --from-cases", param_hint="--steps")
    if from_cases and (idle := _given(context, _WITHOUT_CASES)):
        raise typer.BadParameter("does nothing with --from-cases", param_hint=", ".join(idle))
    with spoken_errors(), needs_extra("train"):
        target = out or run / "weights"
        if from_cases:
            from aegis_agents.aegis import Aegis
            from aegis_agents.training.own_cases import STEPS, adapt

            with Aegis.from_settings(settings) if settings else Aegis() as aegis:
                home = aegis.settings.home
                made = adapt(aegis.store, home, run, target, name=name or "own-cases", steps=steps or STEPS, seed=seed)
        else:
            from aegis_agents.training.build import NAME, Recipe, build
            from aegis_agents.training.calibrate import Aim
            from aegis_agents.training.prepare.pipeline import prepare
            from aegis_agents.training.real import labelled_lines
            from aegis_agents.training.tune_alerts import STANDARD
            from aegis_agents.training.tune_facts import FACT_STEPS

            plan = STANDARD._replace(steps=STANDARD.steps if steps is None else steps, seed=seed)
            prepared = data or run / "data"
            if data is None and not (prepared / "manifest.json").is_file():
                prepare(prepared, data=sources)
            aim = Aim(detection, rejection, undetermined)
            recipe = Recipe(fact_steps or FACT_STEPS, plan, aim, seed)
            made = build(run, target, data=prepared, recipe=recipe, start_from=start_from, name=name or NAME,
                choose_on=labelled_lines(choose_on) if choose_on else (),
            )  # fmt: skip
        typer.echo(
            f"{target}: manifest SHA-256 {made['manifest_sha256']}; next: aegis model promote {target} --by NAME"
        )


@train_app.command("prepare")
def prepare_data(
    out: Annotated[Path, typer.Option("--out", help="Where the prepared set goes.")],
    sources: Sources = None,
    likeness: Annotated[
        float, typer.Option("--likeness", min=0.5, max=0.95, help="From here on two alerts are near copies.")
    ] = 0.9,
    keep_contradicted: Annotated[
        bool, typer.Option("--keep-contradicted", help="Keep outside alerts whose label all else contradicts.")
    ] = False,
) -> None:
    """Collect, redact, drop copies, look for poison and label leaks; say what was dropped and why."""
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.training.prepare.pipeline import prepare

        prepare(out, data=sources, likeness=likeness, keep_contradicted=keep_contradicted)


@train_app.command("mean")
def mean_of_checkpoints(
    checkpoints: Annotated[list[Path], typer.Argument(help="best.pt of runs that went on from one start.")],
    out: Annotated[Path, typer.Option("--out", help="The checkpoint to write, for --start-from.")],
) -> None:
    """Average the weights of runs that began alike; `aegis train --start-from OUT --steps 0` exports the mean."""
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.training.mean import mean_of

        mean_of(checkpoints, out)
        typer.echo(f"{out}: mean of {len(checkpoints)}; next: aegis train --start-from {out} --steps 0")


@train_app.command()
def language(
    run: Annotated[Path, typer.Option("--run", help="Where checkpoints and the adapter go.")],
    base: Annotated[
        Path | None,
        typer.Option(
            "--base",
            exists=True,
            file_okay=False,
            help="A folder with a base of your own (default: `aegis model setup`'s).",
        ),
    ] = None,
    quantise: Annotated[
        Literal["none", "int8", "nf4"], typer.Option("--quantise", help="Load the base so (QLoRA); meant for a GPU.")
    ] = "none",
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=0, help="Training steps (default 650); 0 trains nothing and compares the shipped adapter."
        ),
    ] = None,
    rank: Annotated[
        int | None, typer.Option("--rank", min=1, max=256, help="Rank of the adapter (8 unless told).")
    ] = None,
    words: Annotated[
        float | None,
        typer.Option(
            "--words", min=0, max=1, help="Share of rows that teach sentences (0.1 unless told), verdicts else."
        ),
    ] = None,
    held_out: Annotated[
        int, typer.Option("--held-out", min=0, help="Held-out alerts to compare base and adapter on.")
    ] = 200,
    settings: SettingsFile = None,
) -> None:
    """Fine-tune the language model with LoRA, or QLoRA where the base is quantised; compare it with its base."""
    if steps == 0 and (base or rank or words is not None):
        raise typer.BadParameter(
            "0 compares the shipped adapter on its own base, and takes no --base, --rank or --words",
            param_hint="--steps",
        )
    with spoken_errors(), needs_extra("train"):
        from aegis_agents.assembly import open_model
        from aegis_agents.model.language.base import base_folder
        from aegis_agents.settings import load_settings
        from aegis_agents.training.language_run import run_language
        from aegis_agents.training.tune_language import STANDARD

        chosen = load_settings(settings)
        found = run_language(
            base or base_folder(chosen.home), run, open_model(chosen), steps=STANDARD.steps if steps is None else steps,
            rank=rank or STANDARD.rank, words=STANDARD.words if words is None else words, quantise=quantise, held_out=held_out,
        )  # fmt: skip
        typer.echo(f"{found['adapter']}: SHA-256 {found['sha256']}")
        typer.echo(
            f"right on {found['alerts']} held-out alerts: base {found['base right']}, adapter {found['adapter right']} "
            f"(exact McNemar p {found['p']:.3g}); the fast path, whose weights both are shown, {found['fast path right']}"
        )
