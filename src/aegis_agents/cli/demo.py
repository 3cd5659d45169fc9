"""`aegis demo`: five alerts of five products through the real thing, in a state that is thrown away."""

from __future__ import annotations

import tempfile
import time
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from aegis_agents.aegis import Aegis
from aegis_agents.cli.render import show_case, show_pending
from aegis_agents.cli.spoken import shown
from aegis_agents.settings import load_settings, only

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_STORIES = {
    "1_attack": "An attack that the product rated Low",
    "2_authorised": "The same kind of thing, authorised, that the product rated Critical",
    "3_wrong_detection": "A wrong detection",
    "4_unclear": "One where the evidence does not decide",
    "5_injection": "An attack whose command line tells the AI to stand down",
}


def _language(console: Console) -> BaseChatModel | None:
    """The small language model where `aegis model setup` has brought it."""
    from aegis_agents.model.language.base import is_set_up
    from aegis_agents.model.language.endpoint import Wanted, open_language

    home = load_settings().home
    if not is_set_up(home) or not all(map(find_spec, ("torch", "transformers", "peft", "llguidance"))):
        console.print("No language model is set up (make llm): the unclear case is worded by rules.")
        return None
    console.print("The language model is set up: it words the unclear case, and decides nothing.")
    return open_language(Wanted("local", seconds=60.0), home)


def run_demo(console: Console) -> None:
    """Investigate, show what waits, approve one action, verify the ledger."""
    folder = resources.files("aegis_agents.cli") / "demo_alerts"
    with tempfile.TemporaryDirectory(prefix="aegis-demo-") as home:
        started = time.perf_counter()
        console.print("Loading the model and building the intelligence index (once) ...")
        # Not the environment's settings: it may name a database, connectors or a webhook that are real.
        settings = only(home=Path(home), tenant="demo", llm_seconds=60.0)
        with Aegis(settings=settings, llm=_language(console)) as aegis:
            _ = aegis.graph, aegis.context
            console.print(f"ready in {time.perf_counter() - started:.1f} s: {aegis.context.model.version}\n")
            for name, story in _STORIES.items():
                console.rule(Text(story), align="left")
                case = aegis.investigate((folder / f"{name}.json").read_text("utf-8"))
                show_case(console, case)
                if name == "4_unclear":
                    console.print(Text(f"in words: {case.summary}"))
            waiting = aegis.pending()
            console.rule(Text(f"{len(waiting)} actions wait for a person"), align="left")
            show_pending(console, waiting)
            if waiting:
                # One that the embedded outbox can do; blocking and isolating need a connector of yours.
                chosen = next((row for row in waiting if row.proposal.action == "close_alert"), waiting[0])
                console.rule(Text("A person approves one; the others go on waiting"), align="left")
                answer = aegis.approve(chosen.action_id, by="demo-analyst", reason="shown in the demo")
                console.print(Text(f"{answer.action} {answer.target.value}: {answer.outcome}"))
                console.print(
                    Text("Without a connector it went to the outbox, as " + shown(answer.detail), style="dim")
                )
                console.print(f"{len(aegis.pending())} still wait")
            console.rule(Text("What was decided and done, provably"), align="left")
            found = aegis.store.verify()
            console.print(f"ledger whole: {found.entries} entries, head {found.head[:16]}…")
            console.print("This state is thrown away now. Your own alerts: aegis investigate FILE --shadow")
