"""What a warm decision costs beside a bare encoder pass; run by pytest-benchmark, never among the tests.

The blocks take turns (bare, decision, stream, bare, ...), so that the machine's mood meets
all alike; `evals.bench` pools them. Run by `python -m evals.bench`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

from aegis_agents import Aegis
from aegis_agents.model.encoder import Encoder
from aegis_agents.model.files import read_weights
from aegis_agents.sources import parse
from evals.bench.alerts import distinct, meet_everybody, stream

BLOCKS, ROUNDS = 6, 20
_TOKENS = 512
_numbers = count(1000)


@pytest.fixture(scope="module")
def aegis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aegis]:
    with Aegis(home=tmp_path_factory.mktemp("aegis")) as made:
        for number in range(10):  # warm: guardrails, FAISS, SQLite
            made.investigate(distinct(number))
        yield made


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aegis]:
    """One whose fact cache nobody empties, and which has met everybody in the stream."""
    with Aegis(home=tmp_path_factory.mktemp("busy")) as made:
        meet_everybody(made)
        for number in range(10):
            made.investigate(stream(number))
        yield made


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    files = read_weights()
    made = Encoder(files.contents["encoder.onnx"], files.contents["tokenizer.json"])
    made._tokenizer.enable_truncation(_TOKENS)
    return made


@pytest.fixture(scope="module", params=range(BLOCKS))
def block(request: pytest.FixtureRequest) -> int:
    """Its scope makes pytest run every function once a block."""
    return int(request.param)


def _forget(aegis: Aegis) -> None:
    """An empty fact cache, so that nothing of the next alert was encoded before."""
    aegis.context.model._encoder._cache.clear()  # type: ignore[attr-defined]


def _take(benchmark: Any, work: Callable[[Any], object], setup: Callable[[], Any], name: str) -> None:
    benchmark.group = name
    benchmark.pedantic(work, setup=lambda: ((setup(),), {}), rounds=ROUNDS, warmup_rounds=2)


def bench_bare_pass(benchmark: Any, encoder: Encoder, block: int) -> None:
    def run(text: str) -> object:
        ids = np.array([encoder._tokenizer.encode(text).ids], np.int64)
        return encoder._session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})

    _take(benchmark, run, lambda: json.dumps(distinct(next(_numbers))), "bare")


def bench_decision(benchmark: Any, aegis: Aegis, block: int) -> None:
    def fresh() -> Any:
        _forget(aegis)
        return distinct(next(_numbers))

    _take(benchmark, aegis.investigate, fresh, "decision")


def bench_stream(benchmark: Any, busy: Aegis, block: int) -> None:
    _take(benchmark, busy.investigate, lambda: stream(next(_numbers)), "stream")


def bench_parse(benchmark: Any, block: int) -> None:
    _take(benchmark, parse, lambda: distinct(next(_numbers)), "sources: parse")


def bench_model_new_facts(benchmark: Any, aegis: Aegis, block: int) -> None:
    def fresh() -> Any:
        _forget(aegis)
        return parse(distinct(next(_numbers)))

    _take(benchmark, aegis.context.model.assess, fresh, "model: no fact seen before")


def bench_model_known_facts(benchmark: Any, aegis: Aegis, block: int) -> None:
    incident = parse(distinct(0))
    masked = {incident.facts[3].id}
    aegis.context.model.assess(incident)
    _take(
        benchmark,
        lambda i: aegis.context.model.assess(i, masked=masked),
        lambda: incident,
        "model: another look, a fact masked",
    )
