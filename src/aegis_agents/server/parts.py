"""What the routes work with: the library, and the server's own parts."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from starlette.requests import Request

from aegis_agents.aegis import Aegis
from aegis_agents.errors import SettingsError
from aegis_agents.inbox.inbox import Inbox
from aegis_agents.ledger.database import Database
from aegis_agents.ledger.served import Served
from aegis_agents.server.bodies import Bodies
from aegis_agents.server.idempotency import Idempotency
from aegis_agents.server.metrics import Metrics
from aegis_agents.server.oidc import Provider
from aegis_agents.server.people import People
from aegis_agents.server.rates import Rates
from aegis_agents.server.scribe import Scribe
from aegis_agents.server.shadow import Shadow
from aegis_agents.server.shared import Shared
from aegis_agents.server.workroom import Workroom
from aegis_agents.settings_server import ServerSettings


class Parts:
    """Everything of one running server. Raises SettingsError for a store that is not one of Aegis' own."""

    def __init__(self, aegis: Aegis, settings: ServerSettings, inbox: Inbox | None = None) -> None:
        store = aegis.store
        if not isinstance(store, Database):
            raise SettingsError("ledger: the server needs one of Aegis' own stores (SQLite or PostgreSQL)")
        self.aegis, self.settings, self.database = aegis, settings, cast(Database, store)
        self.inbox = inbox
        """Where alerts wait for a worker; None decides each at once."""
        self.served = Served(self.database)
        self.metrics = Metrics()
        self.provider = Provider(settings.oidc) if settings.oidc else None
        self.people = People(aegis.store, self.provider, tokens_answer=settings.tokens_answer)
        self.rates = Rates(settings)
        self.bodies = Bodies(settings)
        self.workroom = Workroom(settings.workers, settings.waiting_room)
        self.scribe = Scribe(aegis.store)
        self.idempotency = Idempotency(self.served, self.workroom)
        self.shadow = Shadow(aegis)
        self.verifying = Shared(self.workroom)
        self.ready = self.stopping = False

    async def close(self) -> None:
        """Finish what runs, and write what is to be written."""
        await asyncio.to_thread(self.workroom.close)
        await self.scribe.close()


def parts_of(request: Request) -> Parts:
    """The server's parts."""
    parts: Any = request.app.state.parts
    return cast(Parts, parts)
