"""The response-action catalogue as documents."""

from __future__ import annotations

from aegis_agents.intel.documents import ACTION_LICENCE, Document
from aegis_agents.intel.uses import USES
from aegis_agents.records import CATALOGUE, ActionSpec


def action_documents() -> list[Document]:
    """One document for each action; its RE&CT and D3FEND ids find it too."""
    return [_document(spec) for spec in CATALOGUE.values()]


def _document(spec: ActionSpec) -> Document:
    title = spec.name.replace("_", " ").capitalize()
    undo = f"Undone by {spec.undo}." if spec.reversible else "Can't be undone."
    standards = f"RE&CT {spec.react}" + (f", D3FEND {spec.d3fend}." if spec.d3fend else ".")
    about = f"{title}. {spec.about} {' '.join(USES[spec.name])} Targets: {', '.join(spec.targets)}."
    return Document(
        corpus="action", id=spec.name, title=title, licence=ACTION_LICENCE,
        text=f"{about} Effect: {spec.effect}. {undo} {standards}",
        aliases=(spec.react, *((spec.d3fend,) if spec.d3fend else ())),
        embedding_text=about,
    )  # fmt: skip
