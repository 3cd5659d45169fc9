#!/usr/bin/env python3
"""Cortex responders: Aegis_Investigate on a case or an alert; Aegis_Approve, _Deny and _Undo on the task that one made.

For each action that waits, Aegis_Investigate makes a task whose title names the action, its target and its id. The others
act on such a task alone, and only if its title is still exactly what the server says of that action: what was read is what
is approved. Titles, tags and descriptions of cases and alerts, which a feed may have written, name no action.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from aegis_worker import SECRETS, ask_aegis
from cortexutils.responder import Responder

KEPT = (
    "_id", "id", "type", "source", "sourceRef", "title", "description", "severity", "date", "startDate", "tags", "tlp", "pap",
    "externalLink", "customFields", "artifacts", "observables",
)  # fmt: skip
"""What of an object is sent: not who works on it nor how far, which changes and is no alert's business."""
_NAMES = {
    "ip": "ip_address", "domain": "domain", "fqdn": "domain", "url": "url", "mail": "email_address", "filename": "file_name",
    "hostname": "hostname", "registry": "registry_key", "user-agent": "user_agent", "user": "username",
    "mail-subject": "email_subject", "mail_subject": "email_subject", "uri_path": "uri_path",
}  # fmt: skip
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}
_MOST = 500
SERVICES = {"approve": "approve", "deny": "deny", "undo": "undo"}
_ID = re.compile(r"\[(act-[0-9a-f]{16,64})\]$")


def alert_of(found: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A case or an alert of TheHive as an alert; the same object gives the same alert, so that it is judged once."""
    kept = {key: found[key] for key in KEPT if found.get(key) not in (None, "", [], {})}
    for key in ("artifacts", "observables"):
        if isinstance(kept.get(key), list):
            kept[key] = [_observable(item) for item in kept[key][:_MOST] if isinstance(item, Mapping)]
    return {"product": "TheHive", "object": kind.removeprefix("thehive:"), **kept}


def _observable(item: Mapping[str, Any]) -> dict[str, Any]:
    """An observable under the name by which Aegis knows what it is: `data` alone says nothing."""
    kind, data = str(item.get("dataType")), item.get("data")
    name = _HASHES.get(len(str(data)), "hash") if kind == "hash" else _NAMES.get(kind, "value")
    more = {
        key: item[key] for key in ("message", "tags", "ioc", "sighted", "tlp") if item.get(key) not in (None, "", [])
    }
    return {"type": kind, name: data, **more}


def title_of(action: Mapping[str, Any]) -> str:
    """The title of an action's task."""
    target = action["target"]
    value = " ".join(str(target["value"]).split())[:120]
    return f"Aegis: {action['action']} {target['kind']} {value} [{action['action_id']}]"


class AegisResponder(Responder):  # type: ignore[misc]
    """One script, four services."""

    def __init__(self, job_directory: str | None = None) -> None:
        super().__init__(job_directory, SECRETS)
        self.service = self.get_param("config.service", None, "the setting service is missing")

    def run(self) -> None:
        """Do what the service says."""
        found = self.get_data()
        if not isinstance(found, dict):
            self.error("the job's data is no object of TheHive")
        if self.service == "investigate":
            self.report(self._investigate(found))
        elif self.service in SERVICES:
            self.report(self._decide(found))
        else:
            self.error(f"there is no service {self.service!r}")

    def _investigate(self, found: dict[str, Any]) -> dict[str, Any]:
        if self.data_type not in ("thehive:case", "thehive:alert"):
            self.error(f"{self.data_type} can't be investigated: run this on a case or an alert")
        alert = alert_of(found, self.data_type)
        case = ask_aegis(self, lambda client: dict(client.investigate(alert)))
        return {"message": f"{case['verdict']} ({case['confidence']:.2f})", "service": self.service, "case": case}

    def _decide(self, found: dict[str, Any]) -> dict[str, Any]:
        title = str(found.get("title", ""))
        named = _ID.search(title)
        if self.data_type != "thehive:case_task" or named is None:
            self.error("run this on a task that Aegis_Investigate made: its title ends with the action's id")
        action_id = named.group(1)
        action = ask_aegis(self, lambda client: client.action(action_id))
        if title != title_of(action):
            self.error(f"the task's title is not what Aegis says of that action now: {title_of(action)}")
        # The person is told, not proven: who decides is the token.
        who = str(self.get_param("parameters.user", "") or "someone")
        report = ask_aegis(
            self,
            lambda client: getattr(client, SERVICES[self.service])(action_id, f"by a responder of TheHive ({who})"),
        )
        return {"message": f"{report['action']}: {report['outcome']}", "service": self.service, "action": dict(report)}

    def operations(self, raw: dict[str, Any]) -> list[dict[str, Any]]:
        """What TheHive does with the result."""
        if raw["service"] != "investigate":
            report = raw["action"]
            done = [] if report["outcome"] == "awaiting_approval" else [self.build_operation("CloseTask")]
            told = f"Aegis: {report['outcome']}. {inert(report.get('reason', ''))}"
            return [self.build_operation("AddLogToTask", content=told, owner=None), *done]
        case = raw["case"]
        kind = "AddTagToCase" if self.data_type == "thehive:case" else "AddTagToAlert"
        tags = [f'aegis:verdict="{case["verdict"]}"', f'aegis:severity="{case["severity"]}"']
        found = [self.build_operation(kind, tag=tag) for tag in tags]
        if self.data_type == "thehive:case":  # an alert has no tasks
            found += [
                self.build_operation("CreateTask", title=title_of(action), description=inert(action["reason"]))
                for action in case["actions"]
                if action["outcome"] == "awaiting_approval"
            ]
        return found


def inert(text: Any) -> str:
    """Text for a field that TheHive shows as Markdown: nothing in it is a link, a picture, HTML or emphasis."""
    shown = re.sub(r"([\\`*_{}\[\]()#+!|~:-])", r"\\\1", " ".join(str(text).split())[:1_000])
    return shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


if __name__ == "__main__":
    AegisResponder().run()
