"""Names and addresses: what is allowed, however it is written, and what a name may come to stand for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.hardening.pins import Pins, plain, plain_name
from aegis_agents.hardening.places import _CLOUDS, Place, Places, places_of
from aegis_agents.settings import load_settings
from aegis_agents.tools.connectors.microsoft import CLOUDS


def shown(**settings: object) -> set[str]:
    return set(places_of(load_settings(**settings)).shown())


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("64:ff9b::a9fe:a9fe", "169.254.169.254"),
        ("fe80::1%eth0", "fe80::1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "127.0.0.1"),
        ("::1", "::1"),
        ("127.0.0.1%told.example", None),
        ("::1%" + "t" * 40, None),
        ("fe80::1%a b", None),
        ("127.1", None),
        ("0x7f.0.0.1", None),
        ("2130706433", None),
        ("example.com", None),
        ("", None),
    ],
)
def test_addresses_in_all_their_forms(text: str, address: str | None) -> None:
    found = plain(text)
    assert (str(found) if found else None) == address


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("Example.COM.", "example.com"),
        (b"example.com", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        (None, None),
        ("a" * 300 + "ü", "a" * 300 + "ü"),
    ],
)
def test_names_as_they_are_asked_for(asked: object, name: str | None) -> None:
    assert plain_name(asked) == name


def test_a_name_stands_for_its_answers_alone() -> None:
    pins = Pins(Places([Place("tickets.example", 443)], loopback=True))
    assert pins.may_ask("tickets.example")
    assert not pins.may_ask("other.example")
    assert not pins.may_ask("x.tickets.example")
    public, other = plain("198.41.0.4"), plain("198.41.0.5")
    assert public is not None
    assert other is not None
    assert not pins.may_connect(public, 443)
    assert pins.pin("tickets.example", ["198.41.0.4"]) == {"198.41.0.4"}
    assert pins.may_connect(public, 443)
    assert not pins.may_connect(public, 22)
    assert not pins.may_connect(other, 443)


@pytest.mark.parametrize("rebound", ["10.0.0.5", "127.0.0.1", "::1", "::ffff:10.0.0.5", "169.254.169.254", "fd00::1"])
def test_a_public_name_is_not_rebound_to_what_is_inside(rebound: str) -> None:
    pins = Pins(Places([Place("feed.example")], loopback=True))
    assert pins.pin("feed.example", ["198.41.0.4", "2001:4860:4860::8888"])
    assert pins.pin("feed.example", [rebound]) == set()
    assert pins.pin("feed.example", ["198.41.0.9", rebound]) == {"198.41.0.9"}
    address = plain(rebound)
    assert address is not None
    assert address.is_loopback or not pins.may_connect(address, 443)


def test_a_name_inside_stays_inside() -> None:
    pins = Pins(Places([Place("db.corp")], loopback=False))
    assert pins.pin("db.corp", ["10.0.0.5"]) == {"10.0.0.5"}
    assert pins.pin("db.corp", ["10.0.0.6"]) == {"10.0.0.6"}
    assert pins.pin("db.corp", ["198.41.0.4"]) == set()


def test_what_a_feed_says_binds_its_name_from_the_first_answer(tmp_path: Path) -> None:
    file = tmp_path / "feeds.toml"
    file.write_text(
        '[misp]\nkind = "stix"\nurl = "https://misp.corp/x"\ninternal = true\n[pub]\nkind = "stix"\nurl = "https://feed.example/x"\n'
    )
    places = places_of(load_settings(feeds=file))
    pins = Pins(places)
    assert pins.pin("misp.corp", ["10.0.0.5"]) == {"10.0.0.5"}
    assert pins.pin("feed.example", ["10.0.0.5"]) == set()


def test_metadata_services_only_where_they_are_listed() -> None:
    """A cloud's credentials are had there; no name may lead to it, not even one that is allowed."""
    pins = Pins(Places([Place("x.example")], loopback=True))
    assert pins.pin("x.example", ["169.254.169.254"]) == set()
    listed = Pins(Places([Place("169.254.169.254", 80)], loopback=False))
    address = plain("169.254.169.254")
    assert address is not None
    assert listed.may_connect(address, 80)
    assert not listed.may_connect(address, 443)


def test_places_are_what_settings_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connectors = tmp_path / "connectors.toml"
    connectors.write_text(
        '[o]\nkind = "okta"\norg_url = "https://corp.okta.com"\n[f]\nkind = "paloalto"\nhostname = "fw.corp"\n'
        '[e]\nkind = "entra"\ntenant_id = "t"\n[a]\nkind = "aws"\nregions = ["eu-west-1"]\n[c]\nkind = "crowdstrike"\n'
    )
    found = shown(
        connectors=connectors, webhook_url="https://tickets.example:8443/hook", llm="http://gpu.corp:8000/v1",
        database="postgresql://u:p@db1.corp:5433,db2.corp/aegis",
        server={"oidc": {"issuer": "https://id.corp/realm", "audience": "a", "roles": {}}},
        telemetry={"otlp_endpoint": "https://otel.corp:4318"}, hardening={"egress_allow": ["*.corp.example:443", "10.1.0.0/16"]},
    )  # fmt: skip
    assert found >= {
        "this machine", "corp.okta.com:443", "fw.corp", "login.microsoftonline.com:443", "graph.microsoft.com:443",
        "*.amazonaws.com", "api.crowdstrike.com:443", "tickets.example:8443", "gpu.corp:8000", "db1.corp:5433", "db2.corp:5432",
        "id.corp:443", "otel.corp:4318", "*.corp.example:443", "10.1.0.0/16",
    }  # fmt: skip
    assert "p@" not in str(found)


def test_listed_is_that_list_alone() -> None:
    assert shown(
        webhook_url="https://tickets.example/", hardening={"egress": "listed", "egress_allow": ["a.example"]}
    ) == {"a.example"}


@pytest.mark.parametrize(
    "wrong", ["*", "10.0.0.5/8", "a.example:0", "a.example:99999", "https://a.example", "a b", "127.1", ""]
)
def test_a_wrong_entry_is_named(wrong: str) -> None:
    with pytest.raises(SettingsError, match="egress_allow"):
        load_settings(hardening={"egress_allow": [wrong]})


def test_a_file_that_cannot_be_read_names_nothing(tmp_path: Path) -> None:
    file = tmp_path / "connectors.toml"
    file.write_text("[half\n")
    assert shown(connectors=file) == {"this machine"}


def test_what_the_collector_runs_in_the_middle_may_connect() -> None:
    """A finaliser may send something while a name is pinned, in the same thread: it must not wait for itself."""

    class Collecting(Places):
        def listed(self, address: Any, port: int | None) -> bool:
            return port is None and pins.may_connect(address, 443) and False

    pins = Pins(Collecting([Place("x.example")], loopback=False))
    done: list[set[str]] = []
    thread = threading.Thread(target=lambda: done.append(pins.pin("x.example", ["169.254.1.1"])), daemon=True)
    thread.start()
    thread.join(10)
    assert done == [set()]


def test_every_cloud_that_a_connector_takes_has_its_places() -> None:
    for name, cloud in CLOUDS.items():
        hosts = {urlsplit(url).hostname for url in cloud if url}
        assert hosts == set(_CLOUDS[name]), name
