"""Personal numbers that must not leave in a ticket."""

from __future__ import annotations

import time

import pytest
from gate_cases import action, context, request

from aegis_agents.gate import redact, secrets_in
from aegis_agents.gate.validators import outgoing

# Made up by the checks' own arithmetic; nobody's.
NUMBERS = [
    ("DNI 12345678Z", "12345678Z", "identity number"),
    ("NIE X1234567L was asked for", "X1234567L", "identity number"),
    ("NIR 1 84 12 76 451 089 46", "451 089", "identity number"),
    ("CF RSSMRA85T10A562S", "RSSMRA85T10A562S", "identity number"),
    ("AHV 756.9217.0769.85", "9217.0769", "identity number"),
    ("CPF 529.982.247-25", "982.247", "identity number"),
    ("NI number QQ123456C is no prefix, AB123456C is", "AB123456C", "identity number"),
    ("Steuer-ID: 86095742719", "86095742719", "identity number"),
    ("svnr=1237 010180", "1237 010180", "identity number"),
    ("date of birth: 1984-03-07", "1984-03-07", "date of birth"),
    ("DOB 7/3/1984", "7/3/1984", "date of birth"),
    ("geboren am 7. März 1984", "März 1984", "date of birth"),
    ("passport no. C01X00T47 scanned", "C01X00T47", "identity document"),
    ("Reisepass Nr: L01X00T471", "L01X00T471", "identity document"),
    ("MRN: 00482913", "00482913", "patient number"),
    ("patient id P-482913", "P-482913", "patient number"),
]


@pytest.mark.parametrize(("text", "number", "kind"), NUMBERS)
def test_personal_numbers_are_masked(text: str, number: str, kind: str) -> None:
    masked = redact(text)
    assert number not in masked
    assert secrets_in(text) == (kind,)
    assert redact(masked) == masked
    assert secrets_in(masked) == ()


@pytest.mark.parametrize(
    "text",
    [
        "12345678A", "X1234567A", "1 84 12 76 451 089 47", "RSSMRA85T10A562T", "756.9217.0769.84", "529.982.247-26",
        "born in the cloud", "the passport service restarted 3 times", "date of birth was changed by j.doe",
        "patient zero is host web-01", "tax id column in table", "version 10.0.19045.3803", "PID 12345678",
        "process 4711 on 2026-11-22", "SHA1=98B13ABB701577AC88E360D702BB89160B50E378", "call +43 660 1234567",
        "S-1-5-21-3940915590-64593676-1414006259-500", "{39e4a257-004e-5f8d-4304-000000000700}",
        "birthday.exe", "C:\\Users\\passport\\ntuser.dat", "id card reader driver loaded", "j.doe@example.com",
    ],
)  # fmt: skip
def test_other_numbers_stay(text: str) -> None:
    assert redact(text) == text


def test_the_rail_tells_persons_from_secrets() -> None:
    told = request("open_ticket", action=action("open_ticket", reason="date of birth: 1984-03-07 was exported"))
    ruling = outgoing.check(told, context("open_ticket"))
    assert (ruling.ceiling, ruling.rule) == ("ask", "outgoing.personal")
    assert "1984" not in ruling.reason
    both = request("open_ticket", action=action("open_ticket", reason="dob: 1984-03-07 password=Winter2026!"))
    assert outgoing.check(both, context("open_ticket")).rule == "outgoing.secret"


@pytest.mark.parametrize("piece", ["1 ", "born on ", "passport no ", "A1", "12.", "dob: ", "ssn 1-", "x1234567"])
def test_hostile_repetition_costs_linear_time(piece: str) -> None:
    started = time.thread_time()
    redact(piece * (60_000 // len(piece)))
    assert time.thread_time() - started < 2  # measured: under 0.1 s; quadratic would be minutes
