"""Looks again, at intervals, whether the files that settings name are still those that were loaded.

A change is written to the ledger ("hardening.file_changed"). One that a trusted key signed is somebody's new version, which
counts from the next start. Where keys are trusted, any other, and a file that is gone, is an attack until a person says
otherwise: autonomy falls back to asking (docs/monitor.md), as for anything else that is found wrong with the model.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aegis_agents.errors import InputError, ModelError
from aegis_agents.hardening.loaded import in_use
from aegis_agents.hardening.models import LIST, MANIFEST
from aegis_agents.hardening.signatures import check, note_beside
from aegis_agents.hardening.trust import trusted
from aegis_agents.model.files import FILES, shipped_folder
from aegis_agents.model.registry import current
from aegis_agents.settings import Settings

if TYPE_CHECKING:
    from aegis_agents.ledger import Store

_log = logging.getLogger("aegis_agents.hardening")
CHANGED: Final = "hardening.file_changed"
"""The ledger entry: {"file", "was", "is" (SHA-256, "" for gone), "signed_by", "alarm"}."""


class Changed(NamedTuple):
    """A file that is not what was loaded. `sha256` "" is gone; `alarm` why that is one, "" where it is none."""

    file: Path
    was: tuple[str, ...]
    sha256: str
    signed_by: str
    alarm: str

    def body(self) -> dict[str, Any]:
        """As the ledger has it."""
        return {
            "file": str(self.file), "was": list(self.was), "is": self.sha256, "signed_by": self.signed_by, "alarm": self.alarm,
        }  # fmt: skip


class Watch:
    """The files of one Aegis. Make it when everything is loaded, then `tick` it.

    `fall_back` is told why, once a change, where autonomy has to fall back. What settings name and this process did not
    load (a worker of its own does) is compared with what it was when the watch began.
    """

    def __init__(self, settings: Settings, store: Store, fall_back: Callable[[str], object]) -> None:
        self._settings, self._store, self._fall_back = settings, store, fall_back
        self._keys = trusted(settings.hardening.trusted_keys)
        self._before = {file: in_use(file) or _hashes(file) for file in files_of(settings)}
        self._told: set[tuple[Path, str]] = set()

    @property
    def every_s(self) -> float:
        """Seconds between two ticks."""
        return self._settings.hardening.verify_minutes * 60

    def tick(self) -> list[Changed]:
        """Look once; answers what is new since it was last told. Raises StoreError with nothing told."""
        found = []
        for changed in self._changes():
            if (changed.file, changed.sha256) in self._told:
                continue
            with self._store.transaction():
                self._store.append(CHANGED, None, changed.body())
                if changed.alarm:
                    self._fall_back(f"{changed.file.name}: {changed.alarm}")
            _log.warning(
                "%s changed under a running process: %s", ascii(str(changed.file)), changed.alarm or "signed anew"
            )
            self._told.add((changed.file, changed.sha256))
            found.append(changed)
        return found

    def _changes(self) -> Iterator[Changed]:
        for file, before in self._before.items():
            now = _hashes(file)
            if now <= before and now:
                # As it was: should it change to the same once more, that is new again.
                self._told = {told for told in self._told if told[0] != file}
                continue
            if not now and not before:
                continue  # it was not there before either
            yield self._judged(file, before, next(iter(now), ""))

    def _judged(self, file: Path, before: frozenset[str], now: str) -> Changed:
        signed_by, alarm = "", ""
        if self._keys and now and is_vouched_for(file, self._settings):
            alarm = "it changed, and what vouches for it does not fit any more"
        elif self._keys:
            if not now:
                alarm = "it is gone"
            else:
                try:
                    signed_by = check(file.name, file.read_bytes(), note_beside(file), self._keys).by
                except (InputError, OSError) as error:
                    said = error.message if isinstance(error, InputError) else str(error.strerror)
                    alarm = f"it changed, and {said}"
        elif _is_weights(file):
            alarm = "a file of the model changed" if now else "a file of the model is gone"
        return Changed(file, tuple(sorted(before)), now, signed_by, alarm)


def ledger_fall_back(store: Store, kind: str) -> Callable[[str], object]:
    """What lets autonomy fall back for everything: an entry of the kind that the gate's caution reads."""

    def fall_back(reason: str) -> object:
        body: Mapping[str, Any] = {
            "scope": "all",
            "of": "",
            "like": "",
            "cause": CHANGED,
            "reason": reason,
            "figures": {},
        }
        return store.append(kind, None, dict(body))

    return fall_back


def files_of(settings: Settings) -> list[Path]:
    """Every file that settings load something from, and the model's."""
    hardening = settings.hardening
    named = [
        settings.read_from.path if settings.read_from else None, settings.policy, settings.matrix, settings.assets,
        settings.costs, settings.connectors, settings.feeds, hardening.trusted_keys,
    ]  # fmt: skip
    files = [path.absolute() for path in named if path is not None]
    try:
        own = current(settings.home)
    except ModelError:
        own = None  # opening the model says it
    folder = own.folder if own else shipped_folder()
    files += [folder / name for name in (MANIFEST, *FILES)]
    for other in (settings.llm_adapter, Path(settings.llm) if _is_folder(settings.llm) else None):
        if other is not None and (other / LIST).is_file():
            files.append(other / LIST)
    return list(dict.fromkeys(files))


def is_vouched_for(file: Path, settings: Settings) -> bool:
    """Whether a file needs no signature of its own: one that a manifest names, the shipped manifest, the keys themselves."""
    keys = settings.hardening.trusted_keys
    shipped = file.name == MANIFEST and file.parent == shipped_folder()
    return file.name in FILES or shipped or (keys is not None and file == keys.absolute())


def _is_folder(llm: str) -> bool:
    return bool(llm) and llm != "local" and "://" not in llm


def _is_weights(file: Path) -> bool:
    return file.name in (MANIFEST, *FILES)


def _hashes(file: Path) -> frozenset[str]:
    """The hash of a file as it is; empty where it can't be read, or is something that may never end."""
    try:
        if not file.is_file():
            return frozenset()
        with file.open("rb") as opened:
            return frozenset({hashlib.file_digest(opened, "sha256").hexdigest()})
    except OSError:
        return frozenset()
