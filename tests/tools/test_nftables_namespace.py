"""nftables really blocks: two network namespaces, a web server in one, a client in the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from aegis_agents.errors import ConnectorError, SettingsError
from aegis_agents.records import Target
from aegis_agents.tools import NftablesConnector

SERVER, CLIENT = "aegis-test-srv", "aegis-test-cli"
SERVER_IP, CLIENT_IP = "10.199.77.1", "10.199.77.2"
BLOCKED = Target(kind="ip", value=CLIENT_IP)

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nft") or not shutil.which("ip"),
    reason="needs root and the programs nft and ip (Debian: nftables, iproute2)",
)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def reachable() -> bool:
    """Whether the client gets an answer from the server's port within a second."""
    code = f"import socket; socket.create_connection(({SERVER_IP!r}, 8099), 1).close()"
    return (
        subprocess.run(["ip", "netns", "exec", CLIENT, sys.executable, "-c", code], capture_output=True).returncode == 0
    )


@pytest.fixture
def two_hosts() -> Iterator[None]:
    for name in (SERVER, CLIENT):
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    server = None
    try:
        try:
            ip("netns", "add", SERVER)
        except subprocess.CalledProcessError as error:
            pytest.skip(f"network namespaces can't be made here: {error.stderr.decode()[:100]}")
        ip("netns", "add", CLIENT)
        ip("link", "add", "aegis-a", "netns", SERVER, "type", "veth", "peer", "name", "aegis-b", "netns", CLIENT)
        for name, link, address in ((SERVER, "aegis-a", SERVER_IP), (CLIENT, "aegis-b", CLIENT_IP)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", link, "up")
            ip("-n", name, "link", "set", "lo", "up")
        listen = [sys.executable, "-m", "http.server", "8099", "--bind", SERVER_IP]
        server = subprocess.Popen(
            ["ip", "netns", "exec", SERVER, *listen], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while not reachable():
            assert time.monotonic() < deadline, "the server in the namespace never answered"
        yield
    finally:
        if server is not None:
            server.terminate()
            server.wait(timeout=10)
        for name in (SERVER, CLIENT):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@needs_namespaces
def test_a_blocked_address_gets_no_answer_until_it_is_lifted(two_hosts: None) -> None:
    firewall = NftablesConnector(netns=SERVER)
    assert firewall.read("block_ip", BLOCKED) is False
    firewall.apply("block_ip", BLOCKED, key="k", note="")
    assert firewall.read("block_ip", BLOCKED) is True
    assert not reachable()
    firewall.apply("block_ip", BLOCKED, key="k", note="")  # twice is as once
    firewall.undo("block_ip", BLOCKED, key="k")
    assert firewall.read("block_ip", BLOCKED) is False
    assert reachable()
    firewall.undo("block_ip", BLOCKED, key="k")  # lifting what is not there is no error


@needs_namespaces
def test_a_set_without_its_rules_does_not_count_as_blocked(two_hosts: None) -> None:
    firewall = NftablesConnector(netns=SERVER)
    firewall.apply("block_ip", BLOCKED, key="k", note="")
    subprocess.run(["ip", "netns", "exec", SERVER, "nft", "flush", "chain", "inet", "aegis", "input"], check=True)
    assert firewall.read("block_ip", BLOCKED) is False
    firewall.apply("block_ip", BLOCKED, key="k", note="")
    assert firewall.read("block_ip", BLOCKED) is True
    assert not reachable()


@pytest.mark.parametrize(
    "value", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "10.9.0.7", "10.0.0.0/8", "a; flush ruleset"]
)
def test_what_must_never_be_blocked_is_refused(value: str) -> None:
    firewall = NftablesConnector(never=["10.9.0.0/16"])
    with pytest.raises(ConnectorError):
        firewall.apply("block_ip", Target(kind="ip", value=value), key="k", note="")


def test_a_wrong_never_list_is_a_settings_error() -> None:
    with pytest.raises(SettingsError, match="nftables_never"):
        NftablesConnector(never=["office"])


def test_without_nft_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConnectorError, match="nftables"):
        NftablesConnector().apply("block_ip", Target(kind="ip", value="203.0.113.9"), key="k", note="")
