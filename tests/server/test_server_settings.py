"""Each setting does something: what is tried here, and where the rest is tried."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from aegis_agents.errors import SettingsError
from aegis_agents.records import AEGIS
from aegis_agents.server import background
from aegis_agents.server.app import create_app
from aegis_agents.server.running import make_server
from aegis_agents.settings_server import OidcSettings, ServerSettings, WebhookSettings
from tests.server.conftest import ATTACK
from tests.server.test_server_oidc import ISSUER, RSA, Site, _token

TRIED = {
    "host": "test_it_listens_where_it_is_told", "port": "test_sigterm_lets_what_is_under_way_finish",
    "tls_certificate": "test_it_speaks_tls_itself", "tls_key": "test_it_speaks_tls_itself",
    "trusted_proxies": "test_only_trusted_proxies_say_where_a_request_comes_from",
    "plain_http": "test_listening_to_others_has_to_be_said", "hosts": "test_only_named_hosts_are_answered",
    "oidc": "test_people_of_the_provider_come_in_over_http", "tokens_answer": "test_tokens_need_not_be_let_answer",
    "rate_per_person": "test_a_person_may_ask_so_often", "rate_per_address": "test_an_address_may_ask_so_often",
    "failures_per_address": "test_who_guesses_has_to_wait",
    "body_bytes": "test_a_body_is_refused_by_its_length_and_while_it_comes",
    "batch_bytes": "test_a_body_is_refused_by_its_length_and_while_it_comes",
    "batches": "test_batches_at_once_are_few_and_nobody_has_all",
    "bodies_bytes": "test_a_streamed_alert_is_held_until_it_was_worked_on",
    "body_s": "test_a_slow_small_body_is_not_waited_for", "workers": "test_so_many_work_at_once",
    "waiting_room": "test_so_many_may_wait", "connections": "test_too_many_connections_are_told_so",
    "drain_s": "test_what_is_under_way_has_so_long_to_finish",
    "expire_s": "test_what_is_past_its_time_is_lifted_while_serving",
    "recover_s": "test_what_nobody_decided_is_decided_in_time",
    "idempotency_hours": "test_an_answer_is_kept_so_long", "session_minutes": "tests/console",
    "webhooks": "test_what_happens_is_told_in_order_and_signed",
    "webhook_give_up_hours": "test_one_that_is_deaf_holds_up_nobody_else_and_is_given_up",
    "issuer": "test_a_claim_that_does_not_fit_is_nobody", "audience": "test_a_claim_that_does_not_fit_is_nobody",
    "client_id": "tests/console", "scope": "tests/console", "session_hours": "tests/console", "name_claim": "test_a_token_names_a_person_with_the_roles_that_the_settings_give",
    "role_claim": "test_a_claim_with_dots_in_its_name_is_found",
    "roles": "test_a_token_names_a_person_with_the_roles_that_the_settings_give",
    "algorithms": "test_a_key_is_not_used_for_another_algorithm_than_the_settings_allow",
    "leeway_s": "test_a_clock_that_may_not_be_off_is_not",
    "keys_s": "test_keys_that_are_had_stand_while_the_provider_is_away",
    "name": "test_it_goes_on_after_a_restart_and_with_what_others_decided",
    "url": "test_what_happens_is_told_in_order_and_signed", "secret": "test_what_happens_is_told_in_order_and_signed",
    "events": "test_what_happens_is_told_in_order_and_signed",
}  # fmt: skip


def test_each_setting_is_tried_somewhere() -> None:
    fields = {*ServerSettings.model_fields, *OidcSettings.model_fields, *WebhookSettings.model_fields}
    assert set(TRIED) == fields
    here = Path(__file__).parent
    written = "\n".join(file.read_text("utf-8") for file in here.glob("test_*.py"))
    console = "\n".join(file.read_text("utf-8") for file in (here.parent / "console").glob("*.py"))
    for field, test in TRIED.items():
        if test == "tests/console":
            assert re.search(rf"\b{field}\b", console), field
        else:
            assert f"def {test}(" in written, field


def test_it_listens_where_it_is_told(make: Callable[..., Any], listening: Callable[..., Any]) -> None:
    with listening(make(), host="127.0.0.7") as url:
        assert url.startswith("http://127.0.0.7:")
        assert httpx.get(f"{url}/healthz").status_code == 200


def test_people_of_the_provider_come_in_over_http(serving: Callable[..., Any]) -> None:
    oidc = {
        "issuer": ISSUER,
        "audience": "aegis",
        "name_claim": "preferred_username",
        "role_claim": "realm_access.roles",
    }
    now = int(time.time())
    token = {"Authorization": f"Bearer {_token(exp=now + 60, iat=now)}"}
    with serving() as rig:
        assert rig.client.get("/v1/timers", headers=token).status_code == 401
    with serving(oidc=oidc | {"roles": {"soc-approvers": ("approver",)}}) as rig:
        rig.parts.provider._fetch = Site(RSA)
        assert rig.client.get("/v1/timers", headers=token).status_code == 200
        assert rig.client.post("/v1/actions/x/undo", headers=token).status_code == 403
        assert rig.client.post("/v1/actions/x/deny", headers=token).status_code == 404
        assert {e["principal"]["id"] for e in rig.entries("access")} == {"oidc:alice"}


@pytest.mark.parametrize(("workers", "together"), [(1, False), (2, True)])
def test_so_many_work_at_once(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, workers: int, together: bool
) -> None:
    with serving(workers=workers) as rig:
        viewer, both = rig.person("v", "viewer"), threading.Barrier(2)
        met: list[bool] = []

        def search(**_: Any) -> list[Any]:
            try:
                both.wait(0.5)
                met.append(True)
            except threading.BrokenBarrierError:
                met.append(False)
            return []

        monkeypatch.setattr(rig.aegis.context.intel, "search", search)  # one for all tests: it must come back
        with ThreadPoolExecutor(2) as pool:
            calls = [pool.submit(viewer.get, "/v1/intel/search?q=x") for _ in range(2)]
            assert [call.result().status_code for call in calls] == [200, 200]
        assert met == [together, together]


@pytest.mark.parametrize(("room", "status"), [(0, 503), (5, 200)])
def test_so_many_may_wait(serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, room: int, status: int) -> None:
    with serving(workers=1, waiting_room=room) as rig:
        viewer, go = rig.person("v", "viewer"), threading.Event()
        monkeypatch.setattr(rig.aegis.context.intel, "search", lambda **_: go.wait(20) and [])
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(viewer.get, "/v1/intel/search?q=x")
            while rig.parts.workroom.inside < 1:
                time.sleep(0.01)
            second = pool.submit(viewer.get, "/v1/intel/search?q=y")
            time.sleep(0.2)
            go.set()
            assert (first.result().status_code, second.result().status_code) == (200, status)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("drain", "finished"), [(1.0, False), (30.0, True)])
def test_what_is_under_way_has_so_long_to_finish(
    make: Callable[..., Any], drain: float, finished: bool, stream: bool
) -> None:
    aegis, go, begun = make(), threading.Event(), threading.Event()
    token = aegis.store.add_token("ana", ("analyst",), AEGIS, valid_for=timedelta(days=1))
    headers = {"Authorization": f"Bearer {token}"} | ({"Accept": "text/event-stream"} if stream else {})
    known = aegis.begin

    def slow(*given: Any, **more: Any) -> Any:
        begun.set()
        go.wait(20)
        return known(*given, **more)

    aegis.begin = slow
    settings = ServerSettings(port=0, drain_s=drain)
    server = make_server(create_app(aegis, settings), settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    said: list[str] = []

    def ask() -> None:
        try:
            answer = httpx.post(f"http://127.0.0.1:{port}/v1/incidents", json=ATTACK, headers=headers, timeout=30)
            said.append(answer.text)
        except httpx.TransportError:
            said.append("cut off")

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(20)
    server.handle_exit(15, None)
    asking.join(2.5)
    assert asking.is_alive() is finished
    go.set()
    asking.join(20)
    thread.join(30)
    assert ("true_positive" in said[0]) is finished
    assert aegis.store.unfinished() == []  # what was begun is finished even if its client has gone


@pytest.mark.parametrize(("every", "decided"), [(0.05, True), (600.0, False)])
def test_what_nobody_decided_is_decided_in_time(serving: Callable[..., Any], every: float, decided: bool) -> None:
    with serving(recover_s=every) as rig:
        while not rig.parts.ready:
            time.sleep(0.01)
        time.sleep(0.3)  # the first look, at start, is over
        incident, native = rig.aegis._read(ATTACK, None)
        rig.aegis.store.admit(incident, native, rig.aegis.context.versions)
        until = time.monotonic() + (15 if decided else 0.5)
        while rig.aegis.store.unfinished() and time.monotonic() < until:
            time.sleep(0.02)
        assert (not rig.aegis.store.unfinished()) is decided


@pytest.mark.parametrize(("hours", "replayed"), [(24.0, True), (1e-7, False)])
def test_an_answer_is_kept_so_long(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, hours: float, replayed: bool
) -> None:
    monkeypatch.setattr(background, "_FORGET_S", 0.02)
    with serving(idempotency_hours=hours) as rig:
        ana, key = rig.person("ana", "analyst"), {"Idempotency-Key": "k"}
        assert ana.post("/v1/incidents", json=ATTACK, headers=key).status_code == 201
        time.sleep(0.3)
        again = ana.post("/v1/incidents", json=ATTACK, headers=key)
        assert (again.status_code, "idempotency-replayed" in again.headers) == (
            (201, True) if replayed else (200, False)
        )


def test_a_certificate_that_can_not_be_used_is_said(make: Callable[..., Any], tmp_path: Path) -> None:
    """And no passphrase is asked for at a terminal that nobody sits at."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    locked, form = serialization.BestAvailableEncryption(b"secret"), serialization.PrivateFormat.PKCS8
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.PEM, form, locked)
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "cert.pem").write_text("no certificate")
    app = create_app(make())
    for certificate in (tmp_path / "none.pem", tmp_path / "cert.pem"):
        settings = ServerSettings(tls_certificate=certificate, tls_key=tmp_path / "key.pem")
        with pytest.raises(SettingsError, match="tls_certificate"):
            make_server(app, settings)
