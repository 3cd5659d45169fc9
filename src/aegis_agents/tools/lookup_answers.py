"""What a look-up answers: bounded JSON for a model, and the whole passages beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aegis_agents.records import Passage

if TYPE_CHECKING:
    from aegis_agents.tools.indicator_report import IndicatorReport

Answer = tuple[str, list[Passage]]
"""JSON, and the passages that it tells of."""

MAX_TEXT = 1_200
"""Characters of one passage's text in an answer; the artifact and the store hold all of it."""

MAX_NAME = 300
"""Characters of a title, id or other short text: a feed chooses these too."""


def short(text: str, length: int = MAX_NAME) -> str:
    """At most so many characters; a cut shows as an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def told(passage: Passage) -> dict[str, Any]:
    """A passage as JSON-safe values: what it says, cut to MAX_TEXT, and how far to believe it.

    `cut` is there only where text was left out, and is the number of characters left out.
    """
    said: dict[str, Any] = {
        "id": short(passage.id), "source": passage.source, "title": short(passage.title),
        "text": passage.text[:MAX_TEXT], "score": round(passage.score, 4), "feed": passage.feed,
        "owner": short(passage.owner), "trust": passage.trust, "tlp": passage.tlp,
    }  # fmt: skip
    if (left_out := len(passage.text) - MAX_TEXT) > 0:
        said["cut"] = left_out
    for name in ("observed_at", "fetched_at"):
        if (moment := getattr(passage, name)) is not None:
            said[name] = moment.isoformat()
    return said


def answer(
    passages: Sequence[Passage],
    otherwise: str = "nothing found",
    extra: Sequence[Mapping[str, Any]] = (),
    *,
    note: str = "",
) -> Answer:
    """Passages as an answer; `otherwise` says what finding none means, `note` what finding some does not mean.

    `extra` adds further values to each result, in the same order.
    """
    said = [told(p) | (dict(extra[at]) if extra else {}) for at, p in enumerate(passages)]
    content: dict[str, Any] = {"results": said}
    if remark := (note if said else otherwise):
        content["note"] = remark
    return json.dumps(content, ensure_ascii=False), list(passages)


def indicator_answer(report: IndicatorReport) -> Answer:
    """A report of an indicator as an answer."""
    said = report.model_dump(mode="json", exclude={"passages"})
    return json.dumps(said, ensure_ascii=False), list(report.passages)
