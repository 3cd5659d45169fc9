"""Over HTTP: a caller's trace goes on, /metrics has everything that dashboard and alerts name, workers answer too."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from aegis_agents import Aegis
from aegis_agents.errors import ModelError, SettingsError
from aegis_agents.inbox.opening import open_inbox
from aegis_agents.records import AEGIS
from aegis_agents.server.app import create_app
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.watching import MONITOR, observed, provide_gauges, provide_inbox, provide_monitor
from tests.telemetry.collector import Collector, attributes
from tests.telemetry.conftest import ATTACK

Make = Callable[..., Aegis]
DEPLOY = Path(__file__).parents[2] / "deploy"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def _post(aegis: Aegis, traceparent: str | list[str], **alert: str) -> int:
    from datetime import timedelta

    token = aegis.store.add_token("soar", ("analyst",), AEGIS, valid_for=timedelta(days=1))
    given = [traceparent] if isinstance(traceparent, str) else traceparent
    headers = [("Authorization", f"Bearer {token}"), *(("traceparent", value) for value in given)]
    with TestClient(create_app(aegis)) as client:
        return client.post("/v1/incidents", json=ATTACK | alert, headers=headers).status_code


def test_a_callers_trace_goes_on_into_the_agents(heard: Make, collector: Collector) -> None:
    aegis = heard()
    assert _post(aegis, f"00-{TRACE}-{PARENT}-00") == 201  # not sampled there; whether we keep it is ours to say
    aegis.close()
    request = collector.named("POST /v1/incidents")
    assert request.trace_id.hex() == TRACE
    assert request.parent_span_id.hex() == PARENT
    assert collector.named("invoke_workflow aegis").parent_span_id == request.span_id
    assert collector.named("execute_tool open_ticket").trace_id.hex() == TRACE
    said = attributes(request)
    assert said == {
        "http.request.method": "POST", "url.scheme": "http", "http.route": "/v1/incidents", "http.response.status_code": 201,
    }  # fmt: skip
    assert request.kind == 2


@pytest.mark.parametrize(
    "hostile",
    ["", "x" * 55, f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01" * 100,
     [f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-01"]],
)  # fmt: skip
def test_a_traceparent_that_is_none_begins_a_trace_of_our_own(
    heard: Make, collector: Collector, hostile: str | list[str]
) -> None:
    aegis = heard()
    assert _post(aegis, hostile) == 201
    aegis.close()
    request = collector.named("POST /v1/incidents")
    assert request.trace_id.hex() != TRACE
    assert not request.parent_span_id


def test_what_a_path_says_is_not_kept(heard: Make, collector: Collector) -> None:
    aegis = heard()
    with TestClient(create_app(aegis)) as client:
        client.get("/v1/incidents/wks-041?user=ann")
        client.get("/wks-041")
    aegis.close()
    assert b"wks-041" not in collector.raw
    assert b"ann" not in re.sub(rb"annotations?", b"", collector.raw)


class _Busy:
    """An Aegis that has done everything, so that every figure has a value."""

    def __init__(self, aegis: Aegis) -> None:
        self.settings, self.store, self.context, self.telemetry = (
            aegis.settings, aegis.store, aegis.context, aegis.telemetry,
        )  # fmt: skip
        self.inbox = open_inbox(aegis.settings)


def _named() -> dict[str, set[str]]:
    """The metrics that the dashboard and the alerts name."""
    dashboard = json.loads((DEPLOY / "grafana" / "aegis.json").read_text("utf-8"))
    shown = [t["expr"] for p in dashboard["panels"] for t in p.get("targets", ())]
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))
    alarms = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    metric = re.compile(r"\b(?:aegis|gen_ai_client)_[a-z_]+\b")
    return {
        "dashboard": {m for e in shown for m in metric.findall(e)}, "alerts": {m for e in alarms for m in metric.findall(e)},
    }  # fmt: skip


def _exported(text: str) -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def _worked(make: Make, **settings: Any) -> Aegis:
    """One that was asked, answered, failed and lost something."""
    from tests.telemetry.test_telemetry_traces import _llm

    aegis = make(llm=_llm('[{"text": "Odd.", "cites": ["f1"]}]'), **settings)
    aegis.telemetry.prometheus()
    aegis.investigate(ATTACK)
    aegis.investigate(ATTACK | {"event_id": "u", "answer": "undetermined"})
    aegis.telemetry.failed("incident", ModelError("x"))
    aegis.telemetry.lost("spans", "queue_full", 1)
    return aegis


def test_all_that_dashboard_and_alerts_name_is_exported_by_a_running_worker(make: Make, free_port: int) -> None:
    aegis = _worked(make, telemetry=TelemetrySettings(metrics_port=free_port))
    busy = _Busy(aegis)
    provide_inbox(busy)
    provide_monitor(aegis.telemetry, lambda: dict.fromkeys(MONITOR, 1.0))
    with observed(aegis, number=0) as server:
        assert server is not None
        url = f"http://127.0.0.1:{server.port}/metrics"
        text = urllib.request.urlopen(url, timeout=5).read().decode()
    busy.inbox.close()
    exported = _exported(text)
    named = _named()
    assert len(named["dashboard"]) > 20
    assert named["dashboard"] - exported == {"aegis_inbox_stream_waiting"}  # has rows once something waits
    assert named["alerts"] - exported == set()


def test_the_monitors_gauges_are_those_that_it_answers(make: Make) -> None:
    from aegis_agents.monitor.drift import STREAMS
    from aegis_agents.monitor.watch import Monitor

    said = set(Monitor(make()).status().gauges())
    drift = {f"aegis_monitor_drift_{name}_stake" for name in STREAMS}
    assert said - drift <= set(MONITOR)
    assert set(MONITOR) <= said | drift | {"aegis_monitor_contradicted_share"}


def test_the_server_answers_its_own_figures_and_the_librarys_with_no_name_twice(make: Make) -> None:
    aegis = _worked(make)
    with TestClient(create_app(aegis), client=("127.0.0.1", 5000), base_url="http://localhost") as client:
        client.get("/metrics")
        text = client.get("/metrics").text
    kinds = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")]
    assert len(kinds) == len(set(kinds))
    assert {"aegis_http_requests_total", "aegis_incidents_total", "aegis_decisions_total", "aegis_kill_switch_engaged",
            "aegis_budget_used_ratio", "aegis_ledger_entries", "aegis_version_info"} <= _exported(text)  # fmt: skip


def test_gauges_say_how_it_stands(make: Make, tmp_path: Path) -> None:
    aegis = make()
    provide_gauges(aegis)
    rows = aegis.telemetry.gauges.rows
    assert rows("aegis_approvals_waiting") == [((), 0.0)]
    aegis.investigate(ATTACK)
    assert rows("aegis_approvals_waiting") == [((), 2.0)]
    assert 0 < rows("aegis_approvals_oldest_seconds")[0][1] < 60
    assert rows("aegis_kill_switch_engaged") == [((), 0.0)]
    aegis.settings.kill_switch_file.touch()
    assert rows("aegis_kill_switch_engaged") == [((), 1.0)]
    entries = rows("aegis_ledger_entries")[0][1]
    assert entries == rows("aegis_ledger_unsigned_entries")[0][1] > 0
    aegis.store.checkpoint()
    assert rows("aegis_ledger_unsigned_entries")[0][1] < entries
    assert dict(rows("aegis_budget_used_ratio"))[("records",)] == pytest.approx(1 / 1000)
    assert ("model", "fake@1") in dict(rows("aegis_version_info"))


def test_each_process_of_a_worker_listens_one_port_further_on_loopback_alone(make: Make, free_port: int) -> None:
    aegis = make(telemetry=TelemetrySettings(metrics_port=free_port))
    with observed(aegis, number=3) as server:
        assert server is not None
        assert server.port == free_port + 3
        assert server._server.server_address[0] == "127.0.0.1"
        with pytest.raises(SettingsError, match="metrics_port"), observed(aegis, number=3):
            pass


def test_without_a_port_nothing_listens(make: Make) -> None:
    with observed(make()) as server:
        assert server is None


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "aegis.json").read_text("utf-8"))
    assert dashboard["schemaVersion"] >= 36
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, f"{panel['title']} covers another panel"
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert [t["refId"] for t in panel["targets"]] == sorted({t["refId"] for t in panel["targets"]})
            for target in panel["targets"]:
                assert target["expr"].count("(") == target["expr"].count(")")


def test_the_alerts_have_what_prometheus_wants() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text("utf-8"))["groups"][0]["rules"]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
