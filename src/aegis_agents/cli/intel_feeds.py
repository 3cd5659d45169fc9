"""The commands of `aegis intel` that fetch, take in what you give, and answer for what was held back."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from aegis_agents.cli.intel_open import open_intel, open_quarantine, open_syncer, reader_of
from aegis_agents.cli.intel_render import show_feeds, show_held, show_report
from aegis_agents.cli.spoken import By, JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.intel.feeds.config import Feed
    from aegis_agents.intel.trust import Quarantine

quarantine_app = typer.Typer(help="What was held back at ingest, and why.", no_args_is_help=True)

FeedsFile = Annotated[
    Path | None, typer.Option("--feeds", help="A TOML file with feeds, in place of the settings' own.")
]


def sync_feeds(
    feed: Annotated[list[str] | None, typer.Argument(help="Only these feeds (default: all).")] = None,
    kev: Annotated[
        Path | None, typer.Option("--kev", help="A newer KEV catalogue, fetched from its publisher.")
    ] = None,
    feeds: FeedsFile = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Fetch the feeds now, and build the snapshot if it is missing or outdated. Exit code 1 if a feed failed; what it
    said before stays in use."""
    with spoken_errors(), open_aegis(settings) as aegis:
        if kev is not None:
            aegis.build_intel(kev=kev)
        with closing(open_syncer(aegis, feeds)) as syncer:
            reports = syncer.sync(feed or ())
        for report in reports:
            show_report(Console(), report, as_json=as_json)
        snapshot = open_intel(aegis).snapshot_id
        if as_json:
            print_json({"snapshot": snapshot})
        else:
            typer.echo(f"intelligence snapshot {snapshot}")
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)


def watch_feeds(
    once: Annotated[bool, typer.Option("--once", help="Fetch every feed once and stop.")] = False,
    feeds: FeedsFile = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Fetch each feed whenever it is due, until interrupted."""
    if once:
        sync_feeds(feeds=feeds, as_json=as_json, settings=settings)
        return
    console = Console()
    with (
        spoken_errors(),
        open_aegis(settings) as aegis,
        closing(open_syncer(aegis, feeds)) as syncer,
        _until_interrupted() as stop,
    ):
        syncer.watch(stop, lambda report: show_report(console, report, as_json=as_json))


def list_feeds(feeds: FeedsFile = None, as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List the feeds: when each was last fetched, what it brought, and how stale it is."""
    with spoken_errors(), open_aegis(settings) as aegis, closing(open_syncer(aegis, feeds)) as syncer:
        show_feeds(Console(), syncer.status(), as_json=as_json)


def add_paths(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Files or folders.")],
    kind: Annotated[
        str, typer.Option("--kind", help="What they hold, as in a feed: documents, indicators, sigma, stix, misp, ...")
    ] = "documents",
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it; the same name again replaces it.")
    ] = None,
    tlp: Annotated[str, typer.Option("--tlp", help="Whom it may be shown: clear, green, amber, ...")] = "amber",
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Whose it is (default: the settings' tenant); \"\" is everyone's.")
    ] = None,
    trust: Annotated[str, typer.Option("--trust", help="How far it is believed: high, medium, low.")] = "medium",
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Take in files of yours: Markdown, PDF, text and JSON documents, or any other kind that a feed may have."""
    from aegis_agents.errors import InputError
    from aegis_agents.feeding import configured

    with spoken_errors(), open_aegis(settings) as aegis:
        if name is not None and len(paths) > 1:
            raise InputError("names one file or folder", field="--name", fix="add them one by one, or without a name")
        if name is not None and any(feed.name == name for feed in configured(aegis.settings)):
            raise InputError(f"{name} is a feed of the settings", field="--name", fix="give another name")
        owner = aegis.settings.tenant if tenant is None else tenant
        given = [
            _feed(path, kind=kind, name=name or _name_of(path), tlp=tlp, tenant=owner, trust=trust) for path in paths
        ]
        with closing(open_syncer(aegis, given)) as syncer:
            reports = syncer.sync()
        for report in reports:
            show_report(Console(), report, as_json=as_json)
    if any(report.status == "failed" for report in reports):
        raise typer.Exit(1)


def remove_feed(
    name: Annotated[str, typer.Argument(help="The feed, also one that is not configured any more.")],
    by: By,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Remove all that a feed brought. While it is configured, the next sync fetches it anew."""
    with spoken_errors():
        with open_aegis(settings) as aegis, closing(open_syncer(aegis)) as syncer:
            report = syncer.remove(name, by)
            aegis.store.append("intel.removed", None, {"feed": name, "documents": report.removed, "by": by})
        with open_aegis(settings) as aegis:  # what the feed had replaced is back from here on
            report = report.model_copy(update={"snapshot": open_intel(aegis).snapshot_id})
        show_report(Console(), report, as_json=as_json)


@quarantine_app.command("list")
def quarantine_list(
    feed: Annotated[str | None, typer.Option("--feed", help="Only of this feed.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """List what was held back at ingest and waits for a person, with the reason."""
    with spoken_errors(), open_aegis(settings) as aegis, open_quarantine(aegis) as quarantine:
        sees = reader_of(aegis).sees
        held = [h for h in quarantine.list(feed=feed) if sees(h.document.tenant, h.document.tlp)]
        show_held(Console(), held, as_json=as_json)


@quarantine_app.command("release")
def quarantine_release(
    id: Annotated[int, typer.Argument(help="Its number in the list.")], by: By, settings: SettingsFile = None
) -> None:
    """Take in what was held back after all; who said so is kept, and the same text is not held back again."""
    with spoken_errors(), open_aegis(settings) as aegis, closing(open_syncer(aegis)) as syncer:
        _check_reader(aegis, syncer.quarantine, id)
        snapshot = syncer.release(id, by)
        _record(aegis, "intel.released", syncer.quarantine, id, by)
        typer.echo(f"{id}: taken in; intelligence snapshot {snapshot}")


@quarantine_app.command("drop")
def quarantine_drop(
    id: Annotated[int, typer.Argument(help="Its number in the list.")], by: By, settings: SettingsFile = None
) -> None:
    """Say that something held back stays out; who said so is kept."""
    with spoken_errors(), open_aegis(settings) as aegis, open_quarantine(aegis) as quarantine:
        _check_reader(aegis, quarantine, id)
        quarantine.drop(id, by)
        _record(aegis, "intel.dropped", quarantine, id, by)
        typer.echo(f"{id}: stays out")


def _record(aegis: Aegis, kind: str, quarantine: Quarantine, id: int, by: str) -> None:
    """Put into the ledger who decided what about which document."""
    held = quarantine.get(id)
    about = {"document": held.document.id, "feed": held.document.feed, "sha256": held.document.sha256}
    aegis.store.append(kind, None, about | {"reason": held.reason, "by": by})


def _check_reader(aegis: Aegis, quarantine: Quarantine, id: int) -> None:
    """Raises InputError, as for an entry that is not there, for one that this reader may not see."""
    from aegis_agents.errors import InputError

    document = quarantine.get(id).document
    if not reader_of(aegis).sees(document.tenant, document.tlp):
        raise InputError(f"there is no entry {id}", field="id", fix="list the quarantine")


def _name_of(path: Path) -> str:
    """A feed's name for a path that was given none: the same path has the same one, so that it replaces itself."""
    slug = re.sub(r"[^a-z0-9]+", "-", path.name.lower()).strip("-")[:40].strip("-")
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"own-{slug}-{digest}" if slug else f"own-{digest}"


def _feed(path: Path, **given: str) -> Feed:
    from pydantic import ValidationError

    from aegis_agents.errors import InputError
    from aegis_agents.intel.feeds.config import Feed

    try:
        return Feed.model_validate({"path": path.resolve(), "licence": "private to the organisation", **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = f"--{first['loc'][0]}" if first["loc"] else "PATH"
        raise InputError(first["msg"], field=field, fix="see aegis intel add --help") from error


@contextmanager
def _until_interrupted() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that what is under way is finished and not torn."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
