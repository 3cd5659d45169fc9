"""Aegis for Splunk SOAR: hand in alerts, read cases, answer what waits, ask. All it does is ask an Aegis server.

What the server says stems from alerts: it is put into outputs as data and shown escaped, never followed.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, get_args

from soar_sdk.abstract import SOARClient
from soar_sdk.app import App
from soar_sdk.asset import AssetField, BaseAsset, FieldCategory
from soar_sdk.exceptions import ActionFailure, AssetMisconfiguration
from soar_sdk.models.artifact import Artifact
from soar_sdk.models.container import Container
from soar_sdk.params import OnPollParams

from .aegis_client import AegisClientError, Client, InvalidInput
from .alerts import alert_of
from .shapes import (
    ActionParams,
    ActionRow,
    AlertParams,
    AnswerOutput,
    ApprovalOutput,
    ApprovalsSummary,
    AskParams,
    CaseOutput,
    CaseSummary,
    IncidentParams,
    LimitParams,
)

_POLLED = 100
_MOST = 500
_SEVERITY = {"contain": "medium", "restore": "low", "destroy": "high"}


class Asset(BaseAsset):
    """The server, and who asks."""

    url: str = AssetField(description="Address of the Aegis server, as in https://aegis.example")
    token: str = AssetField(description="Token of 'aegis token add'", sensitive=True)
    verify: bool = AssetField(description="Verify the server's certificate", required=False, default=True)
    ca_certificate: str | None = AssetField(
        description="Certificate authority of your own (PEM)", required=False, is_file=True
    )
    timeout: int = AssetField(description="Seconds to wait for an answer", required=False, default=30)
    poll_limit: int = AssetField(
        description="Actions that a poll fetches at most",
        required=False,
        default=_POLLED,
        category=FieldCategory.INGEST,
    )


app = App(
    name="Aegis",
    app_type="investigative",
    logo="logo.svg",
    logo_dark="logo_dark.svg",
    product_vendor="Aegis Agents",
    product_name="Aegis",
    publisher="Aegis Agents",
    appid="6b1f6c2e-3a6e-4b39-9d0b-5b0f2a8f6d11",
    python_version="3.13",
    fips_compliant=False,
    asset_cls=Asset,
)


@contextmanager
def asking(asset: Asset) -> Iterator[Client]:
    """A client of the asset's server; what goes wrong there fails the action with what it says."""
    try:
        with Client(asset.url, asset.token, timeout=float(asset.timeout), verify=_verify(asset)) as client:
            yield client
    except InvalidInput as error:
        if error.field in ("url", "token", "timeout"):
            raise AssetMisconfiguration(str(error)) from error
        raise ActionFailure(str(error)) from error
    except AegisClientError as error:
        raise ActionFailure(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ActionFailure(f"the server's answer is not what this app knows: {error}"[:500]) from error


def _verify(asset: Asset) -> ssl.SSLContext | bool:
    if not asset.verify or not asset.ca_certificate:
        return bool(asset.verify)
    try:
        return ssl.create_default_context(cadata=asset.ca_certificate)
    except (ssl.SSLError, ValueError) as error:
        raise AssetMisconfiguration(f"ca_certificate: is no certificate in PEM ({error})") from error


@app.test_connectivity()
def test_connectivity(asset: Asset) -> None:
    """Ask the server whether it is up, and whether the token may read."""
    with asking(asset) as client:
        client.health()
        client.approvals(limit=1)


@app.view_handler(template="case.html")
def case_view(outputs: list[CaseOutput]) -> dict:
    """The case as a widget."""
    return {"cases": [output.model_dump() for output in outputs]}


@app.action(
    name="investigate alert",
    action_type="investigate",
    read_only=False,
    verbose="Judges an alert with its evidence. The server does what it may do alone, and asks a person for the rest. "
    "The same alert again answers the case that is there: nothing is done twice.",
    summary_type=CaseSummary,
    view_handler=case_view,
)
def investigate_alert(params: AlertParams, soar: SOARClient, asset: Asset) -> CaseOutput:
    """Judge an alert, or this container, and do or ask for what follows."""
    alert = alert_of(soar, params.alert)
    with asking(asset) as client:
        return _case(soar, client.investigate(alert, format=params.format or None, shadow=params.shadow))


@app.action(
    name="get case", action_type="investigate", read_only=True, summary_type=CaseSummary, view_handler=case_view
)
def get_case(params: IncidentParams, soar: SOARClient, asset: Asset) -> CaseOutput:
    """Read a case as it stands now."""
    with asking(asset) as client:
        return _case(soar, client.incident(params.incident_id))


@app.action(
    name="list approvals", action_type="investigate", read_only=True, summary_type=ApprovalsSummary, render_as="table"
)
def list_approvals(params: LimitParams, soar: SOARClient, asset: Asset) -> list[ApprovalOutput]:
    """List the actions that wait for a person."""
    with asking(asset) as client:
        found = client.approvals(limit=_within("limit", params.limit))
        soar.set_summary(ApprovalsSummary(waiting=found["total"]))
        soar.set_message(f"{found['total']} actions wait for a person")
        return [ApprovalOutput(**_known(ApprovalOutput, row)) for row in found["items"]]


@app.action(name="approve action", action_type="contain", read_only=False, render_as="table")
def approve_action(params: ActionParams, soar: SOARClient, asset: Asset) -> ActionRow:
    """Approve a waiting action; it is done at once, unless policy wants another person too."""
    return _say(asset, soar, "approve", params)


@app.action(name="deny action", action_type="generic", read_only=False, render_as="table")
def deny_action(params: ActionParams, soar: SOARClient, asset: Asset) -> ActionRow:
    """Deny a waiting action; it is not done."""
    return _say(asset, soar, "deny", params)


@app.action(name="undo action", action_type="correct", read_only=False, render_as="table")
def undo_action(params: ActionParams, soar: SOARClient, asset: Asset) -> ActionRow:
    """Take back what was done, if it can be."""
    return _say(asset, soar, "undo", params)


@app.action(name="ask", action_type="investigate", read_only=True, render_as="table")
def ask(params: AskParams, soar: SOARClient, asset: Asset) -> AnswerOutput:
    """Ask about a case, the queue or intelligence in plain language; the answer cites and never acts."""
    with asking(asset) as client:
        answer = client.ask(params.question, params.incident_id or None)
        return AnswerOutput(**_known(AnswerOutput, dict(answer)))


@app.on_poll()
def on_poll(params: OnPollParams, soar: SOARClient, asset: Asset) -> Iterator[Container | Artifact]:
    """Fetch the actions that wait for a person, a container each; the platform knows them again by the action's id."""
    limit = asset.poll_limit
    if params.is_manual_poll():
        limit = min(limit, int(params.container_count or limit))
    with asking(asset) as client:
        found = client.approvals(limit=_within("poll_limit", limit))
        saved = [item for row in found["items"] for item in _asked(row)]
    yield from saved


def _asked(row: Any) -> tuple[Container, Artifact]:
    """An action that waits, as the platform keeps it: the container, and the artifact that playbooks run on."""
    target, severity = row["target"], _SEVERITY.get(row["effect"], "medium")
    container = Container(
        name=f"Aegis asks: {row['action']} on {target['kind']} {target['value']}"[:200],
        description=row["reason"][:2_000],
        source_data_identifier=row["action_id"],
        severity=severity,
        start_time=row["asked_at"],
        run_automation=False,
    )
    artifact = Artifact(
        name=row["action"],
        label="approval",
        source_data_identifier=row["action_id"],
        severity=severity,
        run_automation=True,
        cef={
            "aegisActionId": row["action_id"],
            "aegisIncidentId": row["incident_id"],
            "aegisAction": row["action"],
            "aegisTargetKind": target["kind"],
            "aegisTarget": target["value"],
            "aegisIncidentTitle": row["title"],
            "aegisVerdict": row["verdict"],
            "aegisConfidence": row["confidence"],
            "aegisWhyWaiting": row["why_waiting"],
            "aegisRule": row["rule"],
            "aegisUndo": row["undo"],
        },
        cef_types={"aegisActionId": ["aegis action id"], "aegisIncidentId": ["aegis incident id"]},
    )
    return container, artifact


def _say(asset: Asset, soar: SOARClient, verb: str, params: ActionParams) -> ActionRow:
    with asking(asset) as client:
        row = getattr(client, verb)(params.action_id, params.reason or "")
        soar.set_message(f"{row['action']}: {row['outcome']}")
        return ActionRow(**_known(ActionRow, row))


def _case(soar: SOARClient, case: Any) -> CaseOutput:
    outcomes = [action["outcome"] for action in case["actions"]]
    summary = CaseSummary(
        verdict=case["verdict"],
        confidence=case["confidence"],
        severity=case["severity"],
        executed=outcomes.count("executed"),
        waiting=outcomes.count("awaiting_approval"),
    )
    soar.set_summary(summary)
    soar.set_message(f"{summary.verdict} ({summary.confidence:.0%}), {summary.waiting} actions wait for a person")
    return CaseOutput(**_known(CaseOutput, case) | {"evidence": [_evidence(row) for row in case["evidence"]]})


def _evidence(row: dict[str, Any]) -> dict[str, Any]:
    fact = row.get("kind") == "fact"
    where, text, weight = ("path", "value", "weight") if fact else ("source", "title", "score")
    said = {"where": str(row.get(where, "")), "text": str(row.get(text, "")), "weight": float(row.get(weight) or 0.0)}
    return {"id": row["id"], "kind": row["kind"], **said}


def _known(shape: Any, row: Any) -> dict[str, Any]:
    """What the output's shape has; a newer server may say more. Raises KeyError for what it must say and does not."""
    optional = {name for name, field in shape.model_fields.items() if type(None) in get_args(field.annotation)}
    return {name: row[name] for name in shape.model_fields if name in row or name not in optional}


def _within(field: str, limit: int) -> int:
    if not 1 <= limit <= _MOST:
        raise ActionFailure(f"{field}: is {limit}, not 1 to {_MOST}")
    return limit


if __name__ == "__main__":
    app.cli()
