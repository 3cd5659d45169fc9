"""Approving with buttons: what waits for a person, and their answers, in a notebook.

Who answers is established as everywhere (Aegis.approve): a token, typed here and kept in no output, or else the
account that the kernel runs as. Nothing is answered by loading a notebook: a button needs a living kernel.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aegis_agents import display
from aegis_agents.errors import ActionError, AegisError, AlreadyDecided, InputError
from aegis_agents.notebook.waiting_rows import MOST_SHOWN, approval_rows

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis


def approvals(aegis: Aegis, *, by: str | None = None) -> ApprovalsPanel:
    """A panel of what waits: approve, deny with a reason, undo. `by` is what is noted beside the account's name.

    Raises InputError without ipywidgets.
    """
    return ApprovalsPanel(aegis, by=by)


class ApprovalsPanel:
    """The panel; `widget` is what is shown. `refresh` reads the journal anew, for another's answers."""

    def __init__(self, aegis: Aegis, *, by: str | None = None) -> None:
        try:
            ipywidgets: Any = import_module("ipywidgets")
        except ModuleNotFoundError as error:
            raise InputError(
                f"{error.name} is not installed", field="notebook", fix='pip install "aegis-soc-agents[notebook]"'
            ) from error
        self._w: Any = ipywidgets
        self._aegis, self._by = aegis, by
        self.token = ipywidgets.Password(placeholder="token (else your account)", description="Who:")
        again = ipywidgets.Button(description="Read again", icon="refresh", tooltip="Look for other people's answers")
        again.on_click(lambda _: self.refresh())
        self._count, self._rows, self.said = ipywidgets.HTML(), ipywidgets.VBox(), ipywidgets.HTML()
        self._style = ipywidgets.HTML(f"<style>{display.css()}</style>")
        top = ipywidgets.HBox([self.token, again, self._count])
        self.widget = ipywidgets.VBox([self._style, top, self.said, self._rows])
        self.widget.add_class("aegis")
        self.cards: dict[str, Card] = {}
        self.refresh()

    def refresh(self) -> None:
        """Show what waits now; what was answered here stays, to be taken back."""
        waiting = self._aegis.pending()
        ids = {row.action_id for row in waiting}
        for action_id, card in self.cards.items():
            if action_id not in ids and not card.answered:
                card.decided_elsewhere()
        new = [row for row in waiting[:MOST_SHOWN] if row.action_id not in self.cards]
        for about in approval_rows(self._aegis, new):
            self.cards[about["action_id"]] = Card(self, about)
        waits = len(waiting)
        more = f", the first {MOST_SHOWN} are shown" if waits > MOST_SHOWN else ""
        self._count.value = str(
            display.el("span", f"{waits} action{'s' * (waits != 1)} wait{'s' * (waits == 1)}{more}")
        )
        self._rows.children = tuple(card.widget for card in self.cards.values())

    def tell(self, said: str, *, bad: bool = False) -> None:
        """Say what came of an answer, above the list."""
        self.said.value = str(display.el("span", said, class_="aegis-bad" if bad else "aegis-ok"))

    def who(self) -> dict[str, Any]:
        """How the person is named to Aegis."""
        token = self.token.value.strip()
        return {"token": token} if token else {"by": self._by} if self._by else {}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        waiting = self._aegis.pending()
        table = display.approvals_html(approval_rows(self._aegis, waiting[:MOST_SHOWN]))
        more = f"<p>{len(waiting) - MOST_SHOWN} more are not shown.</p>" if len(waiting) > MOST_SHOWN else ""
        still = {"text/html": display.notebook(table + more), "text/plain": f"{len(waiting)} actions wait"}
        live = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        return {**(live[0] if isinstance(live, tuple) else live), **still}  # where there are no widgets: a table


class Card:
    """One action and its buttons."""

    def __init__(self, panel: ApprovalsPanel, row: dict[str, Any]) -> None:
        w = panel._w
        self._panel, self._aegis, self.action_id = panel, panel._aegis, row["action_id"]
        self.answered, self.said = False, ""
        self.about = w.HTML(_about(row))
        self.reason = w.Text(placeholder="reason (needed to deny)", layout=w.Layout(width="20rem"))
        self.approve = w.Button(description="Approve", button_style="success", icon="check")
        self.deny = w.Button(description="Deny", button_style="warning", icon="times")
        self.undo = w.Button(description="Undo", icon="undo", disabled=True)
        self.state = w.HTML()
        for button, act in ((self.approve, self._approve), (self.deny, self._deny), (self.undo, self._undo)):
            button.on_click(lambda _, act=act: self._try(act))
        self.widget = w.VBox([self.about, w.HBox([self.approve, self.deny, self.undo, self.reason]), self.state])
        self.widget.add_class("aegis-case")

    def decided_elsewhere(self) -> None:
        """Another person or process answered, or a timer did: say what became of it, and offer what is left."""
        report = self._aegis.store.action(self.action_id).report()
        self._settle(report.outcome, f"decided elsewhere{f' by {report.by}' if report.by else ''}", report.reversible)

    def _approve(self) -> None:
        report = self._aegis.approve(self.action_id, reason=self.reason.value, **self._panel.who())
        if report.outcome == "awaiting_approval":
            self._say(f"your approval is noted; {report.reason}", "open")
            return
        self._settle(report.outcome, report.detail, report.reversible)

    def _deny(self) -> None:
        if not self.reason.value.strip():
            raise ActionError("reason: say why, so that the next person knows")
        report = self._aegis.deny(self.action_id, reason=self.reason.value, **self._panel.who())
        self._settle(report.outcome, self.reason.value, False)

    def _undo(self) -> None:
        report = self._aegis.undo(self.action_id, reason=self.reason.value, **self._panel.who())
        self._settle(report.outcome, report.detail, False)

    def _try(self, act: Any) -> None:
        """Do it, with the buttons shut meanwhile; what goes wrong is said, and nothing is taken as done."""
        shut = (self.approve.disabled, self.deny.disabled, self.undo.disabled)
        self.approve.disabled = self.deny.disabled = self.undo.disabled = True
        try:
            act()
        except AlreadyDecided:
            self.decided_elsewhere()
            self._panel.tell(f"{self.action_id}: somebody else answered first", bad=True)
        except AegisError as error:
            self.approve.disabled, self.deny.disabled, self.undo.disabled = shut
            self._say(str(error), "attack")
            self._panel.tell(f"{self.action_id}: {error}", bad=True)
        else:
            if not self.answered:
                self.approve.disabled, self.deny.disabled, self.undo.disabled = shut
            self._panel.tell(f"{self.action_id}: {self._aegis.store.action(self.action_id).outcome}")
            self._panel.refresh()

    def _settle(self, outcome: str, detail: str, reversible: bool) -> None:
        self.answered = True
        self.approve.disabled = self.deny.disabled = True
        self.undo.disabled = not (reversible and outcome in ("executed", "unconfirmed"))
        said, tone = display.outcome_of({"outcome": outcome})
        self._say(f"{said}{f': {detail}' if detail else ''}", tone)

    def _say(self, said: str, tone: str) -> None:
        self.said = said
        self.state.value = str(display.el("span", said, class_=f"aegis-badge aegis-{tone}"))


def _about(row: dict[str, Any]) -> str:
    target = row["target"]
    undo = f"undo: {row['undo']}" if row["undo"] else "can't be undone"
    cites = [display.el("div", f"{c['id']}  {c['text']}", class_="aegis-sub") for c in row["cites"][:6]]
    return str(display.join([
        display.el("h3", f"{row['action']} ", display.el("span", display.text(target["value"], 300), class_="aegis-value"), class_="aegis-title"),
        display.el("div", f"{target['kind']} · {undo} · {row['action_id']} · {row['title']}", class_="aegis-about"),
        display.el("div", row["reason"]), *cites,
        display.el("div", f"waits: {row['why_waiting']} ({row['rule']})", class_="aegis-sub"),
    ]))  # fmt: skip
