"""Opposites, negations and dismissals in English security prose, told by words alone."""

from __future__ import annotations

import re

from aegis_agents.intel.trust.words import stem, words_of

_NEGATION_WORDS = """
not no never nor neither none cannot without unable unlikely rarely hardly instead isn't aren't wasn't don't doesn't
didn't can't won't shouldn't mustn't couldn't
"""
_NEGATIONS = frozenset(_NEGATION_WORDS.split())


def _side(words: str) -> frozenset[str]:
    return frozenset(stem(w) for w in words.split())


_OPPOSITES = tuple((_side(a), _side(b)) for a, b in (
    ("malicious hostile adversary adversaries attacker attackers threat harmful", "benign harmless legitimate safe trusted authorised authorized administrators"),
    ("block deny denied drop prevent prohibit reject restrict limit", "allow permit accept unblock whitelist allowlist"),
    ("disable deactivate lock suspend", "enable activate unlock reinstate"),
    ("isolate quarantine contain disconnect cut", "release restore reconnect rejoin connect"),
    ("delete remove revoke erase uninstall", "keep retain preserve grant leave install"),
    ("known confirmed", "unknown unconfirmed"),
    ("exploited", "unexploited theoretical"),
    ("before", "after"),
    ("encrypt", "decrypt"),
    ("increase raise escalate elevate", "decrease lower reduce"),
    ("high critical severe", "low informational negligible"),
    ("start begin run execute", "stop end terminate"),
    ("collect gather", "discard"),
    ("external outside", "internal inside"),
))  # fmt: skip

_DISMISSALS = re.compile(
    r"""
      \b(?:safe|fine|ok|okay|acceptable)\ to\ (?:ignore|close|dismiss|allow|disregard|suppress|leave)
    | \b(?:can|may|should|must|will)\ (?:(?!not\b)\w+\ ){0,2}?be\ (?:\w+ly\ )?(?:ignored|closed|dismissed|disregarded|suppressed|allow-?listed
        |white-?listed|trusted|left\ (?:running|alone|connected|in\ place)|treated\ as\ (?:\w+\ )?(?:benign|harmless|noise|normal))
    | \b(?:is|are|was|were)\ (?:(?:all|always|usually|mostly|likely|probably|just|only|known|a)\ ){0,3}false\ positives?
    | \b(?:is|are|was|were)\ (?:\w+\ ){0,2}?(?:benign|harmless|nothing\ to\ worry|no\ threat
        |no\ cause\ for|expected\ behaviou?r|normal\ (?:activity|behaviou?r|operation|maintenance))
    | \b(?:mark|treat|classif|label|consider|regard|count)(?:s|y|ies|ed|ied|ing)?\ (?:[\w-]+\ ){0,6}?(?:an?\ )?(?:benign|harmless|false\ positives?|noise|normal\ activity)\b
    | \bno\ (?:\w+\ ){0,2}?(?:action|response|containment|investigation|escalation|remediation|patch|follow-up|concern)\ (?:is\ |are\ )?(?:needed|required|necessary|warranted)
    | \b(?:needs?|requires?|warrants?|poses?|presents?)\ no\ (?:\w+\ )?(?:action|response|containment|investigation|escalation|review|remediation|threat|risk|danger)
    | \b(?:do\ not|don't|never|should\ not|must\ not|need\ not|avoid|refrain\ from|stop)\ (?:block|isolat|escalat|investigat|contain|quarantin|patch
        |report|alert|disabl|revok|reset|triag|respond|respon)(?:e|es|ing|ed|ding)?\b
    | \bnot\ (?:\w+\ )?(?:malicious|an?\ attack|a\ threat|harmful|dangerous|suspicious|a\ security\ (?:issue|risk|concern)|used\ by\ (?:adversaries|attackers))
    | \b(?:not|never|no\ longer|nor)\ (?:\w+\ ){0,3}?exploit(?:ed|able)
    | \bno\ (?:\w+\ ){0,2}?(?:exploitation|exploit|attacks?)\ (?:\w+\ ){0,2}?(?:observed|known|seen|exists?|in\ the\ wild)
    | (?:^|[.;:!?]\s)(?:please\ )?(?:turn\ off|switch\ off|stop|exclude|allow-?list|white-?list|ignore|close|dismiss|suppress)\ (?:\w+\ ){0,4}?(?:
        logging|monitoring|alerts?|alerting|detections?|rules?|edr|antivirus|defender|mfa|agents?|sensors?|auditing|events?|incidents?)\b
    | \b(?:add|put|place)\b[^.;]{0,60}?\b(?:allow|white|exclusion|exception|safe|trust)[- ]?lists?\b
    """,
    re.I | re.X,
)  # fmt: skip


def opposed(said: str, trusted: str) -> str | None:
    """What one sentence turns round in the other, None if nothing does."""
    here, there = words_of(said), words_of(trusted)
    negated_here, negated_there = (frozenset(w for w in ws if w in _NEGATIONS) for ws in (here, there))
    if bool(negated_here) != bool(negated_there):
        return f"says {sorted(negated_here)[0]!r}" if negated_here else f"leaves out {sorted(negated_there)[0]!r}"
    mine, theirs = [stem(w) for w in here], [stem(w) for w in there]
    for one, other in _OPPOSITES:
        for a, b in ((one, other), (other, one)):
            # The trusted sentence has words of one side alone; this one has fewer of them and some of the other's.
            lost = sum(w in a for w in theirs) > sum(w in a for w in mine)
            if lost and not any(w in b for w in theirs) and (new := next((w for w in mine if w in b), None)):
                return f"says {new!r} for {next(w for w in theirs if w in a)!r}"
    return None


def dismisses(text: str) -> str | None:
    """The words with which a text says that something is harmless or needs no answer, None if it does not."""
    found = _DISMISSALS.search(text)
    return None if found is None else found[0].strip(" .;:!?")[:80]
