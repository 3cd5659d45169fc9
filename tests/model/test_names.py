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


@pytest.mark.parametrize("field", ["process.user.name", "processUser", "actor", "run_as", "device.owner"])
def test_what_a_field_is_of_comes_last(field: str) -> None:
    assert "maria.berg" not in said(user="maria.berg", **{field: "arn:aws:sts::assumed-role/Admin/maria.berg"})


@pytest.mark.parametrize("field", ["user.process", "account_service", "login_rule_name"])
def test_a_field_of_an_accounts_process_is_no_account(field: str) -> None:
    assert f": {'lsass'}" in said(user="lsass", **{field: "lsass"})


def test_a_home_directory_is_a_persons() -> None:
    assert "C:\\Users\\person\\run.exe" in said(user="maria.berg", process_path="C:\\Users\\maria.berg\\run.exe")
    assert "/home/person/x" in said(user="maria.berg", file="/home/maria.berg/x")


def test_a_name_inside_another_word_stays() -> None:
    assert "olafsson.exe" in said(user="olaf", process="C:\\tools\\olafsson.exe")


def test_names_are_data_and_never_a_pattern() -> None:
    assert "anything" in said(user="a.*b", hostname="h.+1(", note="anything")
