"""CrowdStrike Falcon, by its SDK (crowdstrike-falconpy): contains hosts, prevents files by hash.

Containment is an order that the sensor carries out when it is connected. While Falcon says
`containment_pending` the host is not contained: apply() waits a little, and then says so with an
error that leaves the action unconfirmed until a later look finds it contained.

Not here, because Falcon's API does not do it or not safely: blocking addresses and domains (custom
indicators of these types only detect), quarantining a file of one's own choice (the API releases
and deletes what the sensor quarantined), ending a process by a name (Real Time Response wants a
session and a process id on one host).

Checked against the SDK's own endpoint table (methods, paths, parameters) with a loopback server.
Unverified against the vendor: what FQL matches beyond the published operators, the words of its
errors, how soon a status changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any, ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, needed, raise_error
from aegis_agents.tools.connectors.bounded import following
from aegis_agents.tools.connectors.names import file_hash, host_name, same_host
from aegis_agents.tools.connectors.protocol import narrowed

SYSTEM: Final = "CrowdStrike"
SOURCE: Final = "Aegis Agents"
"""The `source` of the indicators that we make: only these are removed again."""
_HASHES: Final = {64: "sha256", 32: "md5"}
_PREVENTS: Final = frozenset({"prevent", "prevent_no_ui"})
_MOST_ALIKE: Final = 100
_FALCON: Final = (".crowdstrike.com", ".crowdstrike.mil")


class CrowdStrikeConnector:
    """isolate_host by network containment, block_hash by a custom indicator that prevents.

    `client_id` and `client_secret` are an API client's, with the scopes Hosts (read, write) and IOC
    Management (read, write). `base_url` is your cloud's; with the default, Falcon names the right one
    at sign-in. `member_cid` picks a child of a Flight Control parent. `settle_s` is how long apply()
    waits for a host to be contained; `timeout_s` is for one request. `actions` narrows what it does.
    """

    kind: ClassVar[str] = "crowdstrike"
    extra: ClassVar[str] = "crowdstrike"
    secrets: ClassVar[frozenset[str]] = frozenset({"client_secret"})
    name = "crowdstrike"
    actions: frozenset[ActionName] = frozenset({"isolate_host", "block_hash"})

    def __init__(
        self,
        *,
        client_id: str,
        client_secret: str,
        base_url: str = "https://api.crowdstrike.com",
        member_cid: str = "",
        timeout_s: float = 15.0,
        settle_s: float = 10.0,
        actions: Iterable[str] | None = None,
    ) -> None:
        try:
            import falconpy  # noqa: F401 - to fail at the start, not in the middle of an incident
        except ImportError as error:
            raise missing(self.kind, "crowdstrike-falconpy", self.extra) from error
        self.actions = narrowed(type(self).actions, actions, self.kind)
        self._id, self._secret = needed(client_id, "client_id"), needed(client_secret, "client_secret")
        self._url, self._member = checked_url(base_url, "base_url"), member_cid
        if timeout_s <= 0 or settle_s < 0:
            raise SettingsError("timeout_s and settle_s are seconds, and the first is more than 0")
        self._timeout, self._settle = timeout_s, settle_s
        self._lock = threading.Lock()
        self._signed_in: Any = None

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Contain the host, or make the hash an indicator that prevents; what is so already stays."""
        if action == "isolate_host":
            return self._contain(target)
        if action == "block_hash":
            return self._prevent(target, key, note)
        raise ConnectorError(f"{SYSTEM} does not do {action}")

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect; None while containing or lifting is under way."""
        if action == "isolate_host":
            return {"contained": True, "normal": False}.get(self._device(target)["status"])
        there = self._indicator(*file_hash(target, _HASHES))
        return there is not None and _prevents(there)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Lift the containment, or remove the indicator if it is one of ours."""
        if action == "isolate_host":
            return self._lift(target)
        there = self._indicator(*file_hash(target, _HASHES))
        if there is None:
            return ""
        if there.get("source") != SOURCE:
            raise ConnectorError(f"{SYSTEM}: indicator {_id(there)} is not ours: remove it in the console")
        if not _prevents(there):
            return ""  # somebody changed it since: what it says now is theirs
        self._call("IOC", "indicator_delete", ids=[str(there["id"])], comment=f"{SOURCE} {key}")
        return f"indicator {_id(there)} removed"

    # Hosts

    def _contain(self, target: Target) -> str:
        device = self._device(target)
        if device["status"] not in ("contained", "containment_pending"):
            self._call("Hosts", "perform_action", action_name="contain", ids=[device["device_id"]])
        status = self._wait_for(device["device_id"], "contained")
        if status == "contained":
            return f"device {device['device_id']} contained"
        raise TransientConnectorError(
            f"{SYSTEM} took the order, and device {device['device_id']} is {status}: it is contained once its sensor connects"
        )

    def _lift(self, target: Target) -> str:
        device = self._device(target)
        if device["status"] == "normal":
            return ""
        if device["status"] != "lift_containment_pending":
            self._call("Hosts", "perform_action", action_name="lift_containment", ids=[device["device_id"]])
        status = self._wait_for(device["device_id"], "normal")
        if status != "normal" and device["status"] != "containment_pending":  # what was never contained is called off
            raise TransientConnectorError(
                f"{SYSTEM} took the order, and device {device['device_id']} is {status}: it is lifted once its sensor connects"
            )
        return f"device {device['device_id']} {status}"

    def _wait_for(self, device_id: str, wanted: str) -> str:
        until = time.monotonic() + self._settle
        while (status := str(self._details([device_id])[0]["status"])) != wanted and time.monotonic() < until:
            time.sleep(min(1.0, self._settle / 10))
        return status

    def _device(self, target: Target) -> dict[str, Any]:
        """The one device of this name or agent id. Raises TargetNotFound, or ConnectorError for several."""
        name = host_name(target)
        if len(name) == 32 and not set(name) - set("0123456789abcdef"):
            found = self._details([name])
        else:
            # Square brackets match the whole value, and its case: Windows names are upper, Linux ones lower.
            names = sorted({n for whole in (target.value, name) for n in _cases(whole)})
            fql = ",".join(f"hostname:['{quoted}']" for quoted in map(_quoted, names))
            ids = [str(i) for i in self._call("Hosts", "query_devices_by_filter", filter=fql, limit=_MOST_ALIKE)]
            if len(ids) >= _MOST_ALIKE:
                raise ConnectorError(f"{SYSTEM}: {len(ids)} hosts or more match {name!r}: too many to tell which")
            found = [
                d for d in self._details(ids)
                if same_host(name, str(d.get("hostname") or ""), str(d.get("machine_domain") or ""))
            ]  # fmt: skip
        if not found:
            raise TargetNotFound(f"{SYSTEM} knows no host {name!r}")
        if len(found) > 1:
            known = ", ".join(f"{d['device_id']} (seen {d.get('last_seen', '?')})" for d in found[:5])
            raise ConnectorError(f"{SYSTEM}: {name!r} is ambiguous: {len(found)} devices: {known}")
        return found[0]

    def _details(self, ids: list[str]) -> list[dict[str, Any]]:
        """Devices by agent id. Raises TargetNotFound where Falcon knows none of them."""
        if not ids:
            return []
        found = _rows(self._call("Hosts", "get_device_details_v2", ids=ids))
        # Whatever came back, only what was asked for counts.
        devices = [d for d in found if d.get("device_id") in ids]
        if not devices:
            raise TargetNotFound(f"{SYSTEM} knows no device {ids[0]}")
        return [{"status": "unknown"} | d for d in devices]

    # Indicators

    def _prevent(self, target: Target, key: str, note: str) -> str:
        sort, digest = file_hash(target, _HASHES)
        there = self._indicator(sort, digest)
        if there is not None:
            if _prevents(there):
                return f"indicator {_id(there)}"
            raise ConnectorError(
                f"{SYSTEM}: indicator {_id(there)} says {clean(there.get('action'))!r} for this hash: somebody decided so"
            )
        made = _rows(self._call(
            "IOC", "indicator_create",
            comment=f"{SOURCE} {key}", type=sort, value=digest, action="prevent", severity="high", source=SOURCE,
            description=clean(note), platforms=["windows", "mac", "linux"], applied_globally=True,
        ))  # fmt: skip
        return f"indicator {_id(made[0]) if made else ''}".rstrip()

    def _indicator(self, sort: str, digest: str) -> dict[str, Any] | None:
        """The indicator of this hash: Falcon keeps one for a type and value."""
        ids = self._call("IOC", "indicator_search", filter=f"type:'{sort}'+value:'{digest}'", limit=10)
        if not ids:
            return None
        live = [
            i for i in _rows(self._call("IOC", "indicator_get", ids=[str(i) for i in ids]))
            if i.get("type") == sort and i.get("value") == digest and not i.get("deleted") and not i.get("expired")
        ]  # fmt: skip
        # Where there are two after all, the one that prevents decides: it is what happens on the host.
        return max(live, key=_prevents, default=None)

    # The SDK

    def _call(self, service: str, method: str, **given: Any) -> list[Any]:
        """The resources that a call of the SDK answers, which does not raise errors itself. Raises ConnectorError."""
        import falconpy
        from falconpy import APIError, SDKError

        with self._lock:
            if self._signed_in is None:
                self._signed_in = self._sign_in()
            auth = self._signed_in
            if not auth.token_valid and auth.login()["status_code"] != 201:
                status, said = _heard(int(auth.token_status or 0), auth.token_fail_reason)
                raise_error(status, said, f"{SYSTEM} sign-in", secrets=self._hidden())
        try:
            answer = getattr(getattr(falconpy, service)(auth_object=auth), method)(**given)
        except (APIError, SDKError) as error:
            raise TransientConnectorError(f"{SYSTEM}: {clean(error, self._hidden())}") from None
        return _resources(int(answer["status_code"]), answer.get("body"), self._hidden())

    def _sign_in(self) -> Any:
        import falconpy

        # The SDK follows redirects at sign-in, with the client's secret in the body.
        session = following(_FALCON, self._timeout)
        return falconpy.OAuth2(
            client_id=self._id, client_secret=self._secret, base_url=self._url, timeout=self._timeout,
            session=session, member_cid=self._member or None,
        )  # fmt: skip

    def _hidden(self) -> list[str]:
        token = getattr(self._signed_in, "token_value", None)
        return [self._secret, *([str(token)] if token else [])]


def _resources(status: int, body: object, hidden: list[str]) -> list[Any]:
    """The resources of an answer. Raises ConnectorError or one of its kinds where it tells of errors alone."""
    well = 200 <= status < 300
    parts = (body.get("resources") or [], body.get("errors") or []) if isinstance(body, dict) else (body, body)
    if well and not (isinstance(body, dict) and all(isinstance(part, list) for part in parts)):
        raise TransientConnectorError(f"{SYSTEM} answered what is no list: {clean(body, hidden)}")
    resources, errors = ([one for one in part if one] if isinstance(part, list) else [] for part in parts)
    if well and (resources or not errors):
        return resources  # with errors besides, some of what was asked for: whoever asked looks for its own
    told = [one for one in (*errors, *resources) if isinstance(one, dict)]
    if well:
        # A 200 that only tells of an error has that error's status within.
        status = next((one["code"] for one in told if isinstance(one.get("code"), int) and one["code"] >= 300), 400)
    said = "; ".join(str(one["message"]) for one in told if one.get("message"))
    raise_error(*_heard(status, said or body), SYSTEM, secrets=hidden)


def _heard(status: int, said: object) -> tuple[int, object]:
    """(status, words), with 0 where nobody answered: the SDK makes a 500 of a connection that failed."""
    text = str(said or "")
    if status == 500 and "ConnectionPool(host=" in text:
        return 0, text.rpartition("(Caused by ")[2]
    return status, said


def _rows(resources: list[Any]) -> list[dict[str, Any]]:
    """Resources that are objects. Raises TransientConnectorError for others."""
    if odd := [r for r in resources if not isinstance(r, dict)]:
        raise TransientConnectorError(f"{SYSTEM} answered what is no object: {clean(odd[0])}")
    return resources


def _cases(name: str) -> Iterable[str]:
    for form in (name, name.partition(".")[0]):
        yield from (form, form.upper(), form.lower())


def _quoted(text: str) -> str:
    """For an FQL string. host_name() lets no such character pass; this is the second lock."""
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _prevents(indicator: dict[str, Any]) -> bool:
    return indicator.get("action") in _PREVENTS and bool(indicator.get("applied_globally"))


def _id(indicator: dict[str, Any]) -> str:
    return clean(indicator.get("id"))[:64]
