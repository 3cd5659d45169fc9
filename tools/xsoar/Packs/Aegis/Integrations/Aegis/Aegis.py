"""Aegis for Cortex XSOAR: hand in alerts, read cases, answer what waits for a person, ask."""

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import demistomock as demisto
from CommonServerPython import *  # noqa: F403
from CommonServerUserPython import *  # noqa: F403

MOST_WAITING = 500
LONGEST_ID = 300
FINAL_VERDICTS = ("true_positive", "benign_positive", "false_positive")
SEVERITY = {"restore": 1, "contain": 2, "destroy": 3}
# As character references, these can't be markup: not of Markdown, not of HTML, not of a table, not of XSOAR's colours.
MARKS = {ord(mark): f"&#{ord(mark)};" for mark in "&<>\"'`\\*_{}[]#!|~$%^"}


class Client(BaseClient):  # type: ignore[name-defined] # noqa: F405
    """Speaks to one Aegis server. Redirects are not followed, so that the token stays with it."""

    def send(self, method: str, path: str, params: dict[str, Any] | None = None, data: Any = None) -> dict[str, Any]:
        """One request. Every POST has an idempotency key. Raises DemistoException with what the server says."""
        headers = dict(self._headers)
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        answer = self._http_request(
            method,
            url_suffix=path,
            headers=headers,
            params=params,
            data=data if isinstance(data, bytes) or data is None else json.dumps(data).encode(),
            ok_codes=(200, 201),
            resp_type="response",
            error_handler=said_no,
            allow_redirects=False,
        )
        try:
            found = answer.json()
        except (ValueError, RecursionError) as error:
            raise DemistoException("The answer is no JSON: is this an Aegis server?") from error  # noqa: F405
        if not isinstance(found, dict):
            raise DemistoException("The answer is no JSON object: is this an Aegis server?")  # noqa: F405
        return found


def said_no(response: Any) -> None:
    """Raise what the server says is wrong (RFC 9457), with its field and its fix."""
    try:
        problem = response.json()
    except (ValueError, RecursionError):
        problem = None
    problem = problem if isinstance(problem, dict) else {}
    told = str(problem.get("detail") or f"HTTP {response.status_code}")[:2_000]
    if 300 <= response.status_code < 400:
        told += ": redirects are not followed, give the server's final address"
    field, fix = problem.get("field"), problem.get("fix")
    message = (f"{field}: " if field else "") + told + (f" ({fix})" if fix else "")
    raise DemistoException(message, res=response)  # noqa: F405


def shown(value: Any) -> str:
    """Text of anybody's as Markdown that reads just so: no markup, and no address that can be clicked."""
    flat = " ".join(str("" if value is None else value).split())
    return flat.replace("://", "[:]//").translate(MARKS)


def segment(args: dict[str, Any], name: str) -> str:
    """An id as one segment of a path, whatever is in it."""
    value = str(args.get(name) or "")
    if not 1 <= len(value) <= LONGEST_ID or value in (".", ".."):
        raise ValueError(f"{name}: is no id (as the server gave it)")
    return quote(value, safe="")


def case_results(case: dict[str, Any]) -> Any:
    """A case as an entry of the war room and in the context."""
    title = f"Aegis: {shown(case['title'])}"
    head = {
        "Verdict": f"{case['verdict']} ({case['confidence']:.0%})",
        "Severity": case["severity"],
        "ATT&CK": ", ".join(map(shown, case["techniques"])),
        "Incident": shown(case["incident_id"]),
        "Summary": shown(case["summary"]),
    }
    actions = [
        {
            "Action": shown(row["action"]),
            "Target": shown(f"{row['target']['kind']} {row['target']['value']}"),
            "Outcome": shown(row["outcome"]),
            "Why": shown(row["reason"]),
            "Id": shown(row["action_id"]),
        }
        for row in case["actions"]
    ]
    evidence = [
        {
            "Id": shown(row["id"]),
            "Where": shown(row.get("path") or row.get("source")),
            "Says": shown(row.get("value") or row.get("title")),
            "Weight": row.get("weight", row.get("score")),
        }
        for row in case["evidence"]
    ]
    readable = "\n".join(
        [
            tableToMarkdown(title, head),  # noqa: F405
            tableToMarkdown("Actions", actions, headers=["Action", "Target", "Outcome", "Why", "Id"]),  # noqa: F405
            tableToMarkdown("Evidence", evidence, headers=["Id", "Where", "Says", "Weight"]),  # noqa: F405
        ]
    )
    return CommandResults(  # noqa: F405
        outputs_prefix="Aegis.Case",
        outputs_key_field="incident_id",
        outputs=case,
        readable_output=readable,
        raw_response=case,
        ignore_auto_extract=True,
    )


def investigate_command(client: Client, args: dict[str, Any]) -> Any:
    """Judge an alert and do, or ask for, what follows."""
    alert = args.get("alert")
    text = json.dumps(alert) if isinstance(alert, dict) else str(alert or "")
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        raise ValueError("alert: is no JSON object")
    params = {"format": args["format"]} if args.get("format") else {}
    if argToBoolean(args.get("shadow", False)):  # noqa: F405
        params["shadow"] = "true"
    body = text.encode("utf-8", "backslashreplace")
    return case_results(client.send("POST", "/v1/incidents", params=params, data=body))


def case_get_command(client: Client, args: dict[str, Any]) -> Any:
    """A case as it stands now."""
    return case_results(client.send("GET", f"/v1/incidents/{segment(args, 'incident_id')}"))


def confirm_command(client: Client, args: dict[str, Any]) -> Any:
    """Say what an incident really was."""
    verdict = args.get("verdict")
    if verdict not in FINAL_VERDICTS:
        raise ValueError(f"verdict: is none of {', '.join(FINAL_VERDICTS)}")
    path = f"/v1/incidents/{segment(args, 'incident_id')}/confirm"
    said = client.send("POST", path, data={"verdict": verdict})
    return CommandResults(  # noqa: F405
        outputs_prefix="Aegis.Confirmed",
        outputs_key_field="incident_id",
        outputs=said,
        readable_output=f"Remembered: {shown(said['incident_id'])} was {shown(said['verdict'])}.",
        ignore_auto_extract=True,
    )


def approvals_list_command(client: Client, args: dict[str, Any]) -> Any:
    """What waits for a person, oldest first."""
    limit = arg_to_number(args.get("limit", 50), "limit")  # noqa: F405
    if limit is None or not 1 <= limit <= MOST_WAITING:
        raise ValueError(f"limit: is not 1 to {MOST_WAITING}")
    found = client.send("GET", "/v1/approvals", params={"limit": limit})
    rows = [
        {
            "Action": shown(row["action"]),
            "Target": shown(f"{row['target']['kind']} {row['target']['value']}"),
            "Incident": shown(row["title"]),
            "Verdict": shown(row["verdict"]),
            "Why it waits": shown(row["why_waiting"]),
            "Way back": shown(row["undo"] or "none"),
            "Id": shown(row["action_id"]),
        }
        for row in found["items"]
    ]
    headers = ["Action", "Target", "Incident", "Verdict", "Why it waits", "Way back", "Id"]
    title = f"Aegis: {found['total']} actions wait for a person"
    return CommandResults(  # noqa: F405
        outputs_prefix="Aegis.Approval",
        outputs_key_field="action_id",
        outputs=found["items"],
        readable_output=tableToMarkdown(title, rows, headers=headers),  # noqa: F405
        raw_response=found,
        ignore_auto_extract=True,
    )


def answer_command(verb: str) -> Callable[[Client, dict[str, Any]], Any]:
    """The command that approves, denies or undoes."""

    def command(client: Client, args: dict[str, Any]) -> Any:
        path = f"/v1/actions/{segment(args, 'action_id')}/{verb}"
        reason = str(args.get("reason") or "")
        row = client.send("POST", path, data={"reason": reason} if reason else {})
        target = f"{row['target']['kind']} {row['target']['value']}"
        return CommandResults(  # noqa: F405
            outputs_prefix="Aegis.Action",
            outputs_key_field="action_id",
            outputs=row,
            readable_output=f"{shown(row['action'])} on {shown(target)}: **{shown(row['outcome'])}**",
            ignore_auto_extract=True,
        )

    return command


def ask_command(client: Client, args: dict[str, Any]) -> Any:
    """Ask in plain language; the answer cites and never acts."""
    body = {"question": str(args.get("question") or "")}
    if args.get("incident_id"):
        body["incident_id"] = str(args["incident_id"])
    answer = client.send("POST", "/v1/ask", data=body)
    cites = [{"Id": shown(c["id"]), "Says": shown(c["text"])} for c in answer.get("cites") or []]
    readable = shown(answer["text"])
    if cites:
        readable += "\n" + tableToMarkdown("It rests on", cites, headers=["Id", "Says"])  # noqa: F405
    return CommandResults(  # noqa: F405
        outputs_prefix="Aegis.Answer",
        outputs_key_field="question",
        outputs=answer,
        readable_output=readable,
        ignore_auto_extract=True,
    )


def test_module(client: Client) -> str:
    """Whether the server is up and the token may read."""
    client.send("GET", "/v1/approvals", params={"limit": 1})
    return "ok"


def fetch_incidents(
    client: Client, last_run: dict[str, Any], max_fetch: int
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An incident for each action that waits and was not fetched before.

    What was fetched and no longer waits is forgotten, so that the list stays as short as the queue.
    """
    known = set(last_run.get("waiting") or [])
    waiting = client.send("GET", "/v1/approvals", params={"limit": MOST_WAITING})["items"]
    new = [row for row in waiting if row["action_id"] not in known][:max_fetch]
    incidents = [
        {
            "name": f"Aegis asks: {row['action']} on {row['target']['kind']} {row['target']['value']}"[:250],
            "occurred": row["asked_at"],
            "severity": SEVERITY.get(row["effect"], 2),
            "details": row["reason"],
            "rawJSON": json.dumps(row),
        }
        for row in new
    ]
    fetched = known | {row["action_id"] for row in new}
    return {"waiting": [row["action_id"] for row in waiting if row["action_id"] in fetched]}, incidents


COMMANDS: dict[str, Callable[[Client, dict[str, Any]], Any]] = {
    "aegis-investigate": investigate_command,
    "aegis-case-get": case_get_command,
    "aegis-case-confirm": confirm_command,
    "aegis-approvals-list": approvals_list_command,
    "aegis-action-approve": answer_command("approve"),
    "aegis-action-deny": answer_command("deny"),
    "aegis-action-undo": answer_command("undo"),
    "aegis-ask": ask_command,
}


def client_of(params: dict[str, Any]) -> Client:
    """The client of an instance. Raises ValueError, also where the token would travel unencrypted."""
    url = str(params.get("url") or "").strip().rstrip("/")
    token = str((params.get("credentials") or {}).get("password") or "")
    parts = urlsplit(url)
    if (
        parts.scheme not in ("https", "http")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
    ):
        raise ValueError("url: is no address of a server (as in https://aegis.example)")
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost"):
        raise ValueError("url: the token would travel unencrypted (as in https://aegis.example)")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("token: is empty or has characters that none has")
    headers = {"Accept": "application/json", "Authorization": f"Bearer {token}"}
    return Client(
        base_url=url,
        verify=not argToBoolean(params.get("insecure", False)),  # noqa: F405
        proxy=argToBoolean(params.get("proxy", False)),  # noqa: F405
        headers=headers,
        timeout=60,
    )


def main() -> None:
    """Run the command that was called."""
    command = demisto.command()
    demisto.debug(f"Command being called is {command}")
    try:
        params = demisto.params()
        client = client_of(params)
        if command == "test-module":
            return_results(test_module(client))  # noqa: F405
        elif command == "fetch-incidents":
            max_fetch = arg_to_number(params.get("max_fetch") or 50, "max_fetch") or 50  # noqa: F405
            last_run, incidents = fetch_incidents(client, demisto.getLastRun(), min(max_fetch, 200))
            demisto.setLastRun(last_run)
            demisto.incidents(incidents)
        elif command in COMMANDS:
            return_results(COMMANDS[command](client, demisto.args()))  # noqa: F405
        else:
            raise NotImplementedError(f"Command {command} is not implemented.")
    except KeyError as error:
        return_error(f"Failed to execute {command} command.\nError:\nThe server's answer has no {error}.")  # noqa: F405
    except Exception as error:  # noqa: BLE001 - XSOAR's convention: every error becomes an error entry
        return_error(f"Failed to execute {command} command.\nError:\n{error}")  # noqa: F405


if __name__ in ("__main__", "__builtin__", "builtins"):  # pragma: no cover
    main()
