"""A second Aegis in shadow beside the one that serves, for `?shadow=true`: same model, same store, nothing touched."""

from __future__ import annotations

import threading

from aegis_agents.aegis import Aegis


class Shadow:
    """The shadow of an Aegis, made when first asked for; it shares what is large and closes nothing."""

    def __init__(self, live: Aegis) -> None:
        self._live, self._lock = live, threading.Lock()
        self._made: Aegis | None = None

    def of(self, wanted: bool) -> Aegis:
        """The Aegis to ask: the shadow if wanted, else the one that serves (which may be in shadow itself)."""
        if not wanted or self._live.settings.mode == "shadow":
            return self._live
        with self._lock:
            if self._made is None:
                live = self._live
                self._made = Aegis(
                    settings=live.settings.model_copy(update={"mode": "shadow"}), model=live.context.model,
                    intel=live.context.intel, llm=live.context.llm, ledger=live.store, checkpointer=live.graph.checkpointer,
                )  # fmt: skip
            return self._made
