"""The assistant's own state graph, over parts that only read: wiring, and the nodes' few lines.

understand → case | queue | intel | wish | decline → word (only with a language model) → answer
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from aegis_agents.assistant.about_case import ABOUT
from aegis_agents.assistant.about_intel import INTEL
from aegis_agents.assistant.about_queue import QUEUE
from aegis_agents.assistant.examples import INTENTS, OF_A_CASE, Intent
from aegis_agents.assistant.focus import Focus, entities_named, find_focus, strangers
from aegis_agents.assistant.found import Asked, Found, Memory, cite_case, hand_on, shown_entity
from aegis_agents.assistant.mentions import Mentions, is_group_name, read_mentions
from aegis_agents.assistant.reading import Desk, at, shown
from aegis_agents.assistant.route import LEAST
from aegis_agents.assistant.settling import settle_intent
from aegis_agents.assistant.wishes import say_decide, say_wish
from aegis_agents.assistant.worded import word
from aegis_agents.records import Case, Incident

HELP = (
    "You can ask about a case (why was this closed? which facts decided? what would have changed the verdict? who approved "
    "this? can it be undone?), the queue (what waits for me? which true positives came today on host X?) and intelligence "
    "(what is T1003.001? how is CVE-2021-44228 contained? which techniques do APT29 use?). Asked to act, a proposal is the answer."
)
FORBIDDEN = (
    "That is not done from a conversation: rules, autonomy, tokens, verdicts and the ledger change only by the commands "
    "made for it, by a person who is authenticated."
)
UNKNOWN = "Nothing here answers that: questions about a case, the queue or threat intelligence can be answered."


class AskState(TypedDict, total=False):
    """What flows along the graph."""

    question: str
    case: str | None
    memory: Memory
    asked: Asked
    focus: Focus
    found: Found
    notes: tuple[str, ...]
    model: str


def understand(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """What is named, which intent it is, which case is meant."""
    desk, question, memory = runtime.context, state["question"], state["memory"]
    desk.shelf.refresh()
    mentions = read_mentions(question, now=desk.now(), named=desk.shelf.named, subject=desk.names.get)
    intent = _intent(question, mentions, memory, desk)
    asked = Asked(question, mentions, intent, state["case"], memory)
    focus = Focus(None)
    if intent in OF_A_CASE or intent in ("act", "decide"):
        focus = find_focus(asked, desk)
        asked = asked._replace(focus=focus.incident_id)
    sink = runtime.stream_writer if desk.llm is None else None
    kept = memory if focus.incident_id in (None, memory.incident_id) else Memory(focus.incident_id, (), memory.subject)
    kept = kept._replace(of_intel=intent in INTEL)
    return {"asked": asked, "focus": focus, "found": Found(sink=sink, memory=kept), "notes": (), "model": "embedded"}


def _intent(question: str, mentions: Mentions, memory: Memory, desk: Desk) -> Intent:
    scores = desk.router.scores(mentions.shape)
    best = int(scores.argmax())
    guess: Intent = INTENTS[best] if scores[best] >= LEAST else "none"
    return settle_intent(question, mentions, memory, guess, scores)


def branch(state: AskState) -> Literal["case", "queue", "intel", "wish", "decline"]:
    """Which node answers."""
    intent = state["asked"].intent
    if intent in OF_A_CASE:
        return "case"
    if intent in ("act", "decide"):
        return "wish"
    return "queue" if intent in QUEUE else "intel" if intent in INTEL else "decline"


def about_case(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """An answer about the case that is meant, or the question which one."""
    desk, asked, found = runtime.context, state["asked"], state["found"]
    case = desk.store.case(asked.focus) if asked.focus else None
    if case is None or case.incident is None:
        _which(state["focus"], found)
    else:
        _not_here(asked, case, case.incident, found)
        ABOUT[asked.intent](asked, desk, case, found)
    return {"found": found}


def _not_here(asked: Asked, case: Case, incident: Incident, found: Found) -> None:
    """What a question names besides and this case has not: the answer below is not about that."""
    for other in [i for i in asked.mentions.incidents if i != incident.id][:4]:
        found.echo(f"{other} is another case; this is about {incident.id}.", cite_case(case))
    named = entities_named(asked)
    if asked.intent in ("who", "undo", "status") or any(incident.has_entity(e.kind, e.value) for e in named):
        return  # what was not done to it is said there
    names = [shown_entity(e) for e in named] or [shown(name, 80) for name in strangers(asked)]
    if names:
        are = "is no entity" if len(names) == 1 else "are no entities"
        found.echo(f"{' and '.join(names[:4])} {are} of {incident.id}.", cite_case(case))


def _which(focus: Focus, found: Found) -> None:
    found.looked("cases on the shelf")
    if focus.missing is not None:
        found.tell(f"Nothing that is kept here has the name or id {shown(focus.missing, 80)}.")
    elif focus.choices:
        found.tell("Which case is meant? The newest that may be:")
        for card in focus.choices:
            found.tell(
                f"{card.incident_id} of {at(card.at)}: {shown(card.source)} “{shown(card.title)}”.", cite_case(card)
            )
        found.memory = found.memory._replace(listed=tuple(c.incident_id for c in focus.choices))
    else:
        found.tell("There is no case yet: investigate an alert first.")


def about_queue(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """An answer about the queue."""
    QUEUE[state["asked"].intent](state["asked"], runtime.context, state["found"])
    return {"found": state["found"]}


def about_intel(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """An answer from intelligence; what does not answer says where was looked."""
    desk, asked, found = runtime.context, state["asked"], state["found"]
    if desk.intel is None:
        found.tell("No threat intelligence is loaded.")
        return {"found": found}
    unknown = [name for name in asked.mentions.unknown if is_group_name(name)]
    if unknown and not asked.mentions.subjects:
        found.looked("names of groups and software")
        found.tell(
            f"{' and '.join(shown(name, 40) for name in unknown[:4])}: no group or software that is loaded bears that name."
        )
        return {"found": found}
    INTEL[asked.intent](asked, desk, found)
    if not found.sentences:
        found.tell("Nothing in the intelligence that is loaded answers that.")
    return {"found": found}


def wish(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """A wish becomes a proposal; a decision stays a person's."""
    desk, asked, found = runtime.context, state["asked"], state["found"]
    case = desk.store.case(asked.focus) if asked.focus else None
    if asked.intent == "decide":
        say_decide(asked, desk, case, found)
    elif case is None:
        _which(state["focus"], found)
    else:
        say_wish(asked, desk, case, found)
    return {"found": found}


def decline(state: AskState) -> dict[str, Any]:
    """What is not answered, and why."""
    found, intent = state["found"], state["asked"].intent
    found.answered = intent == "help"
    found.tell(HELP if intent == "help" else FORBIDDEN if intent == "forbidden" else UNKNOWN)
    return {"found": found}


def better(state: AskState, runtime: Runtime[Desk]) -> dict[str, Any]:
    """The language model words the answer, from what it looks up itself besides; where it fails the answer stands."""
    found, asked, desk = state["found"], state["asked"], runtime.context
    worded = word(asked, found, desk)
    if worded.sentences:
        kept = {c: worded.cites[c] for s in worded.sentences for c in s.cites}
        found = Found(
            sentences=list(worded.sentences), cites=kept, proposals=found.proposals, answered=True, memory=found.memory,
            looked_at=found.looked_at | dict.fromkeys(worded.looked_at),
        )  # fmt: skip
    for number, sentence in enumerate(found.sentences):
        hand_on(sentence, found.cites, runtime.stream_writer, first=number == 0)
    return {"found": found, "notes": worded.notes, "model": worded.model if worded.sentences else "embedded"}


def worth_wording(state: AskState, runtime: Runtime[Desk]) -> str:
    """Only with a language model; what is declined or proposed keeps our own words."""
    if runtime.context.llm is None:
        return END
    return "word"


def build_assistant_graph() -> StateGraph[AskState, Desk]:
    """The graph, not yet compiled; invoke it with a question and a `Desk`."""
    builder: StateGraph[AskState, Desk] = StateGraph(AskState, context_schema=Desk)
    nodes: Sequence[tuple[str, Any]] = (
        ("understand", understand), ("case", about_case), ("queue", about_queue), ("intel", about_intel), ("wish", wish),
        ("decline", decline), ("word", better),
    )  # fmt: skip
    for name, node in nodes:
        builder.add_node(name, node)
    builder.add_edge(START, "understand")
    builder.add_conditional_edges("understand", branch, ["case", "queue", "intel", "wish", "decline"])
    for name in ("case", "queue", "intel", "wish", "decline"):
        builder.add_conditional_edges(name, worth_wording, ["word", END])
    builder.add_edge("word", END)
    return builder
