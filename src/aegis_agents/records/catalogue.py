"""The response actions that Aegis knows, with their standard ids.

RE&CT ids: https://atc-project.github.io/atc-react/ (Apache-2.0); D3FEND ids: https://d3fend.mitre.org.
Ids and facts only; no text is taken over.
"""

from __future__ import annotations

from types import MappingProxyType

from aegis_agents.records.action import ActionSpec


def _spec(
    name: str, effect: str, undo: str | None, targets: str, react: str, d3fend: str | None, about: str
) -> ActionSpec:
    fields = {"name": name, "effect": effect, "undo": undo, "targets": tuple(targets.split()), "about": about}
    return ActionSpec.model_validate(fields | {"react": react, "d3fend": d3fend})


# RE&CT has no action for ending a process, taking an image, ticketing or notifying: those carry the
# nearest id. D3FEND describes defence, not case handling: where it has no counterpart the id is None.
_SPECS = (
    _spec("isolate_host", "contain", "release_host", "host ip", "RA3102", "D3-NI", "Cut a host off from the network."),
    _spec("disable_user", "contain", "enable_user", "user email", "RA3601", "D3-AL", "Lock an account."),
    _spec("revoke_sessions", "destroy", None, "user email", "RA4601", "D3-ST", "End an account's sessions; it may sign in again."),
    _spec("reset_password", "destroy", None, "user email", "RA4601", "D3-CRO", "Replace an account's password."),
    _spec("disable_access_key", "contain", "enable_access_key", "access_key", "RA4601", "D3-CR", "Deactivate an access key."),
    _spec("block_ip", "contain", "unblock_ip", "ip", "RA3101", "D3-NTF", "Drop traffic from and to an address."),
    _spec("block_domain", "contain", "unblock_domain", "domain", "RA3103", "D3-DNSDL", "Stop a domain from resolving."),
    _spec("block_hash", "contain", "unblock_hash", "hash", "RA3403", "D3-EDL", "Keep a file with this hash from running."),
    _spec("quarantine_file", "contain", "restore_file", "file hash", "RA3303", "D3-CQ", "Move a file where it can't run."),
    _spec("quarantine_email", "contain", "restore_email", "message", "RA3203", "D3-ER", "Take a message out of mailboxes."),
    _spec("kill_process", "destroy", None, "process pod", "RA3401", "D3-PT", "End a running process."),
    _spec("snapshot_disk", "record", "delete_snapshot", "host resource", "RA2311", None, "Keep a disk image as evidence."),
    _spec("add_watchlist", "record", "remove_watchlist", "host user ip domain hash email", "RA2003", None, "Watch an entity more closely."),
    _spec("open_ticket", "record", "close_ticket", "alert", "RA6001", None, "Open a ticket for a person."),
    _spec("notify_owner", "record", None, "user host email resource repository", "RA1007", None, "Tell the owner of an asset."),
    _spec("close_alert", "record", "reopen_alert", "alert", "RA6001", None, "Close the alert as not an attack."),
)  # fmt: skip

CATALOGUE = MappingProxyType({spec.name: spec for spec in _SPECS})
"""ActionName → ActionSpec."""

UNDO_OF = MappingProxyType({spec.undo: spec.name for spec in _SPECS if spec.undo})
"""Undo's name → the action that it takes back."""
