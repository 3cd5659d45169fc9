"""What people say of actions: `aegis approvals|approve|deny|undo|keep|timers|expire|confirm`, and `aegis token`."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors
from aegis_agents.records import ActionReport, Role

if TYPE_CHECKING:
    from aegis_agents.ledger import JournalRow

token_app = typer.Typer(help="Tokens of people who approve, undo, review and administer.", no_args_is_help=True)

Said = Annotated[
    str | None,
    typer.Option("--by", help="Who asks; without a token (AEGIS_TOKEN) it is noted beside the system's account."),
]
_Reason = Annotated[str, typer.Option("--reason", help="Why.")]


def _spoken(report: ActionReport) -> str:
    what = f"{report.action} {report.target.kind}:{report.target.value}"
    why = f" ({report.reason})" if report.outcome == "awaiting_approval" else ""
    return f"{what}: {report.outcome} {report.detail}".rstrip() + why


def _answer(method: str, action_id: str, settings: Path | None, **given: Any) -> None:
    with spoken_errors(), open_aegis(settings) as aegis:
        typer.echo(_spoken(getattr(aegis, method)(action_id, **given)))


def approvals(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List what waits for a person, oldest first."""
    from aegis_agents.cli.render import show_pending

    with spoken_errors(), open_aegis(settings) as aegis:
        rows = aegis.pending()
        if as_json:
            for row in rows:
                print_json(row.report().model_dump(mode="json") | {"incident_id": row.incident_id})
        else:
            show_pending(Console(), rows)


def approve(action_id: str, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Approve a waiting action; it is done at once, unless policy wants another person too."""
    _answer("approve", action_id, settings, by=by, reason=reason)


def deny(action_id: str, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Deny a waiting action."""
    _answer("deny", action_id, settings, by=by, reason=reason)


def undo(
    action_id: str,
    by: Said = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="It should not have been done: Aegis may not do the like alone any more.")
    ] = False,
    reason: _Reason = "",
    settings: SettingsFile = None,
) -> None:
    """Take an action back."""
    _answer("undo", action_id, settings, by=by, wrong=wrong, reason=reason)


def keep(action_id: str, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Let an action stay that would lift itself."""
    with spoken_errors(), open_aegis(settings) as aegis:
        report = aegis.keep(action_id, by=by, reason=reason)
        typer.echo(f"{report.action} {report.target.kind}:{report.target.value}: stays until it is undone")


def confirm(
    incident_id: str,
    verdict: Annotated[str, typer.Argument(help="true_positive, benign_positive or false_positive.")],
    by: Said = None,
    settings: SettingsFile = None,
) -> None:
    """Say what an incident really was; similar ones are judged with that from now on."""
    with spoken_errors(), open_aegis(settings) as aegis:
        aegis.confirm(incident_id, verdict, by=by)  # type: ignore[arg-type]  # the memory refuses any other word
        typer.echo(f"{incident_id}: remembered as {verdict}")


def timers(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List what will lift itself, the next first."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for row in aegis.timers():
            if as_json:
                print_json({"action_id": row.action_id, "expires_at": row.expires_at} | _what(row))
            else:
                at = row.expires_at.isoformat(timespec="minutes") if row.expires_at else ""
                typer.echo(f"{at}  {row.action_id}  {row.proposal.action} {row.target.kind}:{row.target.value}")


def _what(row: JournalRow) -> dict[str, Any]:
    return {"action": row.proposal.action, "target": row.target.model_dump(), "incident_id": row.incident_id}


def expire(
    watch: Annotated[
        float | None, typer.Option("--watch", min=1, help="Go on, looking every so many seconds, until stopped.")
    ] = None,
    settings: SettingsFile = None,
) -> None:
    """Lift what is past its time. Investigating does that too; run this where nothing is investigated."""
    with spoken_errors(), open_aegis(settings) as aegis:
        while True:
            for report in aegis.expire_due():
                typer.echo(_spoken(report))
            if watch is None:
                return
            time.sleep(watch)


@token_app.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Whose: the person, not a team. Tokens of one name are one person.")],
    roles: Annotated[
        list[str], typer.Option("--role", help="approver, operator, reviewer, admin; may be given several times.")
    ],
    days: Annotated[float, typer.Option("--days", min=0.01, help="How long it holds.")] = 90,
    settings: SettingsFile = None,
) -> None:
    """Make a token and print it once; only its hash is kept. Hand it over as AEGIS_TOKEN."""
    with spoken_errors(), open_aegis(settings) as aegis:
        typer.echo(aegis.add_token(name, _roles(roles), valid_for=timedelta(days=days)))


def _roles(given: list[str]) -> list[Role]:
    return given  # type: ignore[return-value]  # the store refuses any other word


@token_app.command("list")
def list_tokens(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List tokens, never their secrets."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for row in aegis.store.tokens():
            if as_json:
                print_json(row.model_dump(mode="json"))
            else:
                state = "revoked" if row.revoked_at else f"until {row.expires_at:%Y-%m-%d}"
                typer.echo(f"{row.token_id}  {row.name}  {row.roles}  {state}")


@token_app.command("revoke")
def revoke_token(token_id: str, settings: SettingsFile = None) -> None:
    """End a token at once."""
    with spoken_errors(), open_aegis(settings) as aegis:
        aegis.revoke_token(token_id)
        typer.echo(f"{token_id}: revoked")


def add_commands(app: typer.Typer) -> None:
    """Register all of these."""
    for command in (approvals, approve, deny, undo, keep, confirm, timers, expire):
        app.command()(command)
    app.add_typer(token_app, name="token")
