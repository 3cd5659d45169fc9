"""Joining Ray, or starting one on this machine: token authentication on, usage statistics off, no dashboard.

Ray reads what it is told from the environment as it is imported, so it is written there first; nothing is read from
there (see `settings`). Ray runs whatever its network asks it to: without the token anybody who reaches its ports runs
code on its machines (docs.ray.io, Ray security).
"""

from __future__ import annotations

import os
import secrets
from importlib import import_module
from os import environ
from pathlib import Path
from typing import Any, Final

from aegis_agents.errors import AegisError, SettingsError
from aegis_agents.settings import Settings

LOCAL: Final = "local"
"""The address of a Ray that is started here, for this process, on the loopback interface."""
_SMALLEST_STORE: Final = 80 * 2**20
"""Bytes of Ray's object store: nothing of ours goes through it."""
_TOKEN_BYTES: Final = 32


def join(address: str, settings: Settings, *, namespace: str, **more: Any) -> Any:
    """The ray module, connected: to a Ray of its own ("local"), this machine's ("auto"), or one elsewhere ("ray://...").

    `more` goes to ray.init. Raises SettingsError for a token or an address that can't be used.
    """
    environ.update(_told(address, settings))
    try:
        import ray
    except ImportError as error:
        raise SettingsError(
            f"Ray needs the extra: pip install 'aegis-soc-agents[scale]' ({error.name or error})"
        ) from error
    import_module("ray._raylet").Config.initialize("")  # somebody may have imported it before it was told
    named: dict[str, Any] = {"namespace": namespace, "log_to_driver": False, "logging_level": "ERROR"}
    if address == LOCAL:
        named |= {
            "_node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": _SMALLEST_STORE,
        }  # fmt: skip
    else:
        named["address"] = address
    try:
        ray.init(**(named | more))
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        words = " ".join(str(error).split())[:300]
        raise SettingsError(
            f"address: Ray at {address} can't be joined ({type(error).__name__}: {words}): is it up, and is its token"
            " the one of worker.ray_token?"
        ) from error
    return ray


def _told(address: str, settings: Settings) -> dict[str, str]:
    """What Ray is told by its environment."""
    told = {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DISABLE_IMPORT_WARNING": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    token = settings.worker.ray_token
    if address == LOCAL:
        token = token or settings.home / "ray.token"
        _make_token(token)
        # Ray looks for an address that other machines reach, even where it is told the loopback one, unless its
        # clusters are switched off: then it listens on the loopback interface alone.
        told |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_enable_metrics_collection": "0"}
    if token is not None:
        if not token.is_file():
            raise SettingsError(
                f"worker.ray_token: {token} is no file: write the token of Ray's other machines into it"
            )
        told["RAY_AUTH_TOKEN_PATH"] = str(token)
    return told


def _make_token(file: Path) -> None:
    """A token of this machine's own, at first use, for its owner alone."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(f"worker.ray_token: {file} can't be written: {error.strerror}") from error
    with os.fdopen(handle, "w") as out:
        out.write(secrets.token_hex(_TOKEN_BYTES))


def lets_anybody_in() -> bool:
    """Asked on a machine of Ray's: whether it does without the token."""
    raylet: Any = import_module("ray._raylet")
    return bool(raylet.get_authentication_mode() != raylet.AuthenticationMode.TOKEN)


class RayGone(AegisError):
    """Ray, or the machine that leads it, went away. Nothing is lost: what waits is in the inbox."""
