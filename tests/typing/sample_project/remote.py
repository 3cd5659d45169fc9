"""The thin client, sync and async."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, assert_type

from aegis_agents.client import (
    Action,
    AegisClientError,
    AlreadyDecided,
    Answer,
    Approvals,
    AsyncClient,
    Case,
    Cases,
    Client,
    RateLimited,
)


def triage(url: str, token: str, alert: Path) -> str:
    """Answers are typed dicts."""
    with Client(url, token, timeout=10.0, retries=1) as client:
        case = client.investigate(alert, shadow=True)
        assert_type(case, Case)
        names: list[Action] = case["actions"]
        page = client.incidents(limit=5, verdict="true_positive")
        assert_type(page, Cases)
        waiting: Approvals = client.approvals()
        for item in waiting["items"]:
            undo: str | None = item["undo"]
            try:
                client.approve(item["action_id"], reason=undo or "no way back")
            except AlreadyDecided as error:
                print(error.status, error.code)
            except RateLimited as error:
                print(error.retry_after)
        return case["verdict"] if names else "nothing to do"


async def ask(url: str, token: str) -> list[str]:
    """Streaming, async."""
    words: list[str] = []
    async with AsyncClient(url, token) as client:
        assert_type(await client.ask("what waits for me?"), Answer)
        first, second = await asyncio.gather(client.ledger(limit=1), client.verify_ledger())
        print(first["next"], second["intact"])
        try:
            async for kind, added in client.ask_stream("what was closed today?"):
                value: Any = added
                words.append(f"{kind} {value}")
        except AegisClientError as error:
            print(error.detail, error.field, error.fix)
    return words
