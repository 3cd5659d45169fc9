"""Mask secrets, payment data and personal numbers in text that leaves: tickets, messages, webhooks.

What is masked keeps its first characters where they tell people which key it was
("AKIA…"), and never enough to use it. E-mail addresses, names and addresses stay:
a responder needs them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from aegis_agents.gate.personal import PERSONAL


class _Kind(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda text: True


def _luhn(text: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(char) for char in text if char.isdigit()]
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return 13 <= len(digits) <= 19 and total % 10 == 0 and len(set(digits)) > 1


def _iban(text: str) -> bool:
    """The check of bank accounts (ISO 13616): rearranged and read as a number, 1 modulo 97."""
    plain = text.replace(" ", "")
    return int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4])) % 97 == 1


_KINDS: Final = (
    _Kind(
        "private key",
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----.{0,8000}?(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
    ),
    _Kind("web token", re.compile(r"\beyJ[\w-]{8,2000}\.[\w-]{8,4000}(?:\.[\w-]{0,2000})?")),
    _Kind("AWS access key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,124}\b")),
    _Kind("AWS secret key", re.compile(r"(?i)(?<![a-z])secret_?access_?key\s{1,3}(?P<secret>[A-Za-z0-9/+]{32,80})")),
    _Kind("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{20,255}|github_pat_\w{20,255})\b")),
    _Kind("GitLab token", re.compile(r"\bglpat-[\w-]{16,64}")),
    _Kind("Slack token", re.compile(r"\bxox[abeoprs]-[\w-]{10,250}")),
    _Kind("Google key", re.compile(r"\bAIza[\w-]{30,45}|\bya29\.[\w-]{20,2000}")),
    _Kind("service key", re.compile(r"\b(?:sk|pk|rk)[-_](?:live|test|proj|ant|svcacct)?[-_]?[A-Za-z0-9_-]{20,250}")),
    _Kind("npm or PyPI token", re.compile(r"\bnpm_[A-Za-z0-9]{30,50}|\bpypi-[\w-]{40,500}")),
    _Kind(
        "service key",
        re.compile(r"\bhf_[A-Za-z0-9]{30,50}\b|\bSG\.[\w-]{16,40}\.[\w-]{30,60}|\bdo[opr]_v1_[0-9a-f]{60,70}\b"),
    ),
    _Kind(
        "webhook", re.compile(r"(?<=hooks\.slack\.com/services/)[\w/]{20,80}|(?<=/api/webhooks/)\d{10,22}/[\w-]{40,90}")
    ),
    _Kind(
        "Azure storage key",
        re.compile(
            r"(?i)(?<=accountkey=)[A-Za-z0-9+/]{40,100}={0,2}|(?<=sharedaccesssignature=)[^\s\"';]{16,500}"
            r"|(?<=[?&]sig=)[\w%+/=]{20,200}"
        ),
    ),
    _Kind("credentials in a URL", re.compile(r"(?<=://)[^\s/:@\"']{1,100}:[^\s/@\"']{1,200}(?=@)")),
    _Kind(
        "authorization",
        re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{12,4000}|(?<=\bbasic )[A-Za-z0-9+/]{12,1000}={0,2}"),
    ),
    _Kind(
        "password",
        # password=..., --password ..., "api_key": "...", /p:..., -p '...'
        re.compile(
            r"(?i)(?:(?<![a-z])|(?<=\bpg)|(?<=\bdb)|(?<=_))(?:pass(?:word|wd|wort|phrase|code)?|mot de passe|contraseña|wachtwoord|pwd|secret(?:[_-]?(?:access[_-]?)?key)?"
            r"|client[_-]?secret|api[_-]?key"
            r"|access[_-]?token|auth[_-]?token|refresh[_-]?token|session[_-]?token|token|private[_-]?key)"
            r"(?:[\"']?\s{0,3}[:=]\s{0,3}|\s{1,3}(?=[\"'])|(?<=password)\s{1,3}(?=\S*[\d!$%&*#@])"
            r"|(?<=passwd)\s{1,3}(?=\S*[\d!$%&*#@]))"
            r"(?P<secret>\"[^\"\n]{1,300}\"|'[^'\n]{1,300}'|[^\s\"',;&}\])]{3,300})"
        ),
    ),
    _Kind(
        "password",  # where tools take it without a word for it: net user ann ..., mysql -p..., curl -u ann:...
        re.compile(
            r"(?i)\b(?:net1?(?:\.exe)? user [^\s/]{1,60}\s{1,3}(?=[^\s/*])|sshpass\s{1,3}-p\s{0,3}"
            r"|(?:psexec\w{0,4}|paexec|plink|pscp|smbclient|wmiexec)\b[^\n|;]{0,200}?\s-p\s{1,3}"
            r"|(?:mysql|mysqldump|mysqladmin|mariadb)\b[^\n|;]{0,200}?\s-p(?=[^\s-])|redis-cli\b[^\n|;]{0,100}?\s-a\s{1,3}"
            r"|curl\b[^\n|;]{0,200}?\s(?:-u\s{0,2}|--user\s{1,2})[^\s:]{1,60}:|convertto-securestring\s{1,3}(?:-string\s{1,3})?"
            r"|\bpwd is\s{1,3})(?P<secret>\"[^\"\n]{1,300}\"|'[^'\n]{1,300}'|[^\s\"',;|]{3,300})"
        ),
    ),
    _Kind("payment card", re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\d-])"), _luhn),
    _Kind("bank account", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), _iban),
    _Kind("social security number", re.compile(r"(?<![\d-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")),
    *(_Kind(*kind) for kind in PERSONAL),
)

PERSONAL_KINDS: Final = frozenset(
    {kind.name for kind in PERSONAL} | {"payment card", "bank account", "social security number"}
)
"""Of what is masked, what is a person's and no system's."""
_SHOWN: Final = 4
_KEPT_PREFIX: Final = frozenset(
    {"AWS access key", "GitHub token", "GitLab token", "Slack token", "Google key", "service key", "npm or PyPI token"}
)


def redact(text: str) -> str:
    """The text with secrets, payment data and personal numbers as ⟨kind masked⟩. Masking what is masked changes nothing."""
    for kind in _KINDS:
        text = kind.pattern.sub(partial(_mask, kind), text)
    return text


def secrets_in(text: str) -> tuple[str, ...]:
    """The kinds of what redact() would mask, each once, without what it is."""
    found = []
    for kind in _KINDS:
        masked = kind.pattern.sub(partial(_mask, kind), text)
        if masked != text and kind.name not in found:
            found.append(kind.name)
        text = masked
    return tuple(found)


def _mask(kind: _Kind, match: re.Match[str]) -> str:
    whole = match[0]
    secret = match.groupdict().get("secret") or whole
    if "⟨" in secret or "…" in secret or not kind.valid(secret):
        return whole
    shown = f"{secret[:_SHOWN]}… " if kind.name in _KEPT_PREFIX else ""
    return f"{whole[: len(whole) - len(secret)]}⟨{shown}{kind.name} masked⟩"
