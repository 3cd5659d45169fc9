"""Microsoft Defender for Endpoint: isolates machines, blocks hashes, addresses and domains.

There is no official Python SDK for this API: requests are made with httpx, as the published reference
describes them; signing in is azure-identity's.

Isolating is an order that the machine carries out when it is connected. Its state is that of the latest
isolate or unisolate order: there is no field for it on the machine. An order that waits is not claimed as
done: apply() waits a little, and then says so with an error that leaves the action unconfirmed.

Not here: stopping and quarantining a file, which wants a machine besides the file and has no undo by this
API; addresses as the name of a machine, since addresses move.

Checked against the published reference (methods, paths, fields and their values) with a loopback server.
Unverified against the vendor: everything that the reference does not say, above all the words of its errors,
how soon an order shows in the list, and how indicator values are spelt back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import quote

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import blockable, domain_of, networks
from aegis_agents.tools.connectors.answers import checked_url, clean, raise_for
from aegis_agents.tools.connectors.bounded import send
from aegis_agents.tools.connectors.microsoft import SignIn, audience, cloud_named, odata
from aegis_agents.tools.connectors.names import file_hash, host_name, same_host
from aegis_agents.tools.connectors.protocol import narrowed

SYSTEM: Final = "Defender"
APPLICATION: Final = "Aegis Agents"
"""The `application` of the indicators that we make: only these are removed again."""
_HASHES: Final = {64: "FileSha256", 40: "FileSha1", 32: "FileMd5"}
_BLOCKS: Final = frozenset({"Block", "BlockAndRemediate", "AlertAndBlock"})
_WAITING: Final = frozenset({"Pending", "InProgress"})
_PAGE: Final = 100


class DefenderConnector:
    """isolate_host, block_hash, block_ip, block_domain.

    `tenant_id`, `client_id` and `client_secret` are an application's, with the permissions Machine.Read.All,
    Machine.Isolate and Ti.ReadWrite.All (Ti.ReadWrite alone does not see others' indicators). `isolation` is
    Full or Selective. `never` are addresses and networks that are not blocked. `cloud` is one of global, gcc,
    gcc_high, dod; `base_url` and `authority` are for one that is none of these. `settle_s` is how long an
    order is waited for, `timeout_s` is for one request. `actions` narrows what it does.
    """

    kind: ClassVar[str] = "defender"
    extra: ClassVar[str] = "microsoft"
    secrets: ClassVar[frozenset[str]] = frozenset({"client_secret"})
    name = "defender"
    actions: frozenset[ActionName] = frozenset({"isolate_host", "block_hash", "block_ip", "block_domain"})

    def __init__(
        self,
        *,
        tenant_id: str,
        client_id: str,
        client_secret: str,
        isolation: str = "Full",
        never: Sequence[str] = (),
        cloud: str = "global",
        base_url: str = "",
        authority: str = "",
        timeout_s: float = 15.0,
        settle_s: float = 10.0,
        actions: Iterable[str] | None = None,
    ) -> None:
        self.actions = narrowed(type(self).actions, actions, self.kind)
        where = cloud_named(cloud)
        if not (base_url or where.defender):
            raise SettingsError(f"cloud: Defender for Endpoint's API is not in {cloud!r}: give its base_url")
        if isolation not in ("Full", "Selective"):
            raise SettingsError("isolation: Full or Selective")
        if settle_s < 0:
            raise SettingsError("settle_s is in seconds, and not below 0")
        self._isolation, self._never, self._settle = isolation, networks(never, "never"), settle_s
        self._url, self._timeout = checked_url(base_url or where.defender, "base_url"), timeout_s
        self._sign_in = SignIn(
            self.kind, tenant_id, client_id, client_secret, authority or where.authority, timeout_s, bool(authority)
        )

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Isolate the machine, or make an indicator that blocks; what is so already stays."""
        if action == "isolate_host":
            machine = self._machine(target)
            if self._isolated(machine) is True:
                return f"machine {machine}"
            # A comment is required, and is all that people see of the reason.
            body = {"Comment": f"{APPLICATION} {key}: {clean(note)}", "IsolationType": self._isolation}
            return self._ordered(machine, "isolate", body)
        return self._block(*self._spelt(action, target), key=key, note=note)

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect; None while isolating or releasing is under way."""
        if action == "isolate_host":
            return self._isolated(self._machine(target))
        there = self._indicator(*self._spelt(action, target))
        return there is not None and _blocks(there)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Release the machine, or remove the indicator if it is one of ours."""
        if action == "isolate_host":
            machine = self._machine(target)
            if self._isolated(machine) is False:
                return ""
            return self._ordered(machine, "unisolate", {"Comment": f"{APPLICATION} {key}"})
        there = self._indicator(*self._spelt(action, target))
        if there is None:
            return ""
        if there.get("application") != APPLICATION:
            raise ConnectorError(f"{SYSTEM}: indicator {_id(there)} is not ours: remove it in the portal")
        if not _blocks(there):
            return ""  # somebody changed it since: what it says now is theirs
        self._send("DELETE", f"/api/indicators/{quote(_id(there), safe='')}")
        return f"indicator {_id(there)} removed"

    # Machines

    def _machine(self, target: Target) -> str:
        """The id of the one machine of this name. Raises TargetNotFound, or ConnectorError for several."""
        name = host_name(target)
        # The API knows machines by their full names, and alerts often by the first part.
        wanted = f"computerDnsName eq {odata(name)} or startswith(computerDnsName,{odata(name + '.')})"
        found = [
            m for m in self._list("/api/machines", wanted, f"hosts called {name!r}")
            if same_host(name, str(m.get("computerDnsName") or "")) and _managed(m)
        ]  # fmt: skip
        if not found:
            raise TargetNotFound(f"{SYSTEM} knows no machine {name!r}")
        if len(found) > 1:
            known = ", ".join(f"{_id(m)} (seen {clean(m.get('lastSeen'))})" for m in found[:5])
            raise ConnectorError(f"{SYSTEM}: {name!r} is ambiguous: {len(found)} machines: {known}")
        if not _id(found[0]).isalnum():
            raise ConnectorError(f"{SYSTEM} answered with the odd machine id {_id(found[0])!r}")
        return _id(found[0])

    def _isolated(self, machine: str) -> bool | None:
        """Whether the latest order that was carried out isolates; None while one waits."""
        orders = [*self._orders(machine, "Isolate"), *self._orders(machine, "Unisolate")]
        if any(o.get("status") in _WAITING for o in orders):
            return None
        done = [o for o in orders if o.get("status") == "Succeeded"]
        latest = max(done, key=lambda o: _moment(o.get("creationDateTimeUtc")), default=None)
        return latest is not None and latest["type"] == "Isolate"

    def _orders(self, machine: str, sort: str) -> list[dict[str, Any]]:
        """Orders of one sort, the latest page of them."""
        wanted = f"machineId eq {odata(machine)} and type eq {odata(sort)}"
        found = self._list("/api/machineactions", wanted, "orders", whole=False)
        return [o for o in found if o.get("machineId") == machine and o.get("type") == sort]

    def _ordered(self, machine: str, what: str, body: dict[str, Any]) -> str:
        """The machine and the order, once it was carried out.

        Raises ConnectorError where it failed, and TransientConnectorError while it waits for the machine: a host that
        is off is no more released than it is isolated.
        """
        waiting = [o for o in self._orders(machine, what.capitalize()) if o.get("status") in _WAITING]
        # One that waits already serves as well; a second is refused anyway.
        order = waiting[0] if waiting else self._send("POST", f"/api/machines/{machine}/{what}", body)
        until = time.monotonic() + self._settle
        while order.get("status") in _WAITING and time.monotonic() < until:
            time.sleep(min(1.0, self._settle / 10))
            order = self._send("GET", f"/api/machineactions/{quote(_id(order), safe='')}")
        status = clean(order.get("status"))
        if status in _WAITING:
            said = f"order {_id(order)} to {what} is {status}: it is carried out once machine {machine} connects"
            raise TransientConnectorError(f"{SYSTEM}: {said}")
        if status != "Succeeded":
            raise ConnectorError(f"{SYSTEM}: order {_id(order)} to {what} ended as {status!r}")
        return f"machine {machine}, order {_id(order)}"

    # Indicators

    def _spelt(self, action: ActionName, target: Target) -> tuple[str, str]:
        """(indicatorType, indicatorValue). Raises ConnectorError."""
        if action == "block_hash":
            return file_hash(target, _HASHES)
        if action == "block_ip":
            return "IpAddress", str(blockable(target, self._never, "never"))
        if action == "block_domain":
            return "DomainName", domain_of(target)
        raise ConnectorError(f"{SYSTEM} does not do {action}")

    def _block(self, sort: str, value: str, *, key: str, note: str) -> str:
        there = self._indicator(sort, value)
        if there is not None:
            if _blocks(there):
                return f"indicator {_id(there)}"
            # Submitting again would overwrite it.
            decided = clean(there.get("action"))
            raise ConnectorError(f"{SYSTEM}: indicator {_id(there)} says {decided!r} for this: somebody decided so")
        made = self._send(
            "POST",
            "/api/indicators",
            {
                "indicatorValue": value, "indicatorType": sort, "action": "Block", "application": APPLICATION,
                "title": f"{APPLICATION} {key}"[:100], "severity": "High", "description": clean(note) or APPLICATION,
            },
        )  # fmt: skip
        return f"indicator {_id(made)}"

    def _indicator(self, sort: str, value: str) -> dict[str, Any] | None:
        wanted = f"indicatorValue eq {odata(value)} and indicatorType eq {odata(sort)}"
        found = [
            i for i in self._list("/api/indicators", wanted, "indicators")
            if i.get("indicatorType") == sort and str(i.get("indicatorValue", "")).lower() == value
        ]  # fmt: skip
        return max(found, key=_blocks, default=None)

    # HTTP

    def _list(self, path: str, wanted: str, what: str, *, whole: bool = True) -> list[dict[str, Any]]:
        """Rows that fit a filter. Raises ConnectorError where they are more than a page, if they must be `whole`."""
        try:
            answer = self._send("GET", path, params={"$filter": wanted, "$top": str(_PAGE)})
        except TargetNotFound:
            return []  # a list of machines of which there are none
        rows = answer.get("value")
        if not isinstance(rows, list):
            raise TransientConnectorError(f"{SYSTEM} answered without a list of {what}")
        if whole and (len(rows) >= _PAGE or answer.get("@odata.nextLink")):
            raise ConnectorError(f"{SYSTEM} knows too many {what} to tell which")
        return [row for row in rows if isinstance(row, dict)]

    def _send(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: dict[str, str] | None = None
    ) -> dict[str, Any]:  # fmt: skip
        import httpx

        headers = {"Authorization": f"Bearer {self._sign_in.token(audience(self._url), SYSTEM)}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content, hidden = b"" if body is None else json.dumps(body).encode(), self._sign_in.secrets
        try:
            response = send(
                method, self._url + path, params=params, content=content, headers=headers, timeout_s=self._timeout
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"{type(error).__name__} {clean(error, hidden)}"
            raise TransientConnectorError(f"{SYSTEM} did not answer: {said}") from None
        raise_for(response.status, response.text, SYSTEM, secrets=hidden)
        if not response.content:
            return {}
        try:
            answer = json.loads(response.content)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise TransientConnectorError(f"{SYSTEM} answered what is no JSON object")
        return answer


def _moment(said: object) -> tuple[str, str]:
    """For sorting: the times are all UTC, and a fraction of a second may be left out or cut short."""
    whole, _, fraction = str(said or "").rstrip("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def _managed(machine: dict[str, Any]) -> bool:
    """Whether Defender runs on it: what was only seen on the network takes no order."""
    status = str(machine.get("onboardingStatus") or "onboarded").lower()
    return status == "onboarded"


def _blocks(indicator: dict[str, Any]) -> bool:
    everywhere = not indicator.get("rbacGroupNames") and not indicator.get("rbacGroupIds")
    return indicator.get("action") in _BLOCKS and everywhere


def _id(thing: dict[str, Any]) -> str:
    return clean(thing.get("id"))[:64]
