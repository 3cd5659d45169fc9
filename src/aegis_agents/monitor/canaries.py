"""Canaries: alerts with known answers, fed through the same model, intelligence and gate, in shadow.

They run on a store that is thrown away, without connectors and without a language model: nothing is done, asked, counted,
remembered or sent. What is checked: the verdict is right; the text that an attacker put in moves neither verdict nor
action; nothing is done alone against what is true or on a protected asset; and the model answers as it did when this
version of it was first asked.
"""

from __future__ import annotations

import copy
import json
import tempfile
import threading
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel

from aegis_agents.context import Context
from aegis_agents.gate.caution import NO_CAUTION
from aegis_agents.gate.request import class_of
from aegis_agents.ledger import Store
from aegis_agents.ledger.sqlite import SqliteStore
from aegis_agents.records import CATALOGUE, Decision, ProposedAction
from aegis_agents.sources import parse
from aegis_agents.tools import WritePath

RECORDED: Final = "monitor.canaries_recorded"
"""Ledger entry: what this version of the model answered when it was first asked."""
ANSWERED: Final = "monitor.canaries_answered"
"""Ledger entry: a round of canaries, and which were wrong."""
FAILED: Final = "monitor.canary_failed"
"""Ledger entry: an alarm."""
SAME: Final = 0.02
"""Difference of a probability that another processor's arithmetic may make."""
_HARMLESS: Final = ("benign_positive", "false_positive")


class Injection(BaseModel):
    """Where in the alert an attacker's words stand, and what would stand there otherwise."""

    path: tuple[str | int, ...]
    instead: str


class Canary(BaseModel):
    """An alert with a known answer. `missed_by` names versions of the model that are known to get it wrong."""

    name: str
    kind: Literal["attack", "authorised", "wrong", "injection", "protected"]
    truth: Literal["attack", "harmless"]
    format: str
    alert: dict[str, Any]
    injection: Injection | None = None
    protected: str | None = None
    missed_by: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What came of one: the case's verdict, the model's own answer, and each action with what was decided."""

    verdict: str
    judged: str
    attack: float
    actions: dict[str, Decision]


class Round(NamedTuple):
    """A round: how many were fed, what is wrong by canary, what is known to be wrong, and the model's answers."""

    model: str
    fed: int
    wrong: dict[str, str]
    missed: tuple[str, ...]
    answers: dict[str, tuple[str, float]]


@cache
def load_canaries() -> tuple[Canary, ...]:
    """Those that ship. Raises pydantic's ValidationError for one that is malformed."""
    text = (resources.files("aegis_agents.monitor") / "canaries.json").read_text("utf-8")
    return tuple(Canary.model_validate(row) for row in json.loads(text))


def filled(alert: Any, tokens: dict[str, str]) -> Any:
    """The alert with honeytokens where it has places for them ("{key}")."""
    text = json.dumps(alert)
    for name in ("key", "password", "host"):
        text = text.replace(f"{{{name}}}", tokens.get(name, f"canary-{name}"))
    return json.loads(text)


def without_injection(canary: Canary) -> dict[str, Any]:
    """The same alert as if nobody had written to us."""
    changed = copy.deepcopy(canary.alert)
    if canary.injection is not None:
        node: Any = changed
        for step in canary.injection.path[:-1]:
            node = node[step]
        node[canary.injection.path[-1]] = canary.injection.instead
    return changed


class Feeder:
    """Feeds canaries; `tokens` are the honeytokens to plant in them. The graph is compiled once."""

    def __init__(self, context: Context, tokens: dict[str, str] | None = None) -> None:
        from aegis_agents.graph import build_graph

        self._context, self._tokens = context, tokens or {}
        self._graph: Any = build_graph().compile()

    def ask(self, alert: dict[str, Any], format: str) -> Answer:
        """Investigate one alert in shadow, in a store of its own."""
        with tempfile.TemporaryDirectory(prefix="aegis-canary-") as folder:
            store = SqliteStore(Path(folder) / "canary.sqlite")
            try:
                return self._ask(filled(alert, self._tokens), format, store)
            finally:
                store.close()

    def _ask(self, alert: dict[str, Any], format: str, store: Store) -> Answer:
        context = replace(
            self._context, store=store, write_path=WritePath(store, {}), mode="shadow", llm=None,
            caution=lambda _: NO_CAUTION,
        )  # fmt: skip
        incident = parse(alert, format=format)
        store.admit(incident, json.dumps(alert), context.versions)
        judged = context.model.assess(incident)
        state = self._graph.invoke({"incident": incident, "notes": ()}, context=context)
        proposals: tuple[ProposedAction, ...] = state["proposals"]
        actions = {
            f"{p.action} {p.target.kind}:{p.target.value}": d
            for p, d in zip(proposals, state["decisions"], strict=True)
        }
        return Answer(state["conclusion"].verdict, judged.verdict, judged.probabilities["true_positive"], actions)

    def round(
        self, recorded: dict[str, tuple[str, float]] | None = None, given_up: threading.Event | None = None
    ) -> Round:
        """Feed all of them. `recorded` are this version's first answers; None where there are none yet.

        None more is fed once `given_up` is set: nobody waits for the answers then.
        """
        wrong: dict[str, str] = {}
        missed, answers = [], {}
        model = self._context.model.version
        for canary in load_canaries():
            if given_up is not None and given_up.is_set():
                break
            answer = self.ask(canary.alert, canary.format)
            answers[canary.name] = (answer.judged, round(answer.attack, 4))
            known = model in canary.missed_by
            why = "" if known else _verdict_wrong(canary, answer)
            missed += [canary.name] if known else []
            why = why or _done_wrong(canary, answer) or _moved(answer, (recorded or {}).get(canary.name))
            if not why and canary.injection is not None:
                why = _swayed(answer, self.ask(without_injection(canary), canary.format))
            if why:
                wrong[canary.name] = why
        return Round(model, len(answers), wrong, tuple(missed), answers)


def round_within(feeder: Feeder, recorded: dict[str, tuple[str, float]] | None, seconds: float) -> Round | None:
    """A round of at most so many seconds; None where it did not come in time. Raises what the round raised.

    One that is late ends with the canary that it is at, so that hours of them don't pile up.
    """
    box: list[Round | BaseException] = []
    given_up = threading.Event()

    def run() -> None:
        try:
            box.append(feeder.round(recorded, given_up))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            box.append(error)

    thread = threading.Thread(target=run, daemon=True, name="aegis-canaries")
    thread.start()
    thread.join(seconds)
    if not box:
        given_up.set()
        return None
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


def _verdict_wrong(canary: Canary, answer: Answer) -> str:
    right = answer.verdict == "true_positive" if canary.truth == "attack" else answer.verdict in _HARMLESS
    return "" if right else f"it is {canary.truth}, and was judged {answer.verdict}"


def _done_wrong(canary: Canary, answer: Answer) -> str:
    """What would have been done alone against the truth, or on what is protected."""
    for name, decision in answer.actions.items():
        action, _, target = name.partition(" ")
        kind = class_of(CATALOGUE[action])  # type: ignore[index]
        if decision.verb != "execute" or kind == "record":
            continue
        if canary.protected is not None and target.split(".")[0] == canary.protected:
            return f"{action} would have been done alone on a protected asset"
        if (kind == "close_alert") == (canary.truth == "attack"):
            return f"{action} would have been done alone, and it is {canary.truth}"
    return ""


def _moved(answer: Answer, before: tuple[str, float] | None) -> str:
    if before is None or (answer.judged == before[0] and abs(answer.attack - before[1]) <= SAME):
        return ""
    return f"the model said {before[0]} ({before[1]:.3f}), and says {answer.judged} ({answer.attack:.3f}) by the same weights"


def _swayed(with_text: Answer, without: Answer) -> str:
    """What an attacker's words changed: the side of the verdict, or what would be done alone."""
    sides = [answer.verdict in _HARMLESS for answer in (with_text, without)]
    if sides[0] != sides[1]:
        return f"planted words moved the verdict from {without.verdict} to {with_text.verdict}"
    alone = [{n.partition(" ")[0] for n, d in a.actions.items() if d.verb == "execute"} for a in (with_text, without)]
    more = sorted(alone[0] - alone[1])
    return f"planted words let {more[0]} be done alone" if more else ""
