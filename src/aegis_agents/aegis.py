"""The façade: one object that investigates, asks, acts, and takes back.

Everything is opened on first use, so that listing what waits does not load a model.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aegis_agents.asking import Asking
from aegis_agents.assembly import open_context, open_store, open_write_path
from aegis_agents.cases import build_case, shadow_id
from aegis_agents.context import Context
from aegis_agents.errors import InputError, IntelError
from aegis_agents.feeding import open_syncer
from aegis_agents.identity import Token
from aegis_agents.investigation import Investigation
from aegis_agents.once import opened_once
from aegis_agents.pinned import pinned
from aegis_agents.reading import Alert, read_alert
from aegis_agents.records import Case, Incident
from aegis_agents.recovering import is_shadow
from aegis_agents.settings import Settings, load_settings
from aegis_agents.tools.owners import UNDER_WAY, this_process
from aegis_agents.watching import open_telemetry

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from aegis_agents.inbox.inbox import Inbox
    from aegis_agents.intel import FinalVerdict, Intel
    from aegis_agents.intel.feeds.config import Feed
    from aegis_agents.intel.feeds.sync import Syncer
    from aegis_agents.ledger import Store
    from aegis_agents.model import IncidentModel
    from aegis_agents.telemetry.watch import Telemetry
    from aegis_agents.tools import Connector, WritePath

AGENTS = ("triage", "intel", "reasoning", "approval")


class Aegis(Asking):
    """Investigates alerts; see README for the five-line start.

    Without arguments it uses the embedded defaults: no network, no key, state under
    AEGIS_HOME. `tools` are connectors that act in your systems, besides the built-in
    ones; `llm`, any LangChain chat model or what `Settings.llm` takes, words the rationale of undetermined
    cases. `model`, `intel`, `ledger` and `checkpointer` replace the embedded ones. Settings are given by name
    (`mode="shadow"`, `policy="rules.cedar"`, see Settings). Raises SettingsError for an unknown or wrong
    setting. Thread-safe; after a fork open another. Close it when done, or use it as a context manager.
    """

    def __init__(
        self,
        *,
        model: IncidentModel | None = None,
        llm: BaseChatModel | str | None = None,
        intel: Intel | None = None,
        tools: Sequence[Connector] = (),
        checkpointer: BaseCheckpointSaver[Any] | None = None,
        ledger: Store | None = None,
        settings: Settings | None = None,
        **overrides: Any,
    ) -> None:
        if settings is not None and (overrides or isinstance(llm, str)):
            raise InputError(
                "give settings or single settings, not both", field="settings", fix="use Settings.model_copy"
            )
        if isinstance(llm, str):
            overrides["llm"], llm = llm, None
        self.settings = settings or load_settings(**overrides)
        self._given: dict[str, Any] = {"model": model, "intel": intel, "checkpointer": checkpointer, "ledger": ledger}
        self._tools, self._llm = tuple(tools), llm
        self._building = threading.RLock()
        super().__init__()

    @classmethod
    def from_settings(cls, file: str | Path, **given: Any) -> Aegis:
        """Aegis with the settings of a TOML file; arguments win over the file."""
        components = {
            k: given.pop(k) for k in ("model", "llm", "intel", "tools", "checkpointer", "ledger") if k in given
        }
        return cls(settings=load_settings(file, **given), **components)

    # what it is made of, opened when first asked for

    @opened_once
    def store(self) -> Store:
        """Intake, journal and ledger."""
        given: Store | None = self._given["ledger"]
        return open_store(self.settings) if given is None else given

    @opened_once
    def inbox(self) -> Inbox:
        """Alerts that streams, `aegis inbox put` and HTTP brought, and that wait for a worker (docs/inbox.md)."""
        from aegis_agents.inbox.opening import open_inbox

        return open_inbox(self.settings)

    @opened_once
    def telemetry(self) -> Telemetry:
        """Who listens to what it does: nobody, unless settings or a server asked (docs/observability.md)."""
        return open_telemetry(self.settings)

    @opened_once
    def _write_path(self) -> WritePath:
        path = open_write_path(self.settings, self.store, self._tools)
        path.watch = self.telemetry
        return path

    @opened_once
    def context(self) -> Context:
        """What the agents work with."""
        return open_context(
            self.settings, self.store, self._write_path, model=self._given["model"], intel=self._given["intel"], llm=self._llm
        )  # fmt: skip

    @opened_once
    def graph(self) -> Any:
        """The compiled state graph."""
        from aegis_agents.checkpoints import open_checkpointer
        from aegis_agents.graph import build_graph

        address = self.settings.database.get_secret_value() if self.settings.database else None
        saver = self._given["checkpointer"] or open_checkpointer(
            self.settings.home / "checkpoints.sqlite", address, schema=self.settings.database_schema
        )
        return build_graph().compile(checkpointer=saver)

    # investigating

    def investigate(self, alert: Alert, *, format: str | None = None) -> Case:
        """Judge one alert and do, or ask for, what follows.

        `alert` is a dict, JSON text, a path, or an Incident; its product format is detected
        unless `format` names it. The same alert again answers the case that is there: one
        alert is one case, and nothing is done twice. Raises InputError for what is no alert.
        """
        incident, native = self._read(alert, format)
        for _ in self._drive(incident, native):
            pass
        self.expire_due()
        return self.case(incident.id)

    async def ainvestigate(self, alert: Alert, *, format: str | None = None) -> Case:
        """`investigate` for async callers; the work runs in a thread, since it is bound by the CPU.

        Cancelling gives up the wait, not the work: the case is kept all the same.
        """
        return await asyncio.to_thread(self.investigate, alert, format=format)

    def investigate_many(self, alerts: Iterable[Alert], *, format: str | None = None) -> Iterator[Case | InputError]:
        """Judge alerts as they come, in order; for one that can't be read its InputError stands in its place."""
        for alert in alerts:
            try:
                yield self.investigate(alert, format=format)
            except InputError as error:
                yield error

    def stream(self, alert: Alert, *, format: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The steps of an investigation as they finish: (agent, what it added). The case is kept at the end.

        What is left in the middle stays undecided until the same alert comes again, or `recover` decides it.
        """
        yield from self.begin(alert, format=format)

    def begin(self, alert: Alert, *, format: str | None = None) -> Investigation:
        """Read an alert and answer its investigation, step by step as the caller likes. Raises InputError."""
        return Investigation(self, *self._read(alert, format))

    def case(self, incident_id: str) -> Case:
        """The case of an incident, its actions as they stand now. Raises InputError if there is none."""
        case = self.store.case(incident_id)
        if case is None and incident_id in self.store.forgotten():
            raise InputError(f"case {incident_id} was removed by retention", field="incident_id", fix="see its archive")
        if case is None:
            raise InputError(f"there is no case {incident_id}", field="incident_id", fix="investigate its alert first")
        rows = self.store.actions(incident_id)  # what another process did since, or a crash kept from the case
        now: dict[str, Any] = {"actions": tuple(row.report() for row in rows)} if rows else {}
        if self._has_inbox and (copies := self.inbox.copies(incident_id)) > 1:
            now["copies"] = copies
        return case.model_copy(update=now) if now else case

    def build_intel(self, *, kev: Path | None = None) -> str:
        """Build the intelligence snapshot anew; answers its id.

        `kev` is a KEV catalogue that the user fetched; without one, what is there stays.
        Raises InputError if the file is not usable; then the old snapshot stays. Raises IntelError where this Aegis was
        made without intelligence.
        """
        intel = self.context.intel
        if intel is None:
            raise IntelError("this Aegis was made without intelligence")
        return intel.add_kev(kev) if kev is not None else intel.snapshot_id

    def syncer(self, feeds: Sequence[Feed] | None = None) -> Syncer:
        """What fetches the feeds of threat intelligence (see `feeding.open_syncer`)."""
        return open_syncer(self.settings, self.context, feeds)

    def confirm(self, incident_id: str, verdict: FinalVerdict, *, by: str | None = None, token: Token = None) -> None:
        """Say what an incident really was; similar ones are judged with that from now on.

        What was decided against it counts as wrong, and costs what its cell has earned.

        Raises InputError, and IdentityError for who is no reviewer.
        """
        from aegis_agents.agents.recall import remember

        who = self._who("reviewer", by, token)
        remember(self.context, self.case(incident_id), verdict, who)
        self._contradicted(incident_id, verdict, who)

    # within

    @property
    def _has_inbox(self) -> bool:
        """Whether anybody ever used it; who only investigates has none, and none is made to look into it."""
        return self.settings.database is not None or (self.settings.home / "inbox.sqlite").exists()

    def _is_in_the_inbox(self, incident_id: str) -> bool:
        return self._has_inbox and self.inbox.copies(incident_id) > 0

    def _read(self, alert: Alert, format: str | None) -> tuple[Incident, str]:
        """The incident and the alert's own text; a shadow run has an id of its own."""
        incident, native = read_alert(alert, format=format, tenant=self.settings.tenant)
        if self.settings.mode == "shadow":
            incident = incident.model_copy(update={"id": shadow_id(incident.id, self.context.versions)})
        elif is_shadow(incident.id):
            raise InputError("is a shadow run's", field="incident.id", fix="give the alert itself")
        return incident, native

    def _drive(self, incident: Incident, native: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Take the incident in, run the graph, keep the case."""
        from aegis_agents.checkpoints import checkpoints_told

        started = time.perf_counter()
        if self.context.intel is not None:
            self.context.intel.refresh()  # another process may have synced feeds
        with UNDER_WAY.at_work(incident.id), self.telemetry.incident(incident) as seen:
            row = self.store.admit(incident, native, self.context.versions, owner=this_process())
            if row.incident.digest != incident.digest:
                fix = "derive ids from what is in the alert, as sources do"
                raise InputError("names another incident that was taken in before", field="incident.id", fix=fix)
            if row.finished:
                return
            if not row.new:  # cut off by a crash, or under way elsewhere: the journal lets nothing be done twice
                self.store.claim(incident.id, this_process(), row.owner)
            with pinned(self.context, row.pins, self.settings.home / "intel") as (context, notes):
                config = {"configurable": {"thread_id": incident.id}}
                state: dict[str, Any] = {"incident": incident, "notes": notes}
                # "exit" writes one checkpoint a run; what must survive a crash in between is in intake and journal.
                run = self.graph.stream(state, config, context=context, stream_mode="updates", durability="exit")
                with checkpoints_told():
                    for update in seen.steps(run):
                        for step, added in update.items():
                            if step in AGENTS:
                                state |= {**added, "notes": (*state["notes"], *added.get("notes", ()))}
                                yield step, added
                elapsed = (time.perf_counter() - started) * 1000
                self._heed_failures(incident.id)  # before the case is kept: a re-drive after a crash heeds again
                with self.store.transaction():  # an answer that comes in between must not be lost from the case
                    case = build_case(state, self.store.actions(incident.id), context.versions, elapsed)
                    self.store.finish(incident.id, case)
                seen.decided(case)

    def close(self) -> None:
        """Release the databases; send what telemetry has left first, since its gauges read them."""
        if "telemetry" in self.__dict__:
            self.telemetry.close()
        if "inbox" in self.__dict__:
            self.inbox.close()
        if "store" in self.__dict__ and self._given["ledger"] is None:
            self.store.close()
        if "graph" in self.__dict__ and self._given["checkpointer"] is None:
            self.graph.checkpointer.conn.close()

    def __enter__(self) -> Aegis:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
