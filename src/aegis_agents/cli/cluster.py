"""`aegis cluster`: workers on Ray."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from aegis_agents.cli.spoken import SettingsFile, say, spoken_errors


def cluster(
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=10_000, help="Workers; one for each CPU of Ray's by default.")
    ] = None,
    address: Annotated[
        str,
        typer.Option(
            "--address", help='A Ray of its own on this machine ("local"), this machine\'s ("auto"), or "ray://...".'
        ),
    ] = "local",
    stop: Annotated[
        bool, typer.Option("--stop", help="Let the workers finish what they are at, and end them.")
    ] = False,
    settings: SettingsFile = None,
) -> None:
    """Keep workers on Ray, each of which takes alerts from the inbox, until it is told to stop.

    On a Ray that is there, workers go on when this command ends; the next one finds them, and replaces those of another
    version one by one. `--stop` ends them. Several machines need PostgreSQL.
    """
    with spoken_errors():
        from aegis_agents.fleet.cluster import LOCAL, Cluster, namespace
        from aegis_agents.fleet.opening import open_aegis
        from aegis_agents.fleet.ray_setup import join
        from aegis_agents.fleet.stopping import told_to_stop
        from aegis_agents.settings import load_settings

        found = load_settings(settings)
        ray = join(address, found, namespace=namespace(found))
        tell = partial(say, err=True)
        code = 0
        try:
            fleet = Cluster(
                ray, partial(open_aegis, settings.resolve() if settings else None), found, count=workers, say=tell
            )
            if stop:
                fleet.stop()
            else:
                with told_to_stop() as told:  # after joining: Ray sets a handler of its own
                    fleet.start()
                    code = fleet.watch(told)
                if address == LOCAL:
                    fleet.stop()
                elif not code:
                    tell("the workers go on; `aegis cluster --stop` ends them")
        finally:
            ray.shutdown()
    if code:
        raise typer.Exit(code)
