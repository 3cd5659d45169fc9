"""Which action a question speaks of: "cut it off the network" is isolate_host. For wishes, and to find actions again."""

from __future__ import annotations

import re

from aegis_agents.records import CATALOGUE, UNDO_OF, ActionName, EntityKind

_VERBS: tuple[tuple[str, tuple[ActionName, ...]], ...] = (
    (r"isolat\w*|off the network|unplug\w*|disconnect\w*|(?:contain|quarantine) (?:\w+ ){0,2}(?:host|machine|server|device|box|computer|laptop|endpoint|workstation)|talking to anyone|releas\w+ (?:\w+ ){0,2}(?:host|machine|server)", ("isolate_host",)),
    (r"(?:disabl|deactivat|revok|rotat|kill)\w*(?: \S+){0,4} keys?\b|access keys?", ("disable_access_key",)),
    (r"revok\w*|(?:log|sign|kick)(?:ged|ned|ed)? (?:\S+ ){1,3}out\b|sessions?", ("revoke_sessions",)),
    (r"reset\w*|password (?:reset|change)|(?:change|new) (?:\w+ ){0,3}password", ("reset_password",)),
    (r"disabl\w*|deactivat\w*|suspend\w*|lock\w*|(?:shut|close)(?: \S+){0,3} (?:account|user)(?: down)?|enable (?:\w+ ){0,2}(?:account|user)|must be locked", ("disable_user",)),
    (r"(?:quarantin|pull|recall|purg|remov|restor)\w*(?: \S+){0,4} (?:e-?mails?|mails?|messages?)|(?:e-?mails?|mails?|messages?) (?:\S+ ){0,3}(?:quarantin|pull|recall)\w*", ("quarantine_email",)),
    (r"quarantin\w*", ("quarantine_file",)),
    (r"kill\w*|terminat\w*|end (?:that|the|this) process|process (?:\w+ )?(?:ended|stopped)", ("kill_process",)),
    (r"snapshot\w*|(?:disk|forensic) image|image of the (?:disk|drive)|preserve the disk", ("snapshot_disk",)),
    (r"watch ?list\w*|keep an eye on|watch (?:it|him|her|that|this|the)|monitor (?:it|him|her|that|the)", ("add_watchlist",)),
    (r"tickets?", ("open_ticket",)),
    (r"notif\w*|inform\w*|let the owner know|tell the owner", ("notify_owner",)),
    (r"clos(?:e|ed|es|ing)\b|dismiss\w*|reopen\w*", ("close_alert",)),
    (r"(?:un)?block\w*|ban(?:ned|ning)?\b|sinkhol\w*|blacklist\w*|blocklist\w*|firewall\w*|drop traffic", ("block_ip", "block_domain", "block_hash")),
)  # fmt: skip
_PATTERNS = [(re.compile(rf"\b(?:{pattern})", re.I), names) for pattern, names in _VERBS]
_GENERAL_OFF = re.compile(
    r"\b(?:take|kick|get|cut|put) (?:\S+ ){1,4}(?:offline|off the net\w*|off our net\w*|into isolation)", re.I
)


def actions_in(text: str, kinds: tuple[EntityKind, ...] = ()) -> tuple[ActionName, ...]:
    """The actions that a text speaks of, the most specific reading alone; `kinds` are those of what it names."""
    named = [name for name in CATALOGUE if re.search(rf"\b{name}\b", text)]
    named += [UNDO_OF[undo] for undo in UNDO_OF if re.search(rf"\b{undo}\b", text)]
    if named:
        return tuple(dict.fromkeys(named))
    if _GENERAL_OFF.search(text):
        return ("isolate_host",)
    for pattern, names in _PATTERNS:
        if pattern.search(text):
            fitting = tuple(n for n in names if kinds and not set(CATALOGUE[n].targets).isdisjoint(kinds))
            return fitting if len(names) > 1 and fitting else names
    return ()
