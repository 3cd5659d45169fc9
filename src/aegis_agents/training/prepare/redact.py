"""Redaction of secrets and personal data, before anything is kept or learnt.

Secrets: detect-secrets' detectors, run on the text itself (its scanner would try secrets
out against the services that they open). Personal data: Presidio's pattern recognisers,
without its language models. Names, accounts, hosts and addresses that our own parser finds
as entities become stand-ins, the same for the same name, so that an alert stays coherent.
Reserved names and addresses (RFC 2606, RFC 5737) belong to nobody and stay.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from aegis_agents.records import Incident
from aegis_agents.sources import parse

_RESERVED = re.compile(r"\.(example|test|invalid|localhost)$|(^|[.@])example\.(com|net|org)$", re.I)
_STOOD_IN = {"user": "user", "email": "mail", "host": "host", "domain": "domain", "access_key": "key"}
_SHORTEST = 4
_COMMON = frozenset({"admin", "root", "system", "administrator", "guest", "localhost", "nobody", "service"})


@cache
def _secret_detectors() -> tuple[Any, ...]:
    from detect_secrets.plugins import (
        aws,
        azure_storage_key,
        basic_auth,
        github_token,
        gitlab_token,
        jwt,
        npm,
        openai,
        private_key,
        sendgrid,
        slack,
        stripe,
        twilio,
    )

    return (
        aws.AWSKeyDetector(), azure_storage_key.AzureStorageKeyDetector(), basic_auth.BasicAuthDetector(),
        github_token.GitHubTokenDetector(), gitlab_token.GitLabTokenDetector(), jwt.JwtTokenDetector(), npm.NpmDetector(),
        openai.OpenAIDetector(), private_key.PrivateKeyDetector(), sendgrid.SendGridDetector(), slack.SlackDetector(),
        stripe.StripeDetector(), twilio.TwilioKeyDetector(),
    )  # fmt: skip


@cache
def _personal_recognisers() -> tuple[Any, ...]:
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        PhoneRecognizer,
        UsSsnRecognizer,
    )

    class OfflineEmail(EmailRecognizer):
        """Presidio's own would fetch the public suffix list; the pattern alone is enough here."""

        def validate_result(self, pattern_text: str) -> bool | None:
            return None

    return (OfflineEmail(), CreditCardRecognizer(), IbanRecognizer(), PhoneRecognizer(), UsSsnRecognizer())


class Redactor:
    """Replaces what must not be learnt. `key` makes stand-ins that can't be guessed back; keep it or lose it."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.found: Counter[str] = Counter()

    def alert(self, alert: dict[str, Any], format: str) -> dict[str, Any]:
        """The alert with everything replaced. What was found is counted in `found`, by kind."""
        names = self._names(parse(alert, format=format))
        walked: dict[str, Any] = self._walk(alert, names)
        return walked

    def _stand_in(self, kind: str, value: str) -> str:
        digest = hmac.new(self._key, value.lower().encode(), hashlib.sha256).hexdigest()[:6]
        if kind == "email":
            return f"user-{digest}@{self._stand_in('domain', value.rpartition('@')[2])}"
        if kind == "domain":
            return f"d{digest}.example"
        return f"{_STOOD_IN[kind]}-{digest}"

    def _names(self, incident: Incident) -> Callable[[str], str]:
        wanted = {
            e.value: self._stand_in(e.kind, e.value)
            for e in incident.entities
            if e.kind in _STOOD_IN and len(e.value) >= _SHORTEST and e.value.lower() not in _COMMON
            and not _RESERVED.search(e.value)
        }  # fmt: skip
        if not wanted:
            return lambda text: text
        longest_first = sorted(wanted, key=len, reverse=True)
        pattern = re.compile(r"(?<![\w])(" + "|".join(re.escape(w) for w in longest_first) + r")(?![\w])", re.I)
        lower = {k.lower(): v for k, v in wanted.items()}

        def replace(match: re.Match[str]) -> str:
            self.found["entity"] += 1
            # "ſ" matches s and lowers to itself: then whichever name it was that matched.
            return lower.get(match[0].lower()) or next(
                v for k, v in lower.items() if re.fullmatch(re.escape(k), match[0], re.I)
            )

        return lambda text: pattern.sub(replace, text)

    def _walk(self, node: Any, names: Callable[[str], str]) -> Any:
        if isinstance(node, dict):
            return {self.text(k, names): self._walk(v, names) for k, v in node.items()}
        if isinstance(node, list):
            return [self._walk(v, names) for v in node]
        return self.text(node, names) if isinstance(node, str) else node

    def text(self, text: str, names: Callable[[str], str] = lambda t: t) -> str:
        """One text with secrets, personal data and known names replaced."""
        for detector in _secret_detectors():
            for secret in {s for s in detector.analyze_string(text) if s}:
                self.found[f"secret: {detector.secret_type}"] += 1
                text = text.replace(secret, "⟨secret⟩")
        for recogniser in _personal_recognisers():
            spans = recogniser.analyze(text, recogniser.supported_entities, None) if len(text) >= 6 else []
            for span in sorted(spans, key=lambda s: s.start, reverse=True):
                value = text[span.start : span.end]
                if span.score < 0.4 or _is_nobodys(value):
                    continue
                self.found[f"personal: {span.entity_type}"] += 1
                instead = self._stand_in("email", value) if "@" in value else f"⟨{span.entity_type.lower()}⟩"
                text = text[: span.start] + instead + text[span.end :]
        return names(text)


def _is_nobodys(value: str) -> bool:
    """Reserved names, addresses, and numbers that only look like telephones."""
    if _RESERVED.search(value) or re.fullmatch(r"[\d.:/-]+", value):
        return True
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True
