"""Claims of the compliance report that no room's own tests show."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

from aegis_agents import Aegis
from tests.graph.conftest import ATTACK

ROOT = Path(__file__).parents[2]
LOCKS = [path for path in sorted((ROOT / "requirements").glob("*.txt")) if path.name != "torch.txt"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_that_is_locked_has_its_hash(lock: Path) -> None:
    text = lock.read_text("utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "--", "-r"))]
    assert len(packages) > 20
    for package in packages:
        assert re.match(r"[\w.\[\], -]+==\S+ .*--hash=sha256:[0-9a-f]{64}", package), package[:80]


def test_what_has_no_hash_is_torch_alone() -> None:
    lines = (ROOT / "requirements" / "torch.txt").read_text("utf-8").splitlines()
    assert [line.partition("==")[0] for line in lines if line and not line.startswith("#")] == ["torch"]


class Listening(FakeListChatModel):
    """Keeps what it was asked."""

    asked: list[str] = []

    def _call(self, messages: Any, *args: Any, **more: Any) -> str:
        self.asked.append("\n".join(str(message.content) for message in messages))
        return super()._call(messages, *args, **more)


def test_a_prompt_holds_the_task_and_the_incident_and_nothing_secret(
    make: Callable[..., Aegis], tmp_path: Path
) -> None:
    llm = Listening(responses=["[]"])
    secrets = {"token": "aegis_t0ken", "webhook_secret": "h00k", "llm_key": "k3y"}
    policy = tmp_path / "mine.cedar"
    policy.write_text('@id("mine.own") forbid (principal, action == Aegis::Action::"block_ip", resource);')
    make(llm=llm, policy=policy, **secrets).investigate(ATTACK | {"answer": "undetermined"})
    (prompt,) = llm.asked
    assert '"value": "a-1"' in prompt  # a fact of the alert
    assert not [word for word in (*secrets.values(), "mine.own", str(tmp_path)) if word in prompt]
