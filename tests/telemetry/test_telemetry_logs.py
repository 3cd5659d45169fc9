"""The log of services: one line an event, joined with its work, without secrets, contents or control characters."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from aegis_agents import Aegis
from aegis_agents.settings import only
from aegis_agents.settings_telemetry import TelemetrySettings
from aegis_agents.telemetry.logs import configure
from aegis_agents.watching import route_logs, secrets_of
from tests.telemetry.collector import Collector
from tests.telemetry.conftest import ATTACK, SureModel

Make = Callable[..., Aegis]


class Written:
    """A log, and what was written to it."""

    def __init__(self, **settings: Any) -> None:
        from aegis_agents.gate import redact

        secrets = settings.pop("secrets", ())
        self.out = io.StringIO()
        self.settings = TelemetrySettings(**({"logs": "json"} | settings))
        self.handler = configure(self.settings, redact=redact, secrets=secrets, stream=self.out)

    @property
    def text(self) -> str:
        return self.out.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What configure sets up is taken back."""
    import structlog

    root, own = logging.getLogger(), logging.getLogger("aegis")
    handlers, level, own_level = list(root.handlers), root.level, own.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    own.setLevel(own_level)
    structlog.reset_defaults()


def test_an_incident_its_decisions_and_its_actions_are_lines_joined_by_id(make: Make) -> None:
    log = Written()
    aegis = make(model=SureModel(), telemetry=log.settings)
    case = aegis.investigate(ATTACK)
    block = next(r for r in aegis.pending() if r.proposal.action == "block_ip")
    aegis.approve(block.action_id, by="alice")
    lines = log.lines
    assert {line["incident_id"] for line in lines} == {case.incident_id}
    decided = next(line for line in lines if line["logger"] == "aegis.incident")
    assert (decided["event"], decided["verdict"], decided["source"]) == ("decided", "true_positive", "generic")
    assert decided["versions"]["model"] == "fake@1"
    assert decided["seconds"] > 0
    rules = {line["action"]: (line["verb"], line["rule"]) for line in lines if line["logger"] == "aegis.decision"}
    assert rules["block_ip"] == ("ask", "autonomy.ask")
    settled = [line for line in lines if line["logger"] == "aegis.action"]
    assert [(s["action"], s["outcome"]) for s in settled] == [("open_ticket", "executed"), ("block_ip", "executed")]
    assert settled[1]["action_id"] == block.action_id
    for word in ("wks-041", "203.0.113.9", "Beacon", "alice"):
        assert word not in log.text


def test_with_contents_title_and_targets_are_there_and_secrets_masked(make: Make) -> None:
    log = Written(contents=True)
    make(telemetry=log.settings).investigate(ATTACK | {"title": "Beacon password=hunter22222"})
    assert "Beacon password=" in log.text
    assert "203.0.113.9" in log.text
    assert "hunter22222" not in log.text


def test_lines_carry_the_trace(heard: Make, collector: Collector) -> None:
    log = Written()
    aegis = heard({"logs": "json"})
    aegis.investigate(ATTACK)
    aegis.close()
    decision = next(line for line in log.lines if line["logger"] == "aegis.decision")
    approval = collector.named("invoke_agent approval")
    assert decision["trace_id"] == approval.trace_id.hex()
    assert decision["span_id"] == approval.span_id.hex()


HOSTILE = 'x\n{"event": "forged"}\r\x1b[31m\u202e\u2028\x00 end'


@pytest.mark.parametrize("form", ["json", "text"])
def test_one_event_is_one_line_whatever_is_in_it(form: str) -> None:
    log = Written(logs=form)
    logging.getLogger("aegis.test").warning("got %s", HOSTILE, extra={"na me\n=": HOSTILE, "deep": {"k\n": [HOSTILE]}})
    assert log.text.count("\n") == 1
    assert not [c for c in log.text[:-1] if not c.isprintable()]


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_in_no_line_whoever_logs_them(form: str) -> None:
    settings = only(
        database=SecretStr("postgresql://aegis:corr-horse@db/soc"), connector_secrets={"okta.token": SecretStr("0kta-t0ken")},
        telemetry=TelemetrySettings(otlp_endpoint="http://127.0.0.1:1", otlp_headers=SecretStr("api-key=sesame-9")),
    )  # fmt: skip
    log = Written(logs=form, secrets=secrets_of(settings))
    other = logging.getLogger("somebody.else")
    other.warning("connect to postgresql://aegis:corr-horse@db/soc", extra={"h": {"x": ["0kta-t0ken"]}})
    other.error("with AKIAIOSFODNN7EXAMPLE and api-key=sesame-9")
    for secret in ("corr-horse", "0kta-t0ken", "sesame-9", "AKIAIOSFODNN7EXAMPLE"):
        assert secret not in log.text


def test_an_exception_is_its_kind_and_its_places(caplog: pytest.LogCaptureFixture) -> None:
    def raised(log: logging.Logger) -> None:
        try:
            raise ValueError("alert said wks-041")
        except ValueError:
            log.exception("it broke")

    quiet = Written()
    raised(logging.getLogger("aegis.server"))
    (line,) = quiet.lines
    assert line["error_type"] == "ValueError"
    assert line["raised_in"].endswith(" raised")
    assert "wks-041" not in quiet.text
    loud = Written(contents=True)
    raised(logging.getLogger("aegis.server"))
    assert "wks-041" in loud.text


def test_libraries_come_from_warning_on_and_ours_from_the_level_that_is_set() -> None:
    log = Written(log_level="info")
    logging.getLogger("httpx").info("GET https://feeds.example/secret")
    logging.getLogger("aegis.x").debug("too fine")
    logging.getLogger("aegis.x").info("fine")
    logging.getLogger("httpx").warning("late")
    assert [line["event"] for line in log.lines] == ["fine", "late"]
    fine = Written(log_level="debug")
    logging.getLogger("aegis.x").debug("too fine")
    assert [line["event"] for line in fine.lines] == ["too fine"]
    assert len(log.lines) == 2  # the newer log took its place


def test_the_web_servers_lines_come_out_alike(make: Make) -> None:
    from starlette.testclient import TestClient

    from aegis_agents.server.app import create_app
    from aegis_agents.server.running import make_server
    from aegis_agents.settings_server import ServerSettings

    log = Written()
    app = create_app(make(telemetry=log.settings), ServerSettings(port=0))
    make_server(app, ServerSettings(port=0))  # sets up handlers of its own
    with TestClient(app):
        logging.getLogger("uvicorn.error").warning("something of its own")
    assert [line["logger"] for line in log.lines if line["event"] == "something of its own"] == ["uvicorn.error"]


def test_what_cant_be_shown_or_formatted_does_not_stop_the_log() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("wks-041")

    log = Written()
    logging.getLogger("aegis.x").warning("odd", extra={"odd": Odd(), "long": "x" * 100_000, "many": list(range(1000))})
    record = logging.LogRecord("aegis.x", logging.WARNING, "x.py", 1, "%d", ("wks-041",), None)
    log.handler.handle(record)  # pytest's own handler would raise
    logging.getLogger("aegis.x").warning("after")
    assert "wks-041" not in log.text
    assert len(log.text) < 6_000
    assert "could not be written" in log.text
    assert '"after"' in log.text


def test_a_log_whose_reader_went_away_harms_nothing() -> None:
    log = Written()
    log.out.close()
    logging.getLogger("aegis.x").warning("nobody reads")


def test_off_leaves_logging_as_it_is() -> None:
    before = list(logging.getLogger().handlers)
    route_logs(only())
    assert logging.getLogger().handlers == before


def test_structlogs_own_loggers_come_out_too() -> None:
    import structlog

    log = Written()
    structlog.get_logger("aegis.own").warning("by structlog", n=1)
    (line,) = log.lines
    assert (line["event"], line["n"], line["level"]) == ("by structlog", 1, "warning")
