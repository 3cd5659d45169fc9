#!/usr/bin/env python3
"""What to do with each answer, by its outcome: `outcomes.py ANSWERS`, as often as you like; what was done is not done again.

A pattern to copy: put your own steps into the functions of DO. They get ids, names of actions and texts; a text may have been
written by an attacker, so it goes into your systems as data (a JSON field, an argument of an API call) and never into a command line,
a path, an address or a query. How far the answers were followed stands in ANSWERS.done, a number of bytes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Step = Callable[[dict[str, Any], dict[str, Any]], None]


def show(kind: str, case: dict[str, Any], action: dict[str, Any]) -> None:
    """Stands for your step: one line of JSON."""
    ids = {"incident": case["incident_id"], "verdict": case["verdict"], "action": action["action"]}
    print(
        json.dumps(
            {"do": kind} | ids | {"id": action["action_id"], "target": action["target"], "why": action["reason"]}
        )
    )


DO: dict[str, Step] = {
    "executed": lambda case, action: show("note in the ticket: it was done", case, action),
    "awaiting_approval": lambda case, action: show("ask a person: aegis approve ID, or aegis deny ID", case, action),
    "recommended": lambda case, action: show("tell the analyst: it is advised, and not asked for", case, action),
    "refused": lambda case, action: show("note in the ticket: policy forbids it", case, action),
    "would_execute": lambda case, action: show("note in the ticket: shadow mode would do it", case, action),
    "failed": lambda case, action: show("call a person: it did not work", case, action),
    "unconfirmed": lambda case, action: show("call a person: nobody knows whether it worked", case, action),
    "denied": lambda case, action: show("note in the ticket: a person said no", case, action),
    "undone": lambda case, action: show("note in the ticket: it was taken back", case, action),
    "expired": lambda case, action: show("note in the ticket: it lifted itself", case, action),
}
"""Every outcome that an action can have. One that is not here is an error, never passed over."""


def follow(answer: dict[str, Any]) -> None:
    """One answer. Raises KeyError for an outcome that nothing is known of."""
    if "error" in answer:
        print(
            json.dumps({"do": "call a person: an alert can't be read", "why": answer["error"], "line": answer["line"]})
        )
        return
    for action in answer["actions"]:
        DO[action["outcome"]](answer, action)
    if answer["verdict"] == "undetermined":
        print(
            json.dumps({"do": "give it to an analyst: the evidence does not decide", "incident": answer["incident_id"]})
        )


def main(answers: Path) -> None:
    """Follow what is new, and remember how far after each answer."""
    mark = answers.with_name(answers.name + ".done")
    done = int(mark.read_text()) if mark.exists() else 0
    with answers.open("rb") as lines:
        lines.seek(done)
        for line in lines:
            if not line.endswith(b"\n"):
                break  # still being written
            follow(json.loads(line))
            sys.stdout.flush()
            done += len(line)
            written = mark.with_name(mark.name + ".new")
            written.write_text(str(done))
            written.replace(mark)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: outcomes.py ANSWERS")
    main(Path(sys.argv[1]))
