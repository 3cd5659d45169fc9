"""Persons and machine numbers are read as kinds; names that say what something is are read as they are."""

from __future__ import annotations

import pytest

from aegis_agents.model.text import read
from aegis_agents.sources import parse


def said(**alert: str) -> str:
    return " | ".join(p.text for p in read(parse({"id": "n-1", **alert}))[0])


def test_who_it_was_and_which_machine_changes_nothing() -> None:
    one = said(user="maria.berg", hostname="LT-FIN-0412", note="maria.berg opened it on LT-FIN-0412")
    other = said(user="Tomas_Ek", hostname="LT-FIN-77", note="Tomas_Ek opened it on LT-FIN-77")
    assert one == other
    assert "person opened it on LT-FIN" in one


@pytest.mark.parametrize("name", ["svc_backup", "root", "DBA-Team", "build.agent", "x1", "administrator"])
def test_a_name_that_says_what_it_is_stays(name: str) -> None:
    assert name in said(user=name)


def test_a_mail_address_keeps_its_domain_and_a_domain_account_its_domain() -> None:
    assert "person@partner.example" in said(user="maria.berg@partner.example")
    assert said(user="CORP\\maria.berg").endswith("person")


@pytest.mark.parametrize("name", ["lsass", "mimikatz", "evil.exe"])
def test_an_account_that_is_named_after_evidence_hides_none(name: str) -> None:
    found = said(user=name, process_name=name, command_line=f"procdump.exe -ma {name} C:\\tools\\{name} out.dmp")
    assert f"procdump.exe -ma {name} C:\\tools\\{name} out.dmp" in found
    assert f"process name: {name}" in found


@pytest.mark.parametrize("field", ["process_user", "run_as", "actor", "target_user_name", "approver"])
def test_an_account_alone_in_a_field_for_accounts_is_a_person(field: str) -> None:
    assert "maria.berg" not in said(**{field: "maria.berg"})
    assert "CORP\\person" in said(**{field: "CORP\\maria.berg"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login_shell", "/tmp/mimikatz"), ("user_agent", "nikto/mimikatz"), ("user.process", "mimikatz"),
        ("email_url", "http://e.example/mimikatz"), ("user.registry", "HKCU\\Run\\mimikatz"), ("login_rule_name", "mimikatz"),
    ],
)  # fmt: skip
def test_a_field_that_only_sounds_like_an_accounts_is_read_as_it_is(field: str, value: str) -> None:
    assert value in said(user="mimikatz", **{field: value})


def test_a_name_that_is_a_word_changes_no_record_and_no_statement() -> None:
    found = said(
        time="2026-03-04T05:06:07Z",
        change_window="2026-03-01T00:00:00Z/2026-03-01T04:00:00Z",
        ticket="CHG1 state denied, forged",
        user="denied",
        src_user="forged",
        command_line="a.exe user=after",
    )
    assert "ticket: CHG1 state denied, forged" in found
    assert "event time after named window, 1-3 days after it closed" in found


@pytest.mark.parametrize("host", ["CVE-2021-44228", "KB5034441", "T1059-001"])
def test_what_is_no_host_keeps_its_number(host: str) -> None:
    assert host in said(hostname=host, note=f"patched for {host}").rpartition("note: ")[2]


def test_a_home_directory_is_a_persons() -> None:
    assert "C:\\Users\\person\\run.exe" in said(user="maria.berg", process_path="C:\\Users\\maria.berg\\run.exe")
    assert "/home/person/x" in said(user="maria.berg", file="/home/maria.berg/x")


def test_a_name_inside_another_word_stays() -> None:
    assert "olafsson.exe" in said(user="olaf", process="C:\\tools\\olafsson.exe")


def test_names_are_data_and_never_a_pattern() -> None:
    assert "anything" in said(user="a.*b", hostname="h.+1(", note="anything")


def test_letters_that_match_and_lower_to_something_else_end_no_reading() -> None:
    """ "ſ" (U+017F) matches s and "ı" (U+0131) matches i where case is ignored, and lower() leaves both as they are."""
    assert "on wkſ-0412 x" in said(hostname="wks-0412", message="on wkſ-0412 x")
    assert "at fıle-0412" in said(hostname="FILE-0412", message="at fıle-0412")
