"""Blocks addresses with nftables, in a table of its own that holds nothing else.

Commands go to `nft` as JSON on standard input (libnftables-json(5)); no shell, and no text
of an alert but a parsed address.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Sequence
from typing import Any, ClassVar

from aegis_agents.errors import ConnectorError, NotPermitted, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import Address, address_of, blockable, networks
from aegis_agents.tools.connectors.answers import clean

TABLE = "aegis"
_SETS = {4: ("blocked_v4", "ipv4_addr", "ip"), 6: ("blocked_v6", "ipv6_addr", "ip6")}
_HOOKS = ("input", "output", "forward")
# What the kernel says while somebody else changes the rules.
_BUSY = ("Device or resource busy", "Resource temporarily unavailable", "Interrupted system call")


class NftablesConnector:
    """Drops traffic from and to blocked addresses on this host (or in the network namespace `netns`).

    `never` are addresses and networks that are refused, whatever was approved; loopback,
    unspecified, multicast and link-local ones always are. Needs root (CAP_NET_ADMIN) and the
    `nft` program, and an answer within `timeout_s` seconds.

    Blocks have no time-out in the kernel: an address that leaves the set by itself would still
    be journalled as blocked. They end by the journal's timers, or with a reboot.
    """

    kind: ClassVar[str] = "nftables"
    extra: ClassVar[str] = ""
    secrets: ClassVar[frozenset[str]] = frozenset()
    name = "nftables"
    actions: frozenset[ActionName] = frozenset({"block_ip"})

    def __init__(self, *, never: Sequence[str] = (), netns: str | None = None, timeout_s: float = 10.0) -> None:
        self._never = networks(never, "nftables_never")
        self._command = (["ip", "netns", "exec", netns] if netns else []) + ["nft", "-j"]
        self._timeout = timeout_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Add the address to its set; adding it twice is no error."""
        self._check(action)
        address = blockable(target, self._never, "nftables_never")
        self._run([*self._frame(), self._element("add", address)])
        return f"{_SETS[address.version][0]} {address}"

    def read(self, action: ActionName, target: Target) -> bool:
        """Whether the set holds the address, and the rules that use the set are there."""
        address = address_of(target)
        return address in self._listed(address.version) and self._has_rules()

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take the address out; one that is not in is no error, nor is one that may not be blocked any more."""
        self._check(action)
        address = address_of(target)
        if address in self._listed(address.version):
            self._run([self._element("delete", address)])
        return ""

    def _check(self, action: ActionName) -> None:
        if action not in self.actions:
            raise ConnectorError(f"{self.name} can't {action}")

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
                try:
                    found.add(ipaddress.ip_address(element["elem"]["val"] if isinstance(element, dict) else element))
                except (ValueError, LookupError, TypeError) as error:
                    raise ConnectorError(f"nft: the set holds {clean(element)}, which is not ours") from error
        return found

    def _has_rules(self) -> bool:
        """Whether all our rules stand: a set that no rule uses blocks nothing."""
        rules = [item["rule"] for item in self._ask(["list", "table", "inet", TABLE]) if "rule" in item]
        wanted = {(hook, f"@{name}") for hook in _HOOKS for name, _, _ in _SETS.values()}
        found = [
            (rule["chain"], part["match"]["right"])
            for rule in rules if {"drop": None} in rule.get("expr", [])
            for part in rule["expr"] if "match" in part
        ]  # fmt: skip
        return all(found.count(one) == 2 for one in wanted)

    def _ask(self, question: list[str]) -> list[dict[str, Any]]:
        """What `nft list` answers; nothing where the table is not there yet."""
        done = self._call([*self._command, *question], None)
        if done.returncode != 0:
            # nft's own words; `ip` says the same of a namespace that is not there.
            if done.stderr.startswith("Error: No such file or directory"):
                return []
            raise _refusal(done.stderr)
        try:
            answer: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
        except (ValueError, LookupError, TypeError) as error:
            raise ConnectorError("nft answered something that is no list of rules") from error
        return answer

    def _run(self, commands: list[dict[str, Any]]) -> None:
        """All commands or none: nft applies a file as one transaction."""
        done = self._call([*self._command, "-f", "-"], json.dumps({"nftables": commands}))
        if done.returncode != 0:
            raise _refusal(done.stderr)

    def _call(self, command: list[str], text: str | None) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(  # noqa: S603 - a fixed program, a list, no shell
                command, input=text, capture_output=True, text=True, timeout=self._timeout, check=False
            )
        except FileNotFoundError as error:
            raise ConnectorError("the program nft is not installed (package nftables)") from error
        except PermissionError as error:
            raise NotPermitted(f"nft may not be run: {error.strerror}") from error
        except subprocess.TimeoutExpired as error:
            raise TransientConnectorError(f"nft did not answer within {self._timeout} s") from error


def _refusal(said: str) -> ConnectorError:
    """The error for what nft (or `ip netns exec`) says no with."""
    message = f"nft: {clean(said)}"
    if "Operation not permitted" in said:
        return NotPermitted(f"{message} (it may not do that without CAP_NET_ADMIN: run as root)")
    if any(words in said for words in _BUSY):
        return TransientConnectorError(message)
    return ConnectorError(message)
