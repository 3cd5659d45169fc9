"""The app as the platform runs it: JSON in, action results out; a fake Aegis and a fake platform on loopback."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_APP = Path(__file__).resolve().parents[1]
for place in (_APP.parent, Path(os.environ["AEGIS_REPOSITORY"]) / "tests" / "soar"):
    sys.path.insert(0, str(place))

from fake_aegis import FakeAegis  # noqa: E402
from soar_sdk.input_spec import ActionParameter, AppConfig, InputSpecification, SoarAuth  # noqa: E402
from soar_sdk.shims.phantom_common.encryption.encryption_manager_factory import (  # noqa: E402
    platform_encryption_backend,
)
from splunk_soar.src.app import app  # noqa: E402


class Platform:
    """The platform's REST API, as far as the app reads it, and what the app saved."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.paths: list[str] = []
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                platform.paths.append(self.path)
                body = json.dumps(platform.answers.get(self.path.partition("?")[0], {"failed": True})).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class Run:
    """Runs one action as the platform does."""

    def __init__(self, fake: FakeAegis, platform: Platform) -> None:
        self.asset: dict[str, Any] = {"url": fake.url, "token": fake.token()}
        self._platform = platform

    def __call__(self, identifier: str, container_id: int = 7, **params: Any) -> Any:
        asset_id = "3"
        config = dict(self.asset)
        config["token"] = platform_encryption_backend.encrypt(config["token"], asset_id)
        given = InputSpecification(
            action=identifier,
            identifier=identifier,
            asset_id=asset_id,
            container_id=container_id,
            config=AppConfig(app_version="1.0.0", directory=".", main_module="app.py", **config),
            parameters=[ActionParameter(**params)],
            soar_auth=SoarAuth(phantom_url=self._platform.url, username="", password=""),
        )
        if hasattr(app, "_asset"):
            del app._asset
        app.actions_manager.action_results.clear()
        app.handle(given.model_dump_json())
        return app.actions_manager.get_action_results()[-1]


@pytest.fixture
def fake() -> Any:
    with FakeAegis() as served:
        yield served


@pytest.fixture
def platform() -> Any:
    made = Platform()
    yield made
    made.close()


@pytest.fixture
def run(fake: FakeAegis, platform: Platform) -> Run:
    return Run(fake, platform)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What the app hands to the platform when it polls."""
    kept: dict[str, list[Any]] = {"containers": [], "artifacts": []}

    def container(row: dict[str, Any]) -> tuple[bool, str, int]:
        kept["containers"].append(row)
        return True, "", len(kept["containers"])

    def artifacts(rows: list[dict[str, Any]]) -> tuple[bool, str, list[int]]:
        kept["artifacts"] += rows
        return True, "", list(range(len(rows)))

    monkeypatch.setattr(app.actions_manager, "save_container", container)
    monkeypatch.setattr(app.actions_manager, "save_artifacts", artifacts)
    return kept
