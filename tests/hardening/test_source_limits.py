"""One source's share: of the language model, and of what may be done alone."""

from __future__ import annotations

import threading

from aegis_agents.hardening.limits import SourceLimits
from aegis_agents.settings_hardening import HardeningSettings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def limits(clock: Clock | None = None, **settings: float) -> SourceLimits:
    return SourceLimits(HardeningSettings.model_validate(settings), clock or Clock())


def ask(of: SourceLimits, source: str, clock: Clock | None = None, takes: float = 0.0) -> bool:
    with of.asking(source) as why:
        if clock is not None and not why:
            clock.now += takes
        return not why


def test_calls_are_counted_by_source_and_hour() -> None:
    clock = Clock()
    of = limits(clock, llm_calls_per_hour=3)
    assert [ask(of, "defender") for _ in range(5)] == [True, True, True, False, False]
    assert ask(of, "okta"), "another source has its own"
    clock.now = 62 * 60
    assert ask(of, "defender")


def test_seconds_are_counted() -> None:
    clock = Clock()
    of = limits(clock, llm_seconds_per_hour=50.0)
    assert [ask(of, "defender", clock, takes=20.0) for _ in range(4)] == [True, True, True, False]
    with of.asking("defender") as why:
        assert "llm_seconds_per_hour" in why


def test_zero_asks_nobody() -> None:
    assert not ask(limits(llm_calls_per_hour=0), "defender")
    assert not ask(limits(llm_seconds_per_hour=0), "defender")
    assert limits(alone_per_hour=0).may_act_alone("defender")


def test_beyond_its_share_a_source_acts_with_people_alone() -> None:
    clock = Clock()
    of = limits(clock, alone_per_hour=2)
    assert [of.may_act_alone("defender") == "" for _ in range(4)] == [True, True, False, False]
    assert of.may_act_alone("okta") == ""
    assert "alone_per_hour" in of.may_act_alone("defender")
    clock.now = 3 * 3600
    assert of.may_act_alone("defender") == ""


def test_an_answer_that_fails_costs_its_seconds_too() -> None:
    clock = Clock()
    of = limits(clock, llm_seconds_per_hour=30.0)
    try:
        with of.asking("defender"):
            clock.now += 60
            raise RuntimeError("the model broke")
    except RuntimeError:
        pass
    assert not ask(of, "defender")


def test_threads_together_do_not_pass_the_limit() -> None:
    of, asked = limits(llm_calls_per_hour=50), list[bool]()
    threads = [threading.Thread(target=lambda: asked.extend(ask(of, "s") for _ in range(40))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(asked) == 50


def test_sources_cannot_fill_memory() -> None:
    of = limits()
    for number in range(5000):
        of.may_act_alone(f"source-{number}" + "x" * 10_000)
    assert len(of._sources) <= 1000
    assert all(len(name) <= 100 for name in of._sources)
