"""All settings, in one place: the only module of the package that reads the environment.

From weakest to strongest: defaults, a TOML file, files of a credentials folder (systemd's, /run/secrets) named
aegis_*, AEGIS_* variables, arguments. Secrets come from all but the TOML file (settings_secrets.py).
"""

from __future__ import annotations

import os
import tomllib
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, NamedTuple

from platformdirs import user_data_path
from pydantic import Field, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from aegis_agents.errors import SettingsError
from aegis_agents.records import Autonomy
from aegis_agents.settings_fleet import WorkerSettings
from aegis_agents.settings_hardening import HardeningSettings
from aegis_agents.settings_inbox import InboxSettings
from aegis_agents.settings_monitor import MonitorSettings
from aegis_agents.settings_secrets import Lookups, plain_secrets, refer
from aegis_agents.settings_server import ServerSettings
from aegis_agents.settings_streams import StreamSettings
from aegis_agents.settings_telemetry import TelemetrySettings

_SECRETS = Path("/run/secrets")
"""Where Docker and Compose put secrets, and where a Kubernetes manifest can mount them."""


def credential_folders() -> tuple[Path, ...]:
    """Folders whose files hold secrets: systemd's of this service, and /run/secrets; those that are there."""
    given = os.environ.get("CREDENTIALS_DIRECTORY")
    return tuple(folder for folder in (*([Path(given)] if given else []), _SECRETS) if folder.is_dir())


_LOOKUPS = Lookups(os.environ.get, credential_folders)
_FROM_FILE: ContextVar[dict[str, Any]] = ContextVar("settings file", default={})  # noqa: B039 - never changed
"""What the settings file says, while it is read."""


class ReadFrom(NamedTuple):
    """The settings file: where it lies, and the very bytes that were read, which is what a signature is checked on."""

    path: Path
    content: bytes


class Settings(BaseSettings):
    """Every setting of Aegis. Unknown ones are an error."""

    model_config = SettingsConfigDict(
        env_prefix="AEGIS_", env_nested_delimiter="__", extra="forbid", frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )  # fmt: skip

    home: Path = Field(default_factory=lambda: user_data_path("aegis"))
    """Where state lives: aegis.sqlite, checkpoints.sqlite, intel/, outbox."""
    mode: Literal["live", "shadow"] = "live"
    """shadow decides as if live and touches nothing."""
    autonomy: Autonomy = "act"
    """A ceiling over the autonomy matrix; the matrix itself starts at "ask"."""
    matrix: Path | None = None
    """A TOML file with cells of the autonomy matrix."""
    policy: Path | None = None
    """A Cedar file whose rules are added; it can't remove a shipped forbid."""
    assets: Path | None = None
    """A TOML file that names protected groups of assets."""
    risk: dict[str, float] = {}
    """Least confidence for acting alone, by action class (contain, destroy, close_alert)."""
    costs: Path | None = None
    """A TOML file that says what being wrong costs (docs/gate.md); the shipped figures otherwise."""
    budgets: dict[str, Any] = {}
    """Limits an hour: actions_per_hour, closings_per_hour, per_tier, per_group, blast_radius ... (docs/gate.md)."""
    max_actions_per_hour: int | None = Field(default=None, ge=0)
    """Short for budgets.actions_per_hour."""
    earn: Literal["off", "act_undo", "act"] = "off"
    """The highest level that reviewed decisions may unlock (docs/autonomy.md)."""
    earn_error: float = Field(default=0.01, gt=0, le=0.05)
    """Most wrong actions, as a share, for the level act."""
    earn_error_undo: float = Field(default=0.02, gt=0, le=0.05)
    """The same for act_undo, which lifts itself."""
    earn_doubt: float = Field(default=0.05, gt=0, le=0.05)
    """Most probability that any cell that errs more is ever let through."""
    blind_share: float = Field(default=0.3, ge=0, le=1)
    """Least share of reviews by people who did not see what Aegis thought."""
    review_days: float = Field(default=30.0, gt=0, le=3650)
    """Days without a review after which a cell asks again."""
    kill_switch: Path | None = None
    """While this file is there, nothing is done (default: `home`/KILL)."""
    lifetimes: dict[str, float] = {}
    """Hours after which an action lifts itself, by action ("block_ip"); without one it stays until it is undone."""
    undo_window: float = Field(default=4.0, gt=0, le=87_600)
    """Hours after which what was done at the level act_undo lifts itself, unless somebody keeps it."""
    require_token: bool = False
    """Whether approving, undoing, reviewing and administering need a token; else the system's account will do."""
    token: SecretStr | None = None
    """Your own token (`aegis token add`): AEGIS_TOKEN, a credential, or the keyring."""
    tenant: str = "default"
    """Whose incidents these are; part of every incident's id."""
    clearance: Literal["clear", "green", "amber", "amber+strict", "red"] = "amber+strict"
    """The most restricted intelligence (TLP) that is read; "red" is for named persons."""
    feeds: Path | None = None
    """A TOML file that names the feeds of threat intelligence (docs/intel.md)."""
    feed_tokens: dict[str, SecretStr] = {}
    """Secrets of feeds, by name, for those that should not stand in that file."""
    indicator_strength: float = Field(default=1.5, ge=0, le=3)
    """Most that indicators which several sources established add to an attack, in log-odds; 0 leaves the model alone."""
    threads: int = Field(default=0, ge=0)
    """Threads of the encoder; 0 leaves it to ONNX Runtime."""
    cache: int = Field(default=20_000, ge=0)
    """Fact vectors kept in memory, 1.5 KB each."""
    tolerated_error: float | None = Field(default=None, gt=0, lt=1)
    """Share of wrong answers that you bear; what was not shown to keep it is undetermined (docs/model.md)."""
    llm: str = ""
    """The language model for unclear cases: none, "local" (aegis model setup), a folder with a base of your own,
    or the URL of an OpenAI-compatible server."""
    llm_name: str = ""
    """The model's name on that server."""
    llm_key: SecretStr | None = None
    """Its key, if it wants one."""
    llm_adapter: Path | None = None
    """A folder with an adapter for a base of your own (`aegis train language`); safetensors only."""
    llm_adapter_sha256: str | None = None
    """The hash that this adapter must have, as `aegis train language` prints it."""
    llm_quantise: Literal["none", "int8", "nf4"] = "none"
    """How a local base is loaded; on a CPU int8 and nf4 save memory and cost time."""
    llm_tokens: int = Field(default=200, ge=16, le=4000)
    """Most tokens of one answer."""
    llm_seconds: float = Field(default=20.0, gt=0, le=3600)
    """Longest wait for one answer; then the fast path's stands."""
    memory_strength: float = Field(default=2.0, ge=0, le=10)
    """What a confirmed case that is just alike adds to its verdict, in log-odds; 0 leaves the model alone."""
    webhook_url: str | None = None
    """Where tickets and notifications go; without it they go to the outbox in `home`."""
    webhook_secret: SecretStr | None = None
    """Signs what is sent to the webhook."""
    database: SecretStr | None = None
    """PostgreSQL for the ledger, the journal and checkpoints ("postgresql://..."); without it SQLite in `home`."""
    database_schema: str = "aegis"
    """The PostgreSQL schema that holds the tables; several ledgers can live in one database."""
    ledger_key: Path | None = None
    """The Ed25519 key that signs the ledger's checkpoints (default: `home`/ledger.key, made at first use)."""
    ledger_every: int = Field(default=100, ge=1)
    """Entries after which a checkpoint is signed."""
    ledger_copies: Path | None = None
    """A file or folder elsewhere that every checkpoint is also written to."""
    connectors: Path | None = None
    """A TOML file that names the systems that act (docs/connectors.md)."""
    connector_secrets: dict[str, SecretStr] = {}
    """Secrets of connectors that should not stand in that file, as "name.parameter"."""
    server: ServerSettings = ServerSettings()
    """Where `aegis serve` listens, who may come in and whom it tells (docs/api.md)."""
    inbox: InboxSettings = InboxSettings()
    """How much may wait, what is folded, how often an alert is tried (docs/running.md)."""
    streams: tuple[StreamSettings, ...] = ()
    """Where alerts come from by themselves (docs/streams.md)."""
    worker: WorkerSettings = WorkerSettings()
    """How workers take what waits (docs/running.md)."""
    monitor: MonitorSettings = MonitorSettings()
    """What is watched, and when autonomy falls back (docs/monitor.md)."""
    hardening: HardeningSettings = HardeningSettings()
    """Where Aegis may connect to, and whose signatures count (docs/hardening.md)."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """Traces, metrics and logs (docs/observability.md)."""
    nftables: bool = False
    """Block addresses with this host's nftables (needs root)."""
    nftables_never: tuple[str, ...] = ()
    """Addresses and networks that nftables must never block, besides the built-in ones."""

    _file: ReadFrom | None = PrivateAttr(default=None)

    @property
    def read_from(self) -> ReadFrom | None:
        """The settings file that these came from, if there was one."""
        return self._file

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, variables, credentials (each a file named as its variable, in small letters), then the settings file.

        Tables are merged key by key: one variable must not take the rest of its table in the file away.
        """
        folders = reversed(credential_folders())  # the last one wins, there
        credentials = SecretsSettingsSource(settings_cls, secrets_dir=list(folders))
        return (init_settings, env_settings, credentials, InitSettingsSource(settings_cls, _FROM_FILE.get()))

    @model_validator(mode="before")
    @classmethod
    def _refer(cls, given: Any) -> Any:
        """References to secrets are looked up at use, wherever they came from."""
        return refer(cls, given, _LOOKUPS) if isinstance(given, dict) else given

    @field_validator(
        "home", "matrix", "policy", "assets", "costs", "kill_switch", "feeds", "llm_adapter", "ledger_key",
        "ledger_copies", "connectors", mode="before",
    )  # fmt: skip
    @classmethod
    def _path(cls, given: Any) -> Any:
        """A path that was given empty would be the folder that one happens to be in, and "~" one of that name there."""
        if given == "":
            raise ValueError("is empty: give a path, or leave it out")
        if not isinstance(given, str | Path):
            return given
        try:
            return Path(given).expanduser()
        except RuntimeError as error:  # no such user
            raise ValueError(str(error)) from error

    @property
    def kill_switch_file(self) -> Path:
        """The kill switch in force."""
        return self.kill_switch or self.home / "KILL"


def load_settings(file: str | Path | None = None, **overrides: Any) -> Settings:
    """Settings from a TOML file (optional), the environment and arguments.

    Arguments that are None count as not given. Raises SettingsError naming each wrong
    setting and what is wrong with it, and each secret that stands in the file.
    """
    given = {k: v for k, v in overrides.items() if v is not None}
    values: dict[str, Any] = {}
    read: ReadFrom | None = None
    if file is not None:
        try:
            read = ReadFrom(Path(file), Path(file).read_bytes())
            values = tomllib.loads(read.content.decode("utf-8"))
        except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, or no path
            raise SettingsError(f"{file}: {error}") from error
        if shown := plain_secrets(Settings, values):
            top, dot, _ = shown[0].partition(".")
            raise SettingsError(
                f"{file}: {shown[0]} is a secret, and a settings file is no place for one: give AEGIS_{top.upper()}"
                f"{' (its table, as JSON)' if dot else ''}, a file aegis_{top} of the credentials folder, or write "
                f'"keyring:SERVICE/NAME", "credential:NAME" or "env:NAME" there'
            )
    try:
        mark = _FROM_FILE.set(values)
        try:
            found = Settings(**given)
        finally:
            _FROM_FILE.reset(mark)
        found._file = read
        return found
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise SettingsError(f"{file or 'settings'}: {wrong}") from None  # its trace would show what was given
    except UnreadableVariable as error:  # a table or list is given as JSON there
        raise SettingsError(f"environment: {error}: {error.__cause__}") from error


class _Given(Settings):
    """Settings that look at nothing but what they are given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments alone."""
        return (init_settings,)


def only(**given: Any) -> Settings:
    """These settings and defaults, whatever the environment says: for what must touch no real system."""
    return _Given(**given)
