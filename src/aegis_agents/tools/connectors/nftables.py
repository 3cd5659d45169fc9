"""Blocks addresses with nftables, in a table of its own that holds nothing else.

Commands go to `nft` as JSON on standard input (libnftables-json(5)); no shell, and no text
of an alert but a parsed address.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Sequence
from typing import Any

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target

TABLE = "aegis"
_SETS = {4: ("blocked_v4", "ipv4_addr", "ip"), 6: ("blocked_v6", "ipv6_addr", "ip6")}
_HOOKS = ("input", "output", "forward")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


def _address(target: Target) -> Address:
    """The address that travels: ::ffff:192.0.2.1 is 192.0.2.1, for `never` as for the packets."""
    try:
        address = ipaddress.ip_address(target.value)
    except ValueError as error:
        raise ConnectorError(f"{target.value!r} is no address") from error
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ConnectorError(f"{address} names an interface: only plain addresses are blocked")
        return address.ipv4_mapped or address
    return address


class NftablesConnector:
    """Drops traffic from and to blocked addresses on this host (or in the network namespace `netns`).

    `never` are addresses and networks that are refused, whatever was approved; loopback,
    unspecified, multicast and link-local ones always are. Needs root and the `nft` program.
    """

    name = "nftables"
    actions: frozenset[ActionName] = frozenset({"block_ip"})

    def __init__(self, *, never: Sequence[str] = (), netns: str | None = None, timeout_s: float = 10.0) -> None:
        try:
            self._never = tuple(ipaddress.ip_network(n, strict=False) for n in never)
        except ValueError as error:
            raise SettingsError(f"nftables_never: {error}") from error
        self._command = (["ip", "netns", "exec", netns] if netns else []) + ["nft", "-j"]
        self._timeout = timeout_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Add the address to its set; adding it twice is no error."""
        address = self._checked(target)
        self._run([*self._frame(), self._element("add", address)])
        return f"{_SETS[address.version][0]} {address}"

    def read(self, action: ActionName, target: Target) -> bool:
        """Whether the set holds the address, and the rules that use the set are there."""
        address = _address(target)
        return address in self._listed(address.version) and self._has_rules()

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take the address out; one that is not in is no error, nor is one that may not be blocked any more."""
        address = _address(target)
        if address in self._listed(address.version):
            self._run([self._element("delete", address)])
        return ""

    def _checked(self, target: Target) -> Address:
        address = _address(target)
        if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
            raise ConnectorError(f"{address} is never blocked: it is loopback, unspecified, multicast or link-local")
        if address == _BROADCAST:
            raise ConnectorError(f"{address} is never blocked: it is everybody's")
        for network in self._never:
            if address.version == network.version and address in network:
                raise ConnectorError(f"{address} is never blocked: nftables_never holds {network}")
        return address

    @staticmethod
    def _element(verb: str, address: Address) -> dict[str, Any]:
        name = _SETS[address.version][0]
        return {verb: {"element": {"family": "inet", "table": TABLE, "name": name, "elem": [str(address)]}}}

    def _frame(self) -> list[dict[str, Any]]:
        """Table, sets, chains and rules; what is there already stays."""
        if self._has_rules():
            return []
        place = {"family": "inet", "table": TABLE}
        commands: list[dict[str, Any]] = [{"add": {"table": {"family": "inet", "name": TABLE}}}]
        commands += [{"add": {"set": {**place, "name": n, "type": kind}}} for n, kind, _ in _SETS.values()]
        for hook in _HOOKS:
            chain = {**place, "name": hook, "type": "filter", "hook": hook, "prio": -10, "policy": "accept"}
            commands += [{"add": {"chain": chain}}, {"flush": {"chain": {**place, "name": hook}}}]
            for name, _, protocol in _SETS.values():
                for field in ("saddr", "daddr"):
                    left = {"payload": {"protocol": protocol, "field": field}}
                    match = {"match": {"op": "==", "left": left, "right": f"@{name}"}}
                    commands.append({"add": {"rule": {**place, "chain": hook, "expr": [match, {"drop": None}]}}})
        return commands

    def _listed(self, version: int) -> set[Address]:
        answer = self._ask(["list", "set", "inet", TABLE, _SETS[version][0]])
        found: set[Address] = set()
        for item in answer:
            for element in item.get("set", {}).get("elem", []):
                value = element["elem"]["val"] if isinstance(element, dict) else element
                found.add(ipaddress.ip_address(value))
        return found

    def _has_rules(self) -> bool:
        """Whether all our rules stand: a set that no rule uses blocks nothing."""
        rules = [item["rule"] for item in self._ask(["list", "table", "inet", TABLE]) if "rule" in item]
        wanted = {(hook, f"@{name}") for hook in _HOOKS for name, _, _ in _SETS.values()}
        found = [
            (rule["chain"], part["match"]["right"])
            for rule in rules for part in rule.get("expr", []) if "match" in part
        ]  # fmt: skip
        return all(found.count(one) == 2 for one in wanted)

    def _ask(self, question: list[str]) -> list[dict[str, Any]]:
        """What `nft list` answers; nothing where the table is not there yet."""
        done = self._call([*self._command, *question], None)
        if done.returncode != 0:
            if "No such file or directory" in done.stderr:
                return []
            raise ConnectorError(f"nft: {done.stderr.strip()[:300]}")
        answer: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
        return answer

    def _run(self, commands: list[dict[str, Any]]) -> None:
        """All commands or none: nft applies a file as one transaction."""
        done = self._call([*self._command, "-f", "-"], json.dumps({"nftables": commands}))
        if done.returncode != 0:
            raise ConnectorError(f"nft: {done.stderr.strip()[:300]}")

    def _call(self, command: list[str], text: str | None) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - a fixed program, a list, no shell
                command, input=text, capture_output=True, text=True, timeout=self._timeout, check=False
            )
        except FileNotFoundError as error:
            raise ConnectorError("the program nft is not installed (package nftables)") from error
        except PermissionError as error:
            raise ConnectorError(f"nft may not be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise TransientConnectorError(f"nft did not answer within {self._timeout} s") from error
