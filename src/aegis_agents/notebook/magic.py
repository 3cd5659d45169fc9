"""The magic %aegis. It adds one name to the shell, reads the variables it is given, and sets none."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any, NamedTuple

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class

from aegis_agents import display
from aegis_agents.aegis import Aegis
from aegis_agents.errors import AegisError
from aegis_agents.notebook.shown import Shown
from aegis_agents.notebook.waiting_rows import MOST_SHOWN, approval_rows

USAGE = """%aegis investigate FILE|VARIABLE [--format NAME]   judge an alert; also %%aegis with the alert in the cell
%aegis case ID                                    show a case
%aegis approvals                                  what waits for a person
%aegis ask QUESTION                               ask about the cases in plain language
%aegis verify                                     check the ledger
With any of them: --shadow (decide, touch nothing), --use NAME (your own Aegis, a variable)."""


class Asked(NamedTuple):
    """A command line, taken apart."""

    command: str
    words: list[str]
    shadow: bool
    format: str | None
    use: str | None


@magics_class
class AegisMagics(Magics):  # type: ignore[misc,unused-ignore]  # IPython's decorators are not all typed
    """%aegis and %%aegis. It opens an Aegis with the settings of the environment when first asked, one more for --shadow."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._opened: dict[bool, Aegis] = {}

    def close(self) -> None:
        """Close what was opened here."""
        while self._opened:
            self._opened.popitem()[1].close()

    @line_cell_magic  # type: ignore[untyped-decorator,unused-ignore]
    def aegis(self, line: str, cell: str | None = None) -> Any:
        """Investigate alerts and look after what came of them; `%aegis` alone says how."""
        try:
            asked = _read(line, cell is not None)
        except ValueError as error:
            raise UsageError(f"%aegis: {error}\n{USAGE}") from None
        if asked.command == "help":
            return Shown("<pre>" + display.text(USAGE) + "</pre>", USAGE)
        try:
            return self._answer(asked, cell)
        except AegisError as error:
            raise UsageError(f"%aegis {asked.command}: {display.visible(str(error))}") from None

    def _answer(self, asked: Asked, cell: str | None) -> Any:
        aegis = self._aegis(asked)
        if asked.command == "investigate":
            alert = cell if cell is not None else self._alert(asked.words)
            return aegis.investigate(alert, format=asked.format)
        if asked.command == "case":
            return aegis.case(_one(asked, "a case's id"))
        if asked.command == "approvals":
            waiting = aegis.pending()
            rows = approval_rows(aegis, waiting[:MOST_SHOWN])
            lines = [f"{r['action_id']}  {r['action']}  {display.fit(r['target']['value'], 60)}" for r in rows]
            more = [f"{len(waiting) - MOST_SHOWN} more are not shown"] if len(waiting) > MOST_SHOWN else []
            shown = display.approvals_html(rows) + "".join(f"<p>{display.text(m)}</p>" for m in more)
            return Shown(shown, "\n".join([*lines, *more]) or "nothing waits for a person")
        if asked.command == "verify":
            found = aegis.store.verify().model_dump(mode="json")
            return Shown(display.verification_html(found), display.verification_text(found))
        return aegis.ask(" ".join([*asked.words, *(cell or "").split()]))  # type: ignore[attr-defined,unused-ignore]

    def _aegis(self, asked: Asked) -> Aegis:
        if asked.use is not None:
            own = self.shell.user_ns.get(asked.use)  # type: ignore[union-attr,unused-ignore]
            if not isinstance(own, Aegis):
                raise UsageError(f"--use {asked.use}: no variable of this name holds an Aegis")
            if asked.shadow and own.settings.mode != "shadow":
                raise UsageError(f"--shadow: {asked.use} is live; make one with Aegis(mode='shadow')")
            return own
        if asked.shadow not in self._opened:
            self._opened[asked.shadow] = Aegis(mode="shadow") if asked.shadow else Aegis()
        return self._opened[asked.shadow]

    def _alert(self, words: list[str]) -> Any:
        if len(words) != 1:
            raise UsageError(f"%aegis investigate: give one file or variable\n{USAGE}")
        name = words[0]
        held = self.shell.user_ns  # type: ignore[union-attr,unused-ignore]
        if name.isidentifier() and name in held:
            return held[name]
        return Path(name).expanduser()


_COMMANDS = ("investigate", "case", "approvals", "ask", "verify", "help")


def _read(line: str, in_cell: bool) -> Asked:
    """Take a line apart. Raises ValueError saying what is wrong with it."""
    # A question is prose: its quotes, apostrophes and dashes are its own.
    words = line.split() if "ask" in line.split()[:4] else shlex.split(line)
    rest: list[str] = []
    shadow, named = False, {"--format": None, "--use": None}
    while words:
        word = words.pop(0)
        if len(rest) > 1 and rest[0] == "ask":
            rest.append(word)
        elif word == "--shadow":
            shadow = True
        elif word in named:
            if not words:
                raise ValueError(f"{word} needs a name")
            named[word] = words.pop(0)  # type: ignore[assignment]
        elif word.startswith("--"):
            raise ValueError(f"no option {word}")
        else:
            rest.append(word)
    command = rest.pop(0) if rest else "investigate" if in_cell else "help"
    if command not in _COMMANDS:
        raise ValueError(f"no command {command!r}")
    return Asked(command, rest, shadow, named["--format"], named["--use"])


def _one(asked: Asked, what: str) -> str:
    if len(asked.words) != 1:
        raise UsageError(f"%aegis {asked.command}: give {what}")
    return asked.words[0]
