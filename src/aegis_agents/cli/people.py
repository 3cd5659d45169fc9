"""What people say of actions: `aegis approvals|approve|deny|undo|keep|timers|expire|confirm`, and `aegis token`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from aegis_agents.cli.spoken import (
    ActionId,
    IncidentId,
    JsonFlag,
    SettingsFile,
    a_number,
    open_aegis,
    print_json,
    say,
    spoken_errors,
)
from aegis_agents.errors import AegisError, InputError, IntelTampered, LedgerTampered, ModelTampered, SettingsError
from aegis_agents.records import ActionReport, Role

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis
    from aegis_agents.ledger import JournalRow

token_app = typer.Typer(help="Tokens of people who approve, undo, review and administer.", no_args_is_help=True)

Said = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Who you are, for the record. What counts is your token (AEGIS_TOKEN) or else your account on this machine.",
    ),
]
_Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")]


def _spoken(report: ActionReport) -> str:
    what = f"{report.action} {report.target.kind}:{report.target.value}"
    why = f" ({report.reason})" if report.outcome == "awaiting_approval" else ""
    return f"{what}: {report.outcome} {report.detail}".rstrip() + why


def _answer(method: str, action_id: str, settings: Path | None, **given: Any) -> None:
    with spoken_errors(), open_aegis(settings) as aegis:
        say(_spoken(getattr(aegis, method)(action_id, **given)))


def _answer_json(method: str, action_id: str, settings: Path | None, **given: Any) -> None:
    with spoken_errors(), open_aegis(settings) as aegis:
        print_json(getattr(aegis, method)(action_id, **given).model_dump(mode="json"))


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


def approve(action_id: ActionId, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Approve a waiting action. It is done at once, unless policy asks for a second person."""
    _answer("approve", action_id, settings, by=by, reason=reason)


def deny(action_id: ActionId, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Deny a waiting action: it will not be done."""
    _answer("deny", action_id, settings, by=by, reason=reason)


def undo(
    action_id: Annotated[str | None, typer.Argument(help='As `aegis approvals` and cases show it: "act-...".')] = None,
    by: Said = None,
    wrong: Annotated[
        bool, typer.Option("--wrong", help="It should not have been done: Aegis may not do the like alone any more.")
    ] = False,
    reason: _Reason = "",
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Instead of one action, all since then: 2h, 3d, 2026-11-26T09:00Z."
        ),
    ] = None,
    by_aegis_only: Annotated[
        bool, typer.Option("--by-aegis-only", help="With --since: leave what a person approved.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="With --since: say what would be taken back.")] = False,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """Take back an action that was done, or all that were done since a time (exit code 1 if some could not be)."""
    with spoken_errors():
        if (action_id is None) == (since is None):
            raise InputError("give one action, or --since", field="ACTION_ID", fix="aegis undo act-... | --since 2h")
        if since is None and (by_aegis_only or dry_run):
            raise InputError("goes with --since alone", field="--by-aegis-only, --dry-run")
        if since is not None and wrong:
            raise InputError("goes with one action", field="--wrong", fix="say it of each action that was wrong")
    if action_id is not None:
        if as_json:
            _answer_json("undo", action_id, settings, by=by, wrong=wrong, reason=reason)
        else:
            _answer("undo", action_id, settings, by=by, wrong=wrong, reason=reason)
        return
    with spoken_errors(), open_aegis(settings) as aegis:
        complete = _undo_since(
            aegis, str(since), as_json, by=by, reason=reason, by_aegis_only=by_aegis_only, dry_run=dry_run
        )
    if not complete:
        raise typer.Exit(1)


def _undo_since(aegis: Aegis, since: str, as_json: bool, **given: Any) -> bool:
    from aegis_agents.assurance.replay import parse_since
    from aegis_agents.taking_back import undo_since

    done = undo_since(aegis, parse_since(since, datetime.now(UTC)), **given)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return done.complete
    for report in done.undone:
        say(
            _spoken(report)
            if not done.dry_run
            else f"would take back {report.action} {report.target.kind}:{report.target.value}"
        )
    for left in done.left:
        what = f"{left.action.action} {left.action.target.kind}:{left.action.target.value}"
        say(f"{left.action.action_id}  {what}: not taken back: {left.why}; {left.by_hand}", err=True)
    say(f"{len(done.undone)} {'would be taken' if done.dry_run else 'taken'} back, {len(done.left)} left")
    return done.complete


def keep(action_id: ActionId, by: Said = None, reason: _Reason = "", settings: SettingsFile = None) -> None:
    """Let an action stay that would lift itself (see `aegis timers`)."""
    with spoken_errors(), open_aegis(settings) as aegis:
        report = aegis.keep(action_id, by=by, reason=reason)
        say(f"{report.action} {report.target.kind}:{report.target.value}: stays until it is undone")


def confirm(
    incident_id: IncidentId,
    verdict: Annotated[str, typer.Argument(help="true_positive, benign_positive or false_positive.")],
    by: Said = None,
    settings: SettingsFile = None,
) -> None:
    """Say what an incident really was; similar ones are judged with that from now on."""
    with spoken_errors(), open_aegis(settings) as aegis:
        aegis.confirm(incident_id, verdict, by=by)  # type: ignore[arg-type]  # the memory refuses any other word
        say(f"{incident_id}: remembered as {verdict}")


def timers(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List the actions in effect that will lift themselves, the next first."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for row in aegis.timers():
            if as_json:
                print_json({"action_id": row.action_id, "expires_at": row.expires_at} | _what(row))
            else:
                at = row.expires_at.isoformat(timespec="minutes") if row.expires_at else ""
                say(f"{at}  {row.action_id}  {row.proposal.action} {row.target.kind}:{row.target.value}")


def _what(row: JournalRow) -> dict[str, Any]:
    return {"action": row.proposal.action, "target": row.target.model_dump(), "incident_id": row.incident_id}


def expire(
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch", metavar="SECONDS", min=1, max=86_400, callback=a_number,
            help="Go on until stopped: every so many seconds lift what is due, and finish what dead processes had begun.",
        ),
    ] = None,
    settings: SettingsFile = None,
) -> None:  # fmt: skip
    """Lift what is past its time, as `investigate` does at its end; run it where nothing is investigated for long."""
    with spoken_errors(), open_aegis(settings) as aegis:
        if watch is None:
            _expire(aegis)
            return
        while True:
            try:
                _expire(aegis)
                for case in aegis.recover():
                    say(f"{case.incident_id}: decided after a crash: {case.verdict}")
            except (SettingsError, LedgerTampered, ModelTampered, IntelTampered):
                raise
            except AegisError as error:
                say(f"aegis: {error}; tried again in {watch:g} s", err=True)  # a locked database must not end the watch
            time.sleep(watch)


def _expire(aegis: Aegis) -> None:
    for report in aegis.expire_due():
        say(_spoken(report))


@token_app.command("add")
def add_token(
    name: Annotated[str, typer.Argument(help="Whose: a person, not a team. All tokens of one name are one person.")],
    roles: Annotated[
        list[str],
        typer.Option(
            "--role", help="viewer, analyst, approver, operator, reviewer, admin; may be given several times."
        ),
    ],
    days: Annotated[
        float, typer.Option("--days", min=0.01, max=3650, callback=a_number, help="How long it holds.")
    ] = 90,
    settings: SettingsFile = None,
) -> None:
    """Make a token and print it, this once: only its hash is kept. Its holder sets it as AEGIS_TOKEN. Needs the role admin."""
    with spoken_errors(), open_aegis(settings) as aegis:
        typer.echo(aegis.add_token(name, _roles(roles), valid_for=timedelta(days=days)))


def _roles(given: list[str]) -> list[Role]:
    return given  # type: ignore[return-value]  # the store refuses any other word


@token_app.command("list")
def list_tokens(as_json: JsonFlag = False, settings: SettingsFile = None) -> None:
    """List all tokens ever made, with roles and end; never their secrets."""
    with spoken_errors(), open_aegis(settings) as aegis:
        for row in aegis.store.tokens():
            if as_json:
                print_json(row.model_dump(mode="json"))
            else:
                state = "revoked" if row.revoked_at else f"until {row.expires_at:%Y-%m-%d}"
                say(f"{row.token_id}  {row.name}  {row.roles}  {state}")


@token_app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(help="As `aegis token list` shows it.")], settings: SettingsFile = None
) -> None:
    """End a token at once; a yes that was said with it and not acted on yet counts no more. Needs the role admin."""
    with spoken_errors(), open_aegis(settings) as aegis:
        aegis.revoke_token(token_id)
        say(f"{token_id}: revoked")


def add_commands(app: typer.Typer) -> None:
    """Register all of these."""
    for command in (approvals, approve, deny, undo, keep, confirm, timers, expire):
        app.command()(command)
    app.add_typer(token_app, name="token")
