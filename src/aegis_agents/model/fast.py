"""The fast model: one pass of the encoder over the facts, one of the head over the set, and what single words say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aegis_agents.model.calibration import Calibration
from aegis_agents.model.encoder import WIDTH, Encoder, Vectors
from aegis_agents.model.files import read_weights
from aegis_agents.model.lexical import Lexical, count
from aegis_agents.model.naming import Naming
from aegis_agents.model.sessions import open_session
from aegis_agents.model.text import Piece, read
from aegis_agents.records import SEVERITIES, Assessment, FactWeight, Incident, TechniqueScore

_ATTACK, _AUTHORISED, _WRONG = 1, 2, 3
_ODDS_TO_LOGITS = np.array([0.5, -0.5, -0.5, 0.0], np.float32)
"""In the order of VERDICTS: odds of attack against harmless move these apart and leave "undetermined" where it is."""
_TOP_TECHNIQUES = 10
_LEAST_PULL = 0.05
"""What a fact that decides nothing counts for likeness, beside 1 for one that decides alone."""


class _Input(NamedTuple):
    """What the head reads of one incident: n pieces."""

    pieces: list[Piece]
    vectors: Vectors
    skipped: int


def _softmax(x: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
    found: NDArray[np.float64] = shifted / shifted.sum(axis=-1, keepdims=True)
    return found


def _head_input(batch: list[_Input]) -> dict[str, NDArray[Any]]:
    n = max(1, max(len(item.pieces) for item in batch))
    facts = np.zeros((len(batch), n, WIDTH), np.float32)
    trust = np.zeros((len(batch), n), np.int64)
    mask = np.zeros((len(batch), n), np.float32)
    for row, item in enumerate(batch):
        k = len(item.pieces)
        facts[row, :k], mask[row, :k] = item.vectors, 1.0
        trust[row, :k] = [p.trust for p in item.pieces]
    return {"facts": facts, "trust": trust, "mask": mask}


def _weigh(stance: NDArray[np.float32]) -> NDArray[np.float64]:
    """From logits (B, N, 4): what speaks for an attack less what speaks against, -1 to 1."""
    shares = _softmax(stance)
    weights: NDArray[np.float64] = shares[:, :, _ATTACK] - shares[:, :, _AUTHORISED] - shares[:, :, _WRONG]
    return weights


def _runs(order: list[int], lengths: list[int]) -> Iterator[list[int]]:
    """Cut an order by length into runs of at most 32 in which padding adds little."""
    start = 0
    for at, i in enumerate(order):
        if at - start == 32 or lengths[i] > 1.25 * lengths[order[start]] + 4:
            yield order[start:at]
            start = at
    if order:
        yield order[start:]


class FastModel:
    """The shipped model, or one of the user's own in `folder` (see `read_weights`).

    Thread-safe. `threads` 0 leaves the number to ONNX Runtime; `cache` is the number of fact
    vectors kept. With `tolerated_error`, what could not be shown to be wrong at most that often
    is undetermined. Raises ModelTampered or ModelError, InputError for an error rate that
    nothing was measured for.
    """

    def __init__(
        self, folder: Path | None = None, *, manifest_sha256: str | None = None, threads: int = 0, cache: int = 20_000,
        tolerated_error: float | None = None,
    ) -> None:  # fmt: skip
        files = read_weights(folder, manifest_sha256=manifest_sha256)
        self._version = files.version
        self._encoder = Encoder(
            files.contents["encoder.onnx"], files.contents["tokenizer.json"], threads=threads, cache=cache
        )
        self._head = open_session(files.contents["head.onnx"], 1)  # too small to gain from threads
        self._calibration = Calibration(**json.loads(files.contents["calibration.json"]))
        self._bound = None if tolerated_error is None else self._calibration.bound(tolerated_error)
        self._lexical = Lexical(files.contents["lexical.npz"])
        self._naming = Naming(files.contents["techniques.npz"])

    @property
    def version(self) -> str:
        """Name and manifest hash of the weights."""
        return self._version

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), 384), for retrieval."""
        return self._encoder.encode(texts)

    def techniques(self) -> tuple[list[str], Vectors]:
        """The ATT&CK ids that it knows, and their unit vectors."""
        return list(self._naming.ids), self._naming.vectors

    def embed_incident(self, incident: Incident) -> Vectors:
        """The direction of what the incident says, shape (384,), for finding similar ones.

        Facts count by how much they decide: two alerts of one rule are alike in all else.
        """
        pieces, _ = read(incident)
        vectors = self._encoder.encode([p.text for p in pieces] or [incident.title])
        pull = np.ones(1)
        if pieces:
            (stance,) = self._head.run(["stance"], _head_input([_Input(pieces, vectors, 0)]))
            pull = _LEAST_PULL + np.abs(_weigh(stance)[0])
        mean = (vectors * pull[:, None]).sum(axis=0)
        unit: Vectors = (mean / max(float(np.linalg.norm(mean)), 1e-9)).astype(np.float32)
        return unit

    def assess(self, incident: Incident, *, masked: Set[str] = frozenset()) -> Assessment:
        """Judge one incident; see IncidentModel.assess."""
        return self._judge([self._prepare(incident, masked)])[0]

    def assess_masked(self, incident: Incident, masks: Sequence[Set[str]]) -> list[Assessment]:
        """As `assess` with each of these masks, in order: read and encoded once, and judged together."""
        pieces, skipped = read(incident)
        vectors = self._encoder.encode([p.text for p in pieces])
        prepared = []
        for masked in masks:
            hidden = incident.resting_on(masked) if masked else frozenset[str]()
            kept = [i for i, p in enumerate(pieces) if p.fact not in hidden]
            prepared.append(_Input([pieces[i] for i in kept], vectors[kept], skipped))
        # Those of a length together: the head's time grows with the longest of a run.
        return self._judge_all(prepared)

    def assess_many(self, incidents: Sequence[Incident]) -> list[Assessment]:
        """Judge several, in order; facts that they share are encoded once."""
        read_all = [read(incident) for incident in incidents]
        vectors = self._encoder.encode([p.text for pieces, _ in read_all for p in pieces])
        prepared, at = [], 0
        for pieces, skipped in read_all:
            prepared.append(_Input(pieces, vectors[at : at + len(pieces)], skipped))
            at += len(pieces)
        return self._judge_all(prepared)

    def _judge_all(self, prepared: list[_Input]) -> list[Assessment]:
        """Those of like length together: one huge alert must not pad a whole batch to its size."""
        order = sorted(range(len(prepared)), key=lambda i: len(prepared[i].pieces))
        found: dict[int, Assessment] = {}
        for run in _runs(order, [len(item.pieces) for item in prepared]):
            found.update(zip(run, self._judge([prepared[i] for i in run]), strict=True))
        return [found[i] for i in range(len(prepared))]

    def _prepare(self, incident: Incident, masked: Set[str]) -> _Input:
        pieces, skipped = read(incident)
        if masked:
            hidden = incident.resting_on(masked)
            pieces = [p for p in pieces if p.fact not in hidden]
        return _Input(pieces, self._encoder.encode([p.text for p in pieces]), skipped)

    def _judge(self, batch: list[_Input]) -> list[Assessment]:
        verdict, severity, technique, stance = self._head.run(None, _head_input(batch))
        weights = _weigh(stance)
        said = [count(p.value for p in item.pieces) for item in batch]
        odds = np.array([self._lexical.odds(counted) for counted in said], np.float32)
        verdict = verdict + np.outer(odds, _ODDS_TO_LOGITS)
        likeness = self._naming.likeness(technique, said)
        return [
            self._answer(item, verdict[row], severity[row], weights[row], likeness[row])
            for row, item in enumerate(batch)
        ]

    def _answer(
        self, item: _Input, verdict: NDArray[np.float32], severity: NDArray[np.float32],
        weights: NDArray[np.float64], likeness: NDArray[np.float32],
    ) -> Assessment:  # fmt: skip
        decided = self._calibration.decide(verdict, self._bound)
        by_fact: dict[str, float] = {}
        for piece, weight in zip(item.pieces, weights, strict=False):  # weights are padded to the batch
            if abs(weight) >= abs(by_fact.get(piece.fact, 0.0)):
                by_fact[piece.fact] = float(weight)
        top = np.argpartition(-likeness, _TOP_TECHNIQUES)[:_TOP_TECHNIQUES]
        top = top[np.argsort(-likeness[top])]
        return Assessment(
            verdict=decided.verdict,
            confidence=decided.probabilities[decided.verdict],
            probabilities=decided.probabilities,
            severity=SEVERITIES[int(severity.argmax())],
            weights=tuple(FactWeight(fact=f, weight=round(w, 4)) for f, w in by_fact.items()),
            techniques=tuple(
                TechniqueScore(technique=self._naming.ids[i], score=round(float(np.clip(likeness[i], 0, 1)), 4))
                for i in top
            ),
            model=self._version,
            facts_read=len(by_fact),
            facts_skipped=item.skipped,
        )
