"""`aegis intel`: search threat intelligence, look things up, compare snapshots. What fetches is in `intel_feeds`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from aegis_agents.cli.intel_feeds import add_paths, list_feeds, quarantine_app, remove_feed, sync_feeds, watch_feeds
from aegis_agents.cli.intel_open import open_intel
from aegis_agents.cli.intel_render import show_changes, show_indicator, show_passages, show_snapshots
from aegis_agents.cli.spoken import By, JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors

intel_app = typer.Typer(help="Threat intelligence: fetch it, search it, see where it came from.", no_args_is_help=True)
intel_app.command("sync")(sync_feeds)
intel_app.command("watch")(watch_feeds)
intel_app.command("feeds")(list_feeds)
intel_app.command("add")(add_paths)
intel_app.command("remove")(remove_feed)
intel_app.add_typer(quarantine_app, name="quarantine")

HowMany = Annotated[int, typer.Option("-k", min=1, max=100, help="How many.")]


@intel_app.command()
def search(
    text: Annotated[str, typer.Argument(help="Words, or ids such as T1059 or CVE-2021-44228.")],
    k: HowMany = 5,
    corpus: Annotated[
        list[str] | None,
        typer.Option("--corpus", help="Only this one (technique, rule, report, case, ...); may be given again."),
    ] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Search everything that has words: techniques, rules, playbooks, reports, your own documents."""
    with spoken_errors(), open_aegis(settings) as aegis:
        # The search itself refuses a corpus that does not exist, and names those that do.
        found = open_intel(aegis).search(query=text, corpora=corpus or None, k=k)  # type: ignore[arg-type]
        show_passages(Console(), found, as_json=as_json)


@intel_app.command()
def lookup(
    values: Annotated[list[str], typer.Argument(help="Addresses, domains, URLs, hashes; evil[.]example is taken.")],
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Say who reports an indicator, whether that is current, and whether it is enough to count. Exit code 1 if one of
    the values is no indicator."""
    from aegis_agents.errors import InputError
    from aegis_agents.tools.indicator_report import report_indicator, utc_now

    failed = False
    with spoken_errors(), open_aegis(settings) as aegis:
        intel, times = open_intel(aegis), aegis.context.feed_times()
        for value in values:
            try:
                report = report_indicator(intel, value, now=utc_now(), times=times)
            except InputError as error:
                failed = True
                typer.echo(f"aegis: {error}", err=True)
                continue
            if as_json:
                print_json(report.model_dump(mode="json", exclude={"passages"}))
            else:
                show_indicator(Console(), report)
    if failed:
        raise typer.Exit(1)


@intel_app.command()
def explain(
    cve: Annotated[str, typer.Argument(metavar="CVE", help="Such as CVE-2021-44228.")],
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Say whether a vulnerability is known to be exploited (KEV), and how likely it will be (EPSS)."""
    from aegis_agents.errors import InputError
    from aegis_agents.intel.kev import CVE_ID
    from aegis_agents.tools.cve_report import cve_note, cve_passages

    with spoken_errors(), open_aegis(settings) as aegis:
        wanted = cve.strip().upper()
        if not CVE_ID.fullmatch(wanted):
            raise InputError("is no CVE id", field="CVE", fix="give one such as CVE-2021-44228")
        found = cve_passages(open_intel(aegis), wanted)
        note = cve_note(wanted, [p.source for p in found])
        show_passages(Console(), found, as_json=as_json, otherwise="")
        if note and not as_json:
            typer.echo(note)


@intel_app.command()
def playbook(text: str, k: HowMany = 5, as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """Find response steps for a situation: RE&CT and your own documents."""
    with spoken_errors(), open_aegis(settings) as aegis:
        found = open_intel(aegis).search(query=text, corpora=("playbook", "document"), k=k)
        show_passages(Console(), found, as_json=as_json)


@intel_app.command()
def similar(
    text: Annotated[str | None, typer.Argument(help="The incident in words.")] = None,
    case: Annotated[str | None, typer.Option("--case", help="Id of a confirmed case instead.")] = None,
    k: HowMany = 5,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Find past incidents whose verdict a person confirmed."""
    from aegis_agents.errors import InputError

    with spoken_errors(), open_aegis(settings) as aegis:
        if (text is None) == (case is None):
            raise InputError("give either TEXT or --case", field="TEXT", fix="not both, not neither")
        intel = open_intel(aegis)
        cases = intel.similar_to_text(text, k) if text is not None else intel.similar_to_case(case or "", k)
        if cases is None:
            raise InputError(
                f"{case!r} is not a confirmed case", field="--case", fix="confirm it first (aegis confirm)"
            )
        show_passages(
            Console(), [c.passage() for c in cases], as_json=as_json, otherwise="no incident has been confirmed yet"
        )


@intel_app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="A", help="Id of a snapshot (aegis intel snapshots).")],
    new: Annotated[str, typer.Argument(metavar="B", help="Id of another.")],
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Say what was added, removed and changed from snapshot A to snapshot B."""
    with spoken_errors(), open_aegis(settings) as aegis:
        show_changes(Console(), open_intel(aegis).diff(old, new), as_json=as_json)


@intel_app.command()
def snapshots(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List the snapshots that are kept, newest first."""
    with spoken_errors(), open_aegis(settings) as aegis:
        show_snapshots(Console(), open_intel(aegis).snapshots(), as_json=as_json)


@intel_app.command()
def prune(by: By, settings: SettingsFile = None) -> None:
    """Drop snapshots that no verdict in the ledger names; the current one and those of the last hour stay."""
    from aegis_agents.feeding import snapshots_named

    with spoken_errors(), open_aegis(settings) as aegis:
        dropped = open_intel(aegis).prune(snapshots_named(aegis.store))
        about = {"snapshots": list(dropped.snapshots), "segments": dropped.segments, "bytes": dropped.bytes}
        aegis.store.append("intel.pruned", None, about | {"by": by})
        typer.echo(f"{len(dropped.snapshots)} snapshots dropped, {dropped.bytes / 1e6:.1f} MB freed")
