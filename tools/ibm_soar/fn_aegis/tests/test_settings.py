"""app.config, the self-test, and the note on a real case."""

from __future__ import annotations

import configparser
import socket

import pytest
from fake_aegis import FakeAegis
from fn_aegis.lib.notes import case_note
from fn_aegis.lib.server import open_client
from fn_aegis.util.config import config_section_data
from fn_aegis.util.selftest import selftest_function
from resilient_lib import IntegrationError


def test_the_default_section_must_be_filled_in() -> None:
    parsed = configparser.ConfigParser()
    parsed.read_string(config_section_data())
    assert set(parsed["fn_aegis"]) == {"aegis_url", "aegis_token", "verify", "timeout"}
    with pytest.raises(IntegrationError, match="aegis_url"):
        open_client(dict(parsed["fn_aegis"]))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"aegis_url": "ftp://aegis.test", "aegis_token": "t"}, "no address"),
        ({"aegis_url": "http://aegis.test", "aegis_token": "t"}, "unencrypted"),
        ({"aegis_url": "https://aegis.test", "aegis_token": "t", "verify": "/no/such/ca.pem"}, "No such file"),
        ({"aegis_url": "https://aegis.test", "aegis_token": "t", "timeout": "soon"}, "soon"),
        ({"aegis_url": "https://aegis.test"}, "aegis_token"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, str], told: str) -> None:
    with pytest.raises(IntegrationError, match=told):
        open_client(given)


def test_the_selftest_tells_a_good_token_from_a_bad_one() -> None:
    with FakeAegis() as fake:
        good = {"aegis_url": fake.url, "aegis_token": fake.token("viewer")}
        assert selftest_function({"fn_aegis": good})["state"] == "success"
        assert selftest_function({"fn_aegis": good | {"aegis_token": "old"}})["state"] == "failure"
    with socket.socket() as nobody:  # bound and not listening: refused
        nobody.bind(("127.0.0.1", 0))
        dead = {"aegis_url": f"http://127.0.0.1:{nobody.getsockname()[1]}", "aegis_token": "t"}
        assert selftest_function({"fn_aegis": dead})["state"] == "failure"


def test_facts_as_the_library_writes_them_are_shown_and_long_ones_cut() -> None:
    note = case_note(
        {
            "verdict": "undetermined", "confidence": 0.5, "severity": "low", "summary": "s", "incident_id": "inc-1",
            "evidence": [
                {"kind": "fact", "id": "f1", "path": "cmdline", "value": "<img src=x>" + "a" * 9_000},
                {"kind": "passage", "id": "p1", "title": "T1059", "source": "attack"},
            ],
        }
    )  # fmt: skip
    assert "[f1] cmdline: &lt;img src=x&gt;aaa" in note
    assert "[p1] T1059: attack" in note
    assert len(note) < 2_000
