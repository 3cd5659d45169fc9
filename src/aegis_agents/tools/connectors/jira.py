"""Tickets in Jira, Cloud and Data Center (jira, REST API 2 and 3)."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, needed, raise_error
from aegis_agents.tools.connectors.bounded import adapter
from aegis_agents.tools.connectors.ticket_text import alert_of, body, marks, title

if TYPE_CHECKING:
    from jira import JIRA

_PROJECT: Final = re.compile(r"[A-Z][A-Z0-9_]{1,30}")
_TITLE: Final = 255
_SETTLING: Final = (0.0, 0.5, 1.5, 3.0)
"""Seconds between looks for an issue whose answer was lost: Jira's index lags behind what was created."""

_REMEMBERED: Final = 1_000


class JiraConnector:
    """Opens an issue of `issue_type` in `project`, and closes it by the transition named `close_transition`.

    `user` (the e-mail address) and `token` are for Cloud; a Data Center's personal access token comes without
    `user`. `fields` are set on each issue besides ours ({priority = {name = "High"}}). `resolution` is given at
    closing, where the workflow wants one.

    Jira has no idempotency key. An issue carries two labels, one of the action and one of the alert: before one is
    created the first is looked for, and after a lost answer for five seconds. Only issues that this very account
    created are read or closed: a label anybody can put on any issue.
    """

    kind: ClassVar[str] = "jira"
    extra: ClassVar[str] = "jira"
    secrets: ClassVar[frozenset[str]] = frozenset({"token"})
    name = "jira"
    actions: frozenset[ActionName] = frozenset({"open_ticket"})

    def __init__(
        self,
        *,
        url: str,
        project: str,
        token: str,
        user: str = "",
        issue_type: str = "Task",
        close_transition: str = "Done",
        resolution: str = "",
        fields: Mapping[str, Any] | None = None,
        ca_file: Path | None = None,
        timeout_s: float = 20.0,
    ) -> None:
        self._url = checked_url(url, "url")
        if not _PROJECT.fullmatch(project):
            raise SettingsError(f"project: {clean(project)!r} is no project key (like SEC)")
        self._project, self._user, self._token = project, user, needed(token, "token")
        self._type, self._closing = needed(issue_type, "issue_type"), needed(close_transition, "close_transition")
        self._resolution, self._fields, self._ca_file, self._timeout = (
            resolution,
            dict(fields or {}),
            ca_file,
            timeout_s,
        )
        if ours := sorted(self._fields.keys() & {"project", "issuetype", "summary", "description", "labels"}):
            raise SettingsError(f"fields: {ours[0]} is set by Aegis")
        self._made: dict[str, frozenset[str]] = {}  # what the index may not know yet: mark → ids
        self._lock = threading.Lock()
        self._cloud: bool | None = None

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Open the issue, once for each `key`. Returns its key ("SEC-7")."""
        alert = alert_of(action, target, self.name)
        about, once = marks(target, key)
        labels = [f"aegis-{once}", f"aegis-on-{about}"]
        with self._client() as client:
            there = self._labelled(client, labels[0]) or sorted(self._made.get(once, ()))
            number = there[0] if there else self._create(client, alert, body(alert, note, key), labels)
            self._remember(number, about, once)
            return str(client.issue(number, fields="status").key)

    def read(self, action: ActionName, target: Target) -> bool:
        """Whether an issue about this alert is open. Asked of the issues themselves: the index lags behind."""
        alert_of(action, target, self.name)
        with self._client() as client:
            return bool(self._open(client, target))

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Close the issues about this alert. Raises ConnectorError where the workflow does not offer that now."""
        alert_of(action, target, self.name)
        with self._client() as client:
            closed = []
            for number, name in self._open(client, target).items():
                self._close(client, number, name)
                closed.append(name)
            return ", ".join(closed)

    def check(self) -> str:
        """Who Jira takes us for, and what we may do in the project."""
        wanted = ("BROWSE_PROJECTS", "CREATE_ISSUES", "TRANSITION_ISSUES")
        with self._client() as client:
            me = client.myself()
            given = client.my_permissions(projectKey=self._project, permissions=",".join(wanted))["permissions"]
            may = [f"{one} {'yes' if given.get(one, {}).get('havePermission') else 'NO'}" for one in wanted]
            return clean(f"signed in as {me.get('displayName')}; in {self._project}: {', '.join(may)}")

    def _create(self, client: JIRA, alert: str, text: str, labels: list[str]) -> str:
        """The id of a new issue; after a lost answer, of what Jira's index shows within five seconds."""
        from requests import ConnectionError, Timeout

        fields = self._fields | {
            "project": {"key": self._project}, "issuetype": {"name": self._type}, "summary": title(alert, _TITLE),
            "description": _document(text) if self._cloud else _preformatted(text), "labels": labels,
        }  # fmt: skip
        try:
            return str(client.create_issue(fields=fields, prefetch=False).id)
        except (ConnectionError, Timeout):
            for wait in _SETTLING:
                time.sleep(wait)
                if found := self._labelled(client, labels[0]):
                    return found[0]
            raise

    def _remember(self, number: str, *marked: str) -> None:
        """What was made, until the index surely knows it; the oldest are forgotten."""
        with self._lock:
            for mark in marked:
                self._made[mark] = self._made.get(mark, frozenset()) | {number}
            while len(self._made) > _REMEMBERED:
                self._made.pop(next(iter(self._made)))

    def _close(self, client: JIRA, number: str, name: str) -> None:
        offered = client.transitions(number)
        fitting = [one["id"] for one in offered if str(one["name"]).casefold() == self._closing.casefold()]
        if len(fitting) != 1:
            names = clean(", ".join(str(one["name"]) for one in offered)) or "none"
            raise ConnectorError(f"{name}: the transition {self._closing!r} is not offered (close_transition; {names})")
        resolution = {"resolution": {"name": self._resolution}} if self._resolution else None
        client.transition_issue(number, fitting[0], fields=resolution)

    def _open(self, client: JIRA, target: Target) -> dict[str, str]:
        """Id → key of the open issues about an alert."""
        from jira.exceptions import JIRAError

        about, _ = marks(target, "")
        label = f"aegis-on-{about}"
        found = {}
        for number in sorted({*self._labelled(client, label), *self._made.get(about, ())}):
            try:
                issue = client.issue(number, fields="status,labels")
            except JIRAError as error:
                if error.status_code != 404:
                    raise
                continue  # deleted since
            if label in issue.fields.labels and issue.fields.status.statusCategory.key != "done":
                found[number] = str(issue.key)
        return found

    def _labelled(self, client: JIRA, label: str) -> list[str]:
        """Ids of our issues with a label, the oldest first, as far as the index knows."""
        query = f'project = "{self._project}" AND labels = "{label}" AND creator = currentUser() ORDER BY created ASC'
        search = client.enhanced_search_issues if self._cloud else client.search_issues
        found: Any = search(query, fields=[], maxResults=50, json_result=True)
        return [str(one["id"]) for one in found["issues"]]

    @contextmanager
    def _client(self) -> Iterator[JIRA]:
        """Jira, asked over one session; its errors as ours."""
        try:
            from jira.exceptions import JIRAError
            from requests import ConnectionError, RequestException, Timeout
            from requests.exceptions import SSLError
        except ImportError as error:
            raise missing("jira", "jira", "jira") from error
        try:
            if self._cloud is None:
                with closing(self._session("2")) as first:
                    self._cloud = first.server_info().get("deploymentType") == "Cloud"
            with closing(self._session("3" if self._cloud else "2")) as client:
                client.deploymentType = "Cloud" if self._cloud else "Server"
                yield client
        # Without their cause, whose text holds what was sent and answered.
        except JIRAError as error:
            if error.status_code is None:
                raise ConnectorError(f"Jira: {clean(error.text, (self._token,))}") from None
            raise_error(error.status_code, error.text, "Jira", secrets=(self._token,))
        except SSLError:
            raise ConnectorError("Jira's certificate was not accepted (ca_file)") from None
        except (ConnectionError, Timeout) as error:
            raise TransientConnectorError(f"Jira did not answer: {clean(error, (self._token,))}") from None
        except (RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
            # It answered in a form that is not Jira's, or was cut off. What was asked for may have happened all the same.
            said = clean(f"{type(error).__name__} {error}", (self._token,))
            raise TransientConnectorError(f"Jira's answer can't be read: {said}") from None

    def _session(self, version: str) -> JIRA:
        from jira import JIRA

        options = {"rest_api_version": version, "verify": str(self._ca_file) if self._ca_file else True}
        who: dict[str, Any] = {"basic_auth": (self._user, self._token)} if self._user else {"token_auth": self._token}
        client = JIRA(
            self._url,
            options=options,
            get_server_info=False,
            max_retries=0,
            timeout=self._timeout,
            logging=False,
            **who,
        )
        # The write path repeats; a redirect would carry the token elsewhere; no proxy or netrc from the environment.
        client._session.max_redirects, client._session.trust_env = 0, False
        for scheme in ("https://", "http://"):
            client._session.mount(scheme, adapter(self._timeout))
        return client


def _document(text: str) -> dict[str, Any]:
    """Atlassian Document Format: a text node in a code block, in which nothing is read as markup."""
    block = {"type": "codeBlock", "content": [{"type": "text", "text": text}]}
    return {"type": "doc", "version": 1, "content": [block]}


def _preformatted(text: str) -> str:
    """Wiki markup; what could end the block was broken before."""
    return f"{{noformat}}\n{text}\n{{noformat}}"
