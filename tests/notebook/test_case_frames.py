"""DataFrames in and out: rows stay in place, dtypes never change, cells are never paths, and msticpy's shapes fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aegis_agents import Aegis, InputError
from aegis_agents.notebook import frames, investigate_frame, investigate_security_alerts, security_alerts
from aegis_agents.notebook.batch import JUDGED, plain, row_to_alert
from aegis_agents.notebook.sentinel import ENTITY, SECURITY_ALERT, as_entity, entities
from aegis_agents.records import Entity
from tests.notebook.notebook_parts import example

pd = pytest.importorskip("pandas", reason="needs the notebook extra")
np = pytest.importorskip("numpy")


def check(frame: Any, columns: Any, rows: int) -> None:
    assert list(frame.columns) == list(columns)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dict(columns)
    assert len(frame) == rows


def test_rows_stay_in_place_with_their_index_and_bad_ones_with_their_error(aegis: Aegis, tmp_path: Path) -> None:
    secret = tmp_path / "alert.json"
    secret.write_text(example("1_attack"))
    given = pd.DataFrame(
        {"raw": [example("1_attack"), str(secret), "nonsense", None, "{bad", json.loads(example("2_authorised")), 5]},
        index=list("abcdefg"),
    )
    judged = investigate_frame(aegis, given, "raw")
    check(judged, JUDGED, 7)
    assert list(judged.index) == list("abcdefg")
    assert judged["verdict"].dropna().to_dict() == {"a": "true_positive", "f": "benign_positive"}
    assert set(judged.index[judged["error"].notna()]) == set("bcdeg")
    assert "is no alert" in judged.loc["b", "error"]  # a cell that names a file is not opened
    check(investigate_frame(aegis, given.iloc[:0], "raw"), JUDGED, 0)


def test_a_row_itself_can_be_the_alert(aegis: Aegis) -> None:
    row = {"event_id": "1", "when": pd.Timestamp("2026-03-01T10:00Z"), "port": np.int64(443), "missing": None, "nan": float("nan"),
           "nat": pd.NaT, "host": "ALD-1", "list": '[{"a": 1}]', "flag": np.bool_(True), "share": np.float64(0.5)}  # fmt: skip
    assert row_to_alert(row) == {
        "event_id": "1", "when": "2026-03-01T10:00:00+00:00", "port": 443, "host": "ALD-1", "list": [{"a": 1}], "flag": True,
        "share": 0.5,
    }  # fmt: skip
    judged = investigate_frame(aegis, pd.DataFrame([row, row | {"event_id": "2"}]))
    assert judged["error"].isna().all()
    incident = aegis.case(judged["incident_id"].iloc[0]).incident
    assert incident is not None
    assert {f.path: f.value for f in incident.facts}["port"] == "443"


def test_what_is_odd_in_a_cell() -> None:
    assert plain("[not json]") == "[not json]"
    assert plain("[" * 100_000 + "]") == "[" * 100_000 + "]"
    assert plain(np.array([1, 2])) == [1, 2]
    assert plain({"a": (1, None)}) == {"a": [1, None]}
    assert plain(b"bytes") == "b'bytes'"


def test_a_column_that_is_not_there_and_two_of_one_name(aegis: Aegis) -> None:
    with pytest.raises(InputError, match="one of x"):
        investigate_frame(aegis, pd.DataFrame({"x": []}), "raw")
    with pytest.raises(InputError, match="one name"):
        investigate_frame(aegis, pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_frames_of_cases_have_their_columns_whatever_comes_in(aegis: Aegis) -> None:
    one, two = aegis.investigate(example("1_attack")), aegis.investigate(example("2_authorised"))
    assert one.incident is not None
    check(frames.cases([one, two]), frames.CASES, 2)
    check(frames.cases([]), frames.CASES, 0)
    check(frames.evidence([one, two]), frames.EVIDENCE, len(one.evidence) + len(two.evidence))
    check(frames.evidence([]), frames.EVIDENCE, 0)
    check(frames.actions(one), frames.ACTIONS, len(one.actions))
    check(frames.actions(aegis.pending()), frames.ACTIONS, 6)
    check(frames.facts(one.incident), frames.FACTS, len(one.incident.facts))
    check(frames.entities(one.incident), frames.ENTITIES, len(one.incident.entities))
    check(frames.ledger(aegis.store.entries()), frames.LEDGER, len(aegis.store.entries()))
    check(frames.ledger([]), frames.LEDGER, 0)
    assert frames.cases([one]).loc[0, "waiting"] == 5
    weights = frames.evidence(one)
    assert weights.loc[weights["id"] == "f15", "written_by"].tolist() == ["external"]
    assert frames.actions(aegis.pending())["decided_at"].notna().all()


def test_a_body_that_retention_removed_is_missing_and_said_to_be(aegis: Aegis) -> None:
    aegis.investigate(example("2_authorised"))
    entries = [e.model_copy(update={"body": None}) if e.seq == 1 else e for e in aegis.store.entries()]
    frame = frames.ledger(entries)
    assert frame["removed"].tolist() == [True, False, False]
    assert pd.isna(frame.loc[0, "body"])


SENTINEL = {
    "TimeGenerated": pd.Timestamp("2026-03-12T02:41:09Z"), "AlertName": "Suspicious process", "AlertSeverity": "Low",
    "SystemAlertId": "0f1e", "ProviderName": "MDATP", "VendorName": "Microsoft",
    "Entities": json.dumps([
        {"$id": "1", "HostName": "ALD-LT-0442", "Type": "host"},
        {"$id": "2", "Name": "m.oyelaran", "Host": {"$ref": "1"}, "Type": "account"},
        {"$id": "3", "Address": "203.0.113.91", "Type": "ip"},
    ]),
    "ExtendedProperties": json.dumps({"Command Line": "rundll32.exe C:\\Temp\\inv.dat,Start", "Parent": "wscript.exe Invoice.js"}),
}  # fmt: skip


def test_a_security_alert_row_is_read_with_its_entities(aegis: Aegis) -> None:
    judged = investigate_security_alerts(aegis, pd.DataFrame([SENTINEL, SENTINEL | {"Entities": "[broken"}]))
    assert judged["error"].isna().all()
    incident = aegis.case(judged["incident_id"].iloc[0]).incident
    assert incident is not None
    for kind, value in (("host", "ALD-LT-0442"), ("user", "m.oyelaran"), ("ip", "203.0.113.91")):
        assert incident.has_entity(kind, value), incident.entities
    assert not any("$" in f.path for f in incident.facts)
    assert any(f.path == "ExtendedProperties.Command Line" for f in incident.facts)


def test_cases_in_the_shape_of_security_alert(aegis: Aegis) -> None:
    case = aegis.investigate(example("1_attack"))
    frame = security_alerts([case])
    check(frame, SECURITY_ALERT, 1)
    check(security_alerts([]), SECURITY_ALERT, 0)
    row = frame.iloc[0]
    assert {e["Type"] for e in json.loads(row["Entities"])} == {"host", "ip", "account", "file", "filehash"}
    assert json.loads(row["ExtendedProperties"])["Verdict"] == "true_positive"
    assert row["CompromisedEntity"] == "ALD-LT-0442"
    check(entities(case), ENTITY, len(json.loads(row["Entities"])))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("host", "dc1.corp.example", {"Type": "host", "HostName": "dc1", "DnsDomain": "corp.example"}),
        ("user", "CORP\\alice", {"Type": "account", "Name": "alice", "NTDomain": "CORP"}),
        ("user", "alice@corp.example", {"Type": "account", "Name": "alice", "UPNSuffix": "corp.example"}),
        ("file", "C:\\Temp\\a.exe", {"Type": "file", "Name": "a.exe", "Directory": "C:\\Temp"}),
        ("hash", "a" * 64, {"Type": "filehash", "Algorithm": "SHA256", "Value": "a" * 64}),
        ("pod", "ns/x", None),
    ],
)
def test_entities_under_their_sentinel_types(kind: Any, value: str, expected: Any) -> None:
    assert as_entity(Entity(kind=kind, value=value)) == expected
