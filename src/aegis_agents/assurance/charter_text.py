"""The charter as text for people: each question, its answers, and where each was read from."""

from __future__ import annotations

import textwrap
from itertools import zip_longest

from aegis_agents.assurance.charter import Charter

_WIDTH = 110


def to_text(charter: Charter) -> str:
    """Plain text, wrapped; nothing in it is markup."""
    lines = [
        f"Charter of Aegis {charter.version} on {charter.home}",
        f"as of {charter.at.isoformat(timespec='seconds')}",
    ]
    for number, answer in enumerate(charter.answers, 1):
        lines += ["", f"{number}. {answer.question}"]
        for line, following in zip_longest(answer.lines, answer.lines[1:]):
            # Lines that were read from one place name it once, at their end.
            same = following is not None and following.source == line.source
            said = line.text if same else f"{line.text}  [{line.source}]"
            lines += textwrap.wrap(
                said, _WIDTH, initial_indent="   - ", subsequent_indent="     ", break_on_hyphens=False
            )
    return "\n".join(lines)
