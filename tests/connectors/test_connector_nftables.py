"""nftables against the contract: the real program and kernel, in a network namespace of its own.

A wrapper named `nft`, first on PATH, goes wrong on request: it takes the capability away before the real
program runs (so that the kernel refuses), or does the work and then hangs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import NftablesConnector
from tests.connectors.contract import Case, ConnectorContract, Rig

NFT = shutil.which("nft") or "nft"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("nft", "ip", "setpriv"))),
    reason="needs root and the programs nft, ip and setpriv (Debian: nftables, iproute2, util-linux)",
)

WRAPPER = """#!/bin/sh
D={folder}
without="setpriv --bounding-set=-net_admin --inh-caps=-net_admin"
[ -f $D/deny ] && exec $without {nft} "$@"
case "$*" in *"-f -"*) ;; *) exec {nft} "$@" ;; esac
input=$(cat)
count() {{ n=$(cat $D/$1 2>/dev/null || echo 0); [ "$n" -gt 0 ] && echo $((n - 1)) > $D/$1; }}
if count limit; then echo "Error: Could not process rule: Device or resource busy" >&2; exit 1; fi
[ -f $D/ignore ] && exit 0
printf '%s' "$input" | {nft} "$@" || exit 1
printf '%s\\n' "$input" >> $D/log
if count lose; then exec sleep 60; fi
"""


class NftablesRig(Rig):
    """The kernel's sets in the namespace `name`; the wrapper's switches are files in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.before: set[str] = set()

    def connector(self) -> NftablesConnector:
        return NftablesConnector(netns=self.name, timeout_s=1.5)

    def _nft(self, *arguments: str, text: str | None = None) -> str:
        command = ["ip", "netns", "exec", self.name, NFT, "-j", *arguments]
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        other = Target(kind="ip", value="203.0.113.250")  # Aegis' own table is there from an earlier block
        self.connector().apply(action, other, key="k0", note="")
        (self.folder / "log").unlink()
        element = {"family": "inet", "table": "aegis", "name": "blocked_v4", "elem": [target.value]}
        self._nft("-f", "-", text=json.dumps({"nftables": [{"add": {"element": element}}]}))
        self.before = {target.value}

    def in_effect(self, action: ActionName, target: Target) -> bool:
        return f'"{target.value}"' in self._nft("list", "ruleset")

    def _changes(self) -> Iterator[tuple[str, str]]:
        """("add" or "delete", address), in the order in which the kernel took them."""
        log = self.folder / "log"
        for line in log.read_text().splitlines() if log.exists() else ():
            for command in json.loads(line)["nftables"]:
                for verb in command.keys() & {"add", "delete"}:
                    for address in command[verb].get("element", {}).get("elem", ()):
                        yield verb, address

    def effects(self) -> int:
        there, found = set(self.before), 0
        for verb, address in self._changes():
            found += verb == "add" and address not in there
            (there.add if verb == "add" else there.discard)(address)
        return found

    def touched(self) -> set[str]:
        return {address for _, address in self._changes()}

    def forget(self, target: Target) -> None:
        raise NotImplementedError("a firewall takes any address")

    def _switch(self, name: str, count: int = 1) -> None:
        (self.folder / name).write_text(str(count))

    def deny(self) -> None:
        self._switch("deny")

    def ignore(self) -> None:
        self._switch("ignore")

    def lose_answers(self, count: int) -> None:
        self._switch("lose", count)

    def limit_rate(self, count: int) -> None:
        self._switch("limit", count)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NftablesRig]:
    name = f"aegis-contract-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"network namespaces can't be made here: {made.stderr[:100]}")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nft").write_text(WRAPPER.format(folder=tmp_path, nft=NFT))
    (programs / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    try:
        yield NftablesRig(name, tmp_path)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


class TestNftables(ConnectorContract):
    cases = (
        Case("block_ip", Target(kind="ip", value="203.0.113.9")),
        Case("block_ip", Target(kind="ip", value="198.51.100.77")),
    )
    forgetful = False


def test_ipv6_and_mapped_addresses_are_one_address(rig: NftablesRig) -> None:
    firewall = rig.connector()
    firewall.apply("block_ip", Target(kind="ip", value="2001:DB8:0::1"), key="k", note="")
    assert firewall.read("block_ip", Target(kind="ip", value="2001:db8::1")) is True
    firewall.apply("block_ip", Target(kind="ip", value="::ffff:203.0.113.9"), key="k", note="")
    assert firewall.read("block_ip", Target(kind="ip", value="203.0.113.9")) is True
    assert rig.touched() == {"2001:db8::1", "203.0.113.9"}


def test_a_namespace_that_is_not_there_is_no_answer(rig: NftablesRig) -> None:
    """`ip` says "No such file or directory" as nft does of a table: it must not be read as "not blocked"."""
    lost = NftablesConnector(netns="aegis-no-such-namespace")
    with pytest.raises(ConnectorError, match="namespace"):
        lost.read("block_ip", Target(kind="ip", value="203.0.113.9"))


def test_without_permission_reading_is_refused_too(rig: NftablesRig) -> None:
    rig.deny()
    with pytest.raises(NotPermitted, match="CAP_NET_ADMIN"):
        rig.connector().read("block_ip", Target(kind="ip", value="203.0.113.9"))


@pytest.mark.parametrize("said", ["", "[]", '{"other": 1}', "null", "Segmentation fault"])
def test_an_answer_that_makes_no_sense_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    (tmp_path / "nft").write_text(f"#!/bin/sh\nprintf '%s' '{said}'\n")
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ConnectorError, match="no list of rules"):
        NftablesConnector().read("block_ip", Target(kind="ip", value="203.0.113.9"))


@pytest.mark.parametrize("element", ['{"prefix": {"addr": "203.0.113.0", "len": 24}}', '{"elem": 3}', '"x"', "null"])
def test_a_set_that_holds_what_is_not_ours_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, element: str
) -> None:
    (tmp_path / "nft").write_text(f'#!/bin/sh\necho \'{{"nftables": [{{"set": {{"elem": [{element}]}}}}]}}\'\n')
    (tmp_path / "nft").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ConnectorError, match="not ours"):
        NftablesConnector().read("block_ip", Target(kind="ip", value="203.0.113.9"))


def test_rules_that_do_not_drop_block_nothing(rig: NftablesRig) -> None:
    firewall, address = rig.connector(), Target(kind="ip", value="203.0.113.9")
    firewall.apply("block_ip", address, key="k", note="")
    rules = json.loads(rig._nft("list", "table", "inet", "aegis"))["nftables"]
    rule = next(item["rule"] for item in rules if "rule" in item)
    expression = [{"accept": None} if "drop" in part else part for part in rule["expr"]]
    rig._nft("-f", "-", text=json.dumps({"nftables": [{"replace": {"rule": {**rule, "expr": expression}}}]}))
    assert firewall.read("block_ip", address) is False
    firewall.apply("block_ip", address, key="k", note="")
    assert firewall.read("block_ip", address) is True
