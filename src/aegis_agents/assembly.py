"""Builds the parts of an Aegis from its settings. Imports stay inside: a part that is not used costs nothing.

What settings name is loaded from the bytes that `hardening.trusted_keys` were checked on, where they are set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aegis_agents.settings import Settings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from aegis_agents.context import Context
    from aegis_agents.gate import Gate
    from aegis_agents.intel import Intel
    from aegis_agents.ledger import Store
    from aegis_agents.model import IncidentModel
    from aegis_agents.tools import Connector, WritePath
    from aegis_agents.tools.connectors.config import ConnectorEntry


def open_model(settings: Settings) -> IncidentModel:
    """The model that was promoted under `home`, signed where it has to be, or the shipped one."""
    from aegis_agents.hardening.models import signed_manifest
    from aegis_agents.hardening.trust import Trust
    from aegis_agents.model import FastModel
    from aegis_agents.model.registry import current

    own, trust = current(settings.home), Trust.of(settings)
    return FastModel(
        own.folder if own else None,
        manifest_sha256=signed_manifest(trust, own.folder, own.manifest_sha256) if own else None,
        threads=settings.threads, cache=settings.cache, tolerated_error=settings.tolerated_error,
    )  # fmt: skip


def open_language(settings: Settings) -> BaseChatModel | None:
    """The language model that settings ask for, None by default; it is loaded when it is first asked.

    A folder with pickled weights is refused, and one that is not as it was signed.
    """
    from aegis_agents.model.language.endpoint import Wanted
    from aegis_agents.model.language.endpoint import open_language as open_wanted

    key = settings.llm_key.get_secret_value() if settings.llm_key else None
    adapter = _checked_folders(settings) if settings.llm and "://" not in settings.llm else settings.llm_adapter
    wanted = Wanted(
        settings.llm, settings.llm_name, key, adapter, settings.llm_adapter_sha256, settings.llm_quantise,
        settings.llm_tokens, settings.llm_seconds,
    )  # fmt: skip
    return open_wanted(wanted, settings.home)


def _checked_folders(settings: Settings) -> Path | None:
    """The adapter's folder, from a copy where a signature counts; the base's is checked where it lies, for its size."""
    from aegis_agents.hardening.models import check_folder
    from aegis_agents.hardening.trust import Trust, private_copy

    trust = Trust.of(settings)
    if settings.llm != "local":
        check_folder(trust, Path(settings.llm))
    adapter = settings.llm_adapter
    if adapter is not None:
        adapter = private_copy(adapter) if trust.keys and adapter.is_dir() else adapter
        check_folder(trust, adapter)
    return adapter


def open_intel(settings: Settings, model: IncidentModel) -> Intel:
    """The intelligence under `home`, built on first use."""
    from aegis_agents.intel import Intel, Reader

    reader = Reader(tenant=settings.tenant, clearance=settings.clearance)
    return Intel.open(settings.home / "intel", model, reader=reader)


def open_gate(settings: Settings, intel: Intel | None) -> Gate:
    """The gate with the user's rules, assets and limits."""
    from aegis_agents.gate import Gate
    from aegis_agents.gate.gate import looks_like_technique
    from aegis_agents.hardening.trust import Trust

    limits = dict(settings.budgets)
    if settings.max_actions_per_hour is not None:
        limits["actions_per_hour"] = settings.max_actions_per_hour
    files = (settings.policy, settings.matrix, settings.costs, settings.assets)
    with Trust.of(settings).opened(*files) as (policy, matrix, costs, assets):
        return Gate(
            policy,
            autonomy=settings.autonomy,
            mode=settings.mode,
            matrix=matrix,
            risk=settings.risk,
            costs=costs,
            budgets=limits,
            kill_switch=settings.kill_switch_file,
            assets=assets,
            is_technique=intel.is_technique if intel else looks_like_technique,
        )


def open_store(settings: Settings) -> Store:
    """Intake, journal and ledger, with a signer that is not loaded before a checkpoint is due."""
    from aegis_agents.ledger.opening import open_store as open_at
    from aegis_agents.ledger.signing import Signer

    key = settings.ledger_key or settings.home / "ledger.key"
    signer = Signer(key, every=settings.ledger_every, copies=settings.ledger_copies)
    database = settings.database.get_secret_value() if settings.database else None
    return open_at(database, settings.home, schema=settings.database_schema, signer=signer)


def open_write_path(settings: Settings, store: Store, own: Sequence[Connector]) -> WritePath:
    """The write path over the user's connectors, those that settings ask for, and the outbox for the rest."""
    from aegis_agents.gate import redact
    from aegis_agents.gate.killswitch import stopper
    from aegis_agents.tools import NftablesConnector, OutboxConnector, WebhookConnector, WritePath, assign
    from aegis_agents.tools.lifetimes import Lifetimes

    found = list(own)
    if settings.connectors:
        found += [entry.build() for entry in read_connectors(settings, settings.connectors)]
    if settings.webhook_url:
        secret = settings.webhook_secret.get_secret_value() if settings.webhook_secret else None
        found.append(WebhookConnector(settings.webhook_url, secret))
    if settings.nftables:
        found.append(NftablesConnector(never=settings.nftables_never))
    outbox = OutboxConnector(settings.home / "outbox")
    lifetimes = Lifetimes.load(settings.lifetimes, settings.undo_window)
    stopped = stopper(settings.kill_switch_file)
    return WritePath(store, assign(found, fallback=outbox), redact=redact, lifetimes=lifetimes, stopped=stopped)


def read_connectors(settings: Settings, file: Path) -> list[ConnectorEntry]:
    """The connectors of a file, signed where it has to be; paths in it are taken from where it lies. Raises SettingsError."""
    from dataclasses import replace

    from aegis_agents.hardening.trust import Trust, back
    from aegis_agents.tools.connectors.config import read_connectors as read

    with Trust.of(settings).opened(file) as (copy,):
        entries = read(copy or file, settings.connector_secrets)
    moved = [{key: back(value, copy, file) for key, value in entry.arguments.items()} for entry in entries]
    return [replace(entry, arguments=given) for entry, given in zip(entries, moved, strict=True)]


def open_context(
    settings: Settings, store: Store, write_path: WritePath, *, model: IncidentModel | None, intel: Intel | None,
    llm: BaseChatModel | None,
) -> Context:  # fmt: skip
    """What the agents work with; what is not given is opened as settings say."""
    from aegis_agents.agents.caution import Cautious
    from aegis_agents.agents.earning import Earning, rule_from
    from aegis_agents.context import Context
    from aegis_agents.feeding import FeedClock
    from aegis_agents.hardening.limits import SourceLimits

    model = model or open_model(settings)
    intel = intel or open_intel(settings, model)
    return Context(
        model=model,
        intel=intel,
        gate=open_gate(settings, intel),
        store=store,
        write_path=write_path,
        mode=settings.mode,
        llm=llm or open_language(settings),
        llm_seconds=settings.llm_seconds,
        memory_strength=settings.memory_strength,
        indicator_strength=settings.indicator_strength,
        feed_times=FeedClock(settings),
        earned=Earning(store, rule_from(settings)).of(model.version),
        caution=Cautious(store).now,
        limits=SourceLimits(settings.hardening),
    )
