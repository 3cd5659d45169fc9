"""Ask in plain language; every sentence of an answer cites. Read: assistant, graph, then one kind of answer a module.

examples, concepts, mentions, route and settling say what is asked; focus which case; about_case, about_actions, turning,
about_queue and about_intel answer; wishes and proposing turn a wish into a proposal; worded and tools are for a language
model; reading is all that any of them can reach.
"""

from aegis_agents.assistant.assistant import Assistant
from aegis_agents.assistant.proposing import dry_decision, propose
from aegis_agents.assistant.records import Answer, Cite, Event, Proposal

__all__ = ["Answer", "Assistant", "Cite", "Event", "Proposal", "dry_decision", "propose"]
