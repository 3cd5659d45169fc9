"""Unit tests of the automation."""

import json

import AegisInvestigateIncident
import demistomock as demisto
import pytest

RAW = {"alertId": "da-1", "title": "Suspicious LSASS access"}
INCIDENT = {
    "id": "42", "name": 'x" } <b>', "severity": 3, "details": "d", "owner": "bob", "status": 1, "version": 7,
    "modified": "2026-11-26T10:00:00Z", "labels": [{"type": "Email", "value": "a"}], "rawJSON": json.dumps(RAW),
}  # fmt: skip
ENTRY = {"Type": 1, "HumanReadable": "### Aegis: Beacon", "EntryContext": {"Aegis.Case": {}}}


def _run(mocker, incident, answers=(ENTRY,), **args):
    handed = []
    mocker.patch.object(demisto, "incident", return_value=incident)
    mocker.patch.object(demisto, "args", return_value=args)
    mocker.patch.object(demisto, "results", side_effect=lambda value: handed.append(value))
    asked = mocker.patch.object(demisto, "executeCommand", return_value=list(answers))
    try:
        AegisInvestigateIncident.main()
    except SystemExit:
        pass
    return handed, asked


def test_the_alert_that_was_fetched_is_handed_in_as_it_was(mocker):
    handed, asked = _run(mocker, INCIDENT)
    name, given = asked.call_args.args
    assert name == "aegis-investigate"
    assert json.loads(given["alert"]) == RAW
    assert given["shadow"] == "false"
    assert handed == [[ENTRY]]


@pytest.mark.parametrize("raw", ["", None, "no json", "[1]", "{broken", "{" * 100_000])
def test_without_one_the_incident_itself_is_and_a_second_run_is_the_same_alert(mocker, raw):
    _, asked = _run(mocker, INCIDENT | {"rawJSON": raw})
    first = asked.call_args.args[1]["alert"]
    _, asked = _run(mocker, INCIDENT | {"rawJSON": raw, "modified": "later", "owner": "eve", "version": 8})
    assert asked.call_args.args[1]["alert"] == first
    sent = json.loads(first)
    assert (sent["id"], sent["title"], sent["severity"]) == ("42", INCIDENT["name"], 3)
    assert not {"owner", "status", "version", "modified", "rawJSON"} & set(sent)


def test_what_to_hand_in_can_be_said(mocker):
    _, asked = _run(mocker, INCIDENT, source="incident", shadow="true", format="generic", using="Aegis_1")
    given = asked.call_args.args[1]
    assert json.loads(given["alert"])["id"] == "42"
    assert (given["shadow"], given["format"], given["using"]) == ("true", "generic", "Aegis_1")
    handed, asked = _run(mocker, INCIDENT | {"rawJSON": ""}, source="raw")
    assert handed[-1]["Type"] == 4
    assert "has no raw alert" in handed[-1]["Contents"]
    handed, _ = _run(mocker, INCIDENT, source="nonsense")
    assert "is none of auto, raw, incident" in handed[-1]["Contents"]


def test_what_goes_wrong_at_aegis_is_an_error_here(mocker):
    handed, _ = _run(
        mocker, INCIDENT, answers=[{"Type": 4, "Contents": "the server is busy", "ContentsFormat": "text"}]
    )
    assert handed[-1]["Type"] == 4
    assert "the server is busy" in handed[-1]["Contents"]
