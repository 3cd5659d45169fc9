"""What the fork server imports before it forks: everything that a process at work would import, and nothing opened."""

from __future__ import annotations

from importlib import import_module

from aegis_agents.gate.validators.runner import silence

silence()  # guardrails-ai, some seconds
for name in (
    "cedarpy", "faiss", "aegis_agents.aegis", "aegis_agents.agents.again", "aegis_agents.graph",
    "tests.crash.worker",
):  # fmt: skip
    import_module(name)
try:
    for name in ("langgraph.checkpoint.postgres", "psycopg_pool", "aegis_agents.ledger.postgres"):
        import_module(name)
except ImportError:
    pass  # without the extra there is SQLite alone
