"""Secrets, each with a value of its own, through the main paths and their failures: none is seen anywhere afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import pytest

_DEMO = resources.files("aegis_agents.cli") / "demo_alerts"
PLANTED = {
    "AEGIS_TOKEN": "planted-token-4d1f",
    "AEGIS_LLM_KEY": "planted-llmkey-77aa",
    "AEGIS_WEBHOOK_SECRET": "planted-webhook-9b3e",
    "AEGIS_CONNECTOR_SECRETS": json.dumps({"tracker.token": "planted-connector-5c20"}),
    "AEGIS_FEED_TOKENS": json.dumps({"list": "planted-feedtoken-1e8b"}),
    "AEGIS_SERVER__WEBHOOKS": json.dumps(
        [{"name": "a", "url": "http://127.0.0.1:9/", "secret": "whsec_cGxhbnRlZC13ZWJob29rLXN0YW5kYXJkLTE2"}]
    ),
}
VALUES = (
    "planted-token-4d1f", "planted-llmkey-77aa", "planted-webhook-9b3e", "planted-connector-5c20", "planted-feedtoken-1e8b",
    "cGxhbnRlZC13ZWJob29rLXN0YW5kYXJkLTE2", "planted-dbpassword-c3c3",
)  # fmt: skip
BATCH = """
import contextlib, json, logging, sys, traceback, warnings
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import aegis_agents.cli.main as main
from typer.main import get_command
command = get_command(main.app)
for line in json.loads(sys.argv[1]):
    print("$", *line, flush=True)
    try:
        command.main(line, standalone_mode=False)
    except BaseException as error:
        traceback.print_exc()
        print("ended:", repr(error), flush=True)
"""


def run(home: Path, commands: list[list[str]], **more: str) -> str:
    """The commands in one process, with every log there is; what it said on both streams."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("AEGIS_")} | PLANTED | more
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", BATCH, json.dumps(commands)],
        env=env | {"AEGIS_HOME": str(home), "PYTHONFAULTHANDLER": "1"}, cwd=home, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert all(f"$ {line[0]}" in said for line in commands), said[-2000:]
    return said


def files_with(folder: Path, values: tuple[str, ...]) -> list[str]:
    found = []
    for file in folder.rglob("*"):
        if file.is_file() and "intel" not in file.relative_to(folder).parts:
            content = file.read_bytes()
            found += [f"{file.name}: {value}" for value in values if value.encode() in content]
    return found


def test_no_planted_secret_is_seen(built_home: Path) -> None:
    """Investigating, with a language model, a tracker and feeds that fail; answering; the ledger; what is wrong."""
    home = built_home
    (home / "connectors.toml").write_text(
        '[tracker]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nactions = ["open_ticket"]\n'
    )
    (home / "connectors.toml").chmod(0o600)
    (home / "feeds.toml").write_text(
        '[list]\nkind = "indicators"\nurl = "http://127.0.0.1:9/list.csv"\ninternal = true\n'
    )
    (home / "alert.json").write_text((_DEMO / "1_attack.json").read_text("utf-8"))
    (home / "unclear.json").write_text((_DEMO / "4_unclear.json").read_text("utf-8"))
    # The extra llm is there in `make test-model`; without it the rest is looked at all the same.
    model = 'llm = "http://127.0.0.1:9/v1"\nllm_name = "m"\n' if find_spec("langchain_openai") else ""
    (home / "aegis.toml").write_text(f'connectors = "connectors.toml"\n{model}')
    commands = [
        ["investigate", "alert.json", "--settings", "aegis.toml", "--json"],
        ["investigate", "unclear.json", "--settings", "aegis.toml", "--json"],
        ["approvals", "--settings", "aegis.toml"],
        ["approve", "act-none", "--by", "ada", "--settings", "aegis.toml"],
        ["ledger", "show", "--settings", "aegis.toml"],
        ["connectors", "check", "--settings", "aegis.toml"],
        ["intel", "sync", "--settings", "aegis.toml"],
    ]
    env = {"AEGIS_CONNECTOR_SECRETS": json.dumps({"tracker.secret": "planted-connector-5c20"})}
    said = run(home, commands, AEGIS_FEEDS=str(home / "feeds.toml"), **env)
    assert '"verdict"' in said
    assert [value for value in VALUES if value in said] == []
    assert files_with(home, VALUES) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AEGIS_DATABASE", "postgresql://aegis:planted-dbpassword-c3c3@127.0.0.1:1/aegis"),
        ("AEGIS_DATABASE", "mysql://aegis:planted-dbpassword-c3c3@127.0.0.1:1/aegis"),
        ("AEGIS_CONNECTOR_SECRETS", '{"tracker.token": "planted-connector-5c20"'),
        ("AEGIS_CONNECTOR_SECRETS", '["planted-connector-5c20"]'),
        ("AEGIS_SERVER__WEBHOOKS", '[{"name": "a", "url": "http://127.0.0.1:9/", "secret": "planted-webhook-9b3e"}]'),
        ("AEGIS_SERVER__WEBHOOKS", '[{"name": "a", "url": "http://127.0.0.1:9/", "secret": {"x": "planted-webhook-9b3e"}}]'),
    ],
)  # fmt: skip
def test_errors_about_a_secret_do_not_show_it(tmp_path: Path, variable: str, value: str) -> None:
    said = run(tmp_path, [["approvals"]], **{variable: value})
    assert "aegis: " in said
    assert [one for one in VALUES if one in said] == []
