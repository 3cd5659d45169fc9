"""A Document: one piece of intelligence as it is stored, before a search makes a Passage of it."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, field_validator

from aegis_agents.records.base import Record

Corpus = Literal[
    "technique", "mitigation", "group", "software", "kev", "action", "rule", "playbook", "report", "document",
    "epss", "indicator", "warning",
]  # fmt: skip
"""What a snapshot holds: four kinds of ATT&CK object, exploited vulnerabilities, the response actions that Aegis can
take, Sigma rules, RE&CT playbook steps, reports of others (STIX, MISP), the user's own documents; and, found exactly
and without a vector, EPSS scores, indicators and warning-list entries."""

CORPORA: tuple[Corpus, ...] = get_args(Corpus)
"""The order in which corpora stand in a snapshot."""

EXACT_ONLY: frozenset[Corpus] = frozenset({"epss", "indicator", "warning"})
"""Corpora that are looked up by id alone: they have neither a vector nor words, and `search` never answers them."""

Tlp = Literal["clear", "green", "amber", "amber+strict", "red"]
"""Traffic Light Protocol 2.0 (FIRST, 2022), from least to most restricted."""

TLP_ORDER: tuple[Tlp, ...] = get_args(Tlp)

ATTACK_LICENCE = (
    "ATT&CK Terms of Use (https://attack.mitre.org/resources/terms-of-use/); "
    "© The MITRE Corporation, reproduced and distributed with its permission"
)
KEV_LICENCE = "CC0-1.0"
ACTION_LICENCE = "Apache-2.0"
CASE_LICENCE = "private to the organisation"

MAX_TEXT = 20_000
"""Characters of one document; more is cut, since no reader or encoder takes it in."""

_SPACE = re.compile(r"\s+")


class Embedder(Protocol):
    """The part of a model that intelligence needs: text to unit vectors.

    Stated here because `intel` and `model` are siblings and do not import each other;
    every `IncidentModel` fits.
    """

    @property
    def version(self) -> str:
        """Name and content hash of the weights."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions)."""
        ...


class Document(Record):
    """One piece of intelligence, and where it came from.

    `aliases` are further ids that find it (a RE&CT id, a revoked ATT&CK id, "ip:203.0.113.7").
    `embedding_text` is what its vector is made from where that differs from `text`.
    `feed` is the name of the feed that brought it, `owner` who publishes that feed: two feeds of one
    owner are one voice. `tenant` is whose it is, "" everyone's. `observed_at` is when its publisher
    last saw it, `valid_until` when they take it back. Within a corpus `id` is unique: what only its
    feed vouches for carries the feed's name in front ("blocklist/ip:203.0.113.7").
    """

    corpus: Corpus
    id: str
    title: str
    text: str
    licence: str
    trust: float = 1.0
    technique: str | None = None
    aliases: tuple[str, ...] = ()
    embedding_text: str | None = None
    feed: str = "shipped"
    owner: str = "aegis"
    tenant: str = ""
    tlp: Tlp = "clear"
    fetched_at: AwareDatetime | None = None
    observed_at: AwareDatetime | None = None
    valid_until: AwareDatetime | None = None
    signer: str = ""

    @field_validator("title", "text", "embedding_text")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        return None if value is None else plain(value)[:MAX_TEXT]

    @property
    def to_embed(self) -> str:
        """The text that the vector stands for."""
        return self.embedding_text if self.embedding_text is not None else self.text

    @property
    def sha256(self) -> str:
        """Hash of what it says: unchanged when only the time of fetching differs."""
        said = self.model_dump_json(exclude={"fetched_at"})
        return hashlib.sha256(said.encode("utf-8")).hexdigest()


def plain(text: str) -> str:
    """Text on one line, without control and formatting characters.

    Bidirectional overrides and zero-width characters could make a passage read
    differently to a person than to the model.
    """
    kept = (c if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else " " for c in text)
    return _SPACE.sub(" ", "".join(kept)).strip()


def text_key(text: str) -> bytes:
    """SHA-256 of a text, under which its vector is kept."""
    return hashlib.sha256(text.encode("utf-8")).digest()
