"""How it stands: intelligence and its freshness, the server's health, and help."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from aegis_agents._version import __version__
from aegis_agents.gate.killswitch import engaged
from aegis_agents.intel.feeds.state import STATES, FeedStates
from aegis_agents.ledger.queue import count_waiting
from aegis_agents.server.console.page_route import Page
from aegis_agents.server.console.visit import Visit, visit_of

router = APIRouter(route_class=Page, include_in_schema=False)

Here = Annotated[Visit, Depends(visit_of)]
STALE: Final = timedelta(days=2)
"""A feed that did not work for so long is shown as stale."""
FOUND: Final = 10
_STORES: Final = {"SqliteStore": "SQLite", "PostgresStore": "PostgreSQL"}


@router.get("/intel")
async def intel(visit: Here, q: Annotated[str, Query(max_length=2_000)] = "") -> Response:
    """What intelligence there is, how fresh each feed is, and what it says of a question."""
    aegis = visit.parts.aegis
    found = await visit.work(lambda: _search(visit, q)) if q.strip() else None

    def look() -> dict[str, Any]:
        store, now = aegis.context.intel, datetime.now(UTC)
        if store is None:
            return {"snapshot": None, "corpora": {}, "feeds": [], "found": None, "q": q}
        file = aegis.settings.home / "intel" / STATES
        feeds = FeedStates(file).all() if file.exists() else []
        shown = [(f, f.last_good is None or now - f.last_good > STALE) for f in feeds]
        return {"snapshot": store.snapshot_id, "corpora": store.counts(), "feeds": shown, "found": found, "q": q}

    return await visit.page("intel.html", look)


def _search(visit: Visit, query: str) -> list[dict[str, Any]]:
    store = visit.parts.aegis.context.intel
    return [p.model_dump(mode="json") for p in store.search(query=query.strip(), k=FOUND)] if store is not None else []


@router.get("/health")
async def health(visit: Here) -> Response:
    """Whether all is well, in one look."""
    parts, aegis = visit.parts, visit.parts.aegis

    def look() -> dict[str, Any]:
        first = aegis.pending(limit=1)
        settings = aegis.settings
        ready = "stopping" if parts.stopping else "ready" if parts.ready else "starting"
        return {
            "ready": ready, "version": __version__, "mode": settings.mode, "ceiling": settings.autonomy, "earn": settings.earn,
            "kill_file": str(settings.kill_switch_file or ""), "engaged": engaged(settings.kill_switch_file),
            "waiting": count_waiting(parts.database), "oldest": first[0].created_at if first else None,
            "inside": parts.workroom.inside, "entries": parts.served.newest(), "origin": parts.served.origin(),
            "timers": len(aegis.timers()), "store": _STORES.get(type(aegis.store).__name__, type(aegis.store).__name__),
            "versions": aegis.context.versions, "intents": aegis.store.open_intents(),
            "caution": aegis.context.caution(datetime.now(UTC)), "inbox": parts.inbox.counts() if parts.inbox else None,
        }  # fmt: skip

    return await visit.page("health.html", look)


@router.get("/help")
async def help_page(visit: Here) -> Response:
    """Keys, signs and words."""
    return await visit.page("help.html")
