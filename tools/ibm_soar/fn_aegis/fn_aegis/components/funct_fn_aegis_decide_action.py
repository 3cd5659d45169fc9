"""Function fn_aegis_decide_action: approve, deny, undo or keep an action."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilient_circuits import AppFunctionComponent, FunctionResult, app_function

from fn_aegis.lib.aegis_client import AegisClientError
from fn_aegis.lib.notes import action_note
from fn_aegis.lib.server import action_id_of, failure, open_client, reason_of, text_of

PACKAGE_NAME = "fn_aegis"
FN_NAME = "fn_aegis_decide_action"
DECISIONS = ("approve", "deny", "undo", "keep")


class FunctionComponent(AppFunctionComponent):
    """Component that implements fn_aegis_decide_action."""

    def __init__(self, opts: Any) -> None:
        super().__init__(opts, PACKAGE_NAME)

    @app_function(FN_NAME)
    def _app_function(self, fn_inputs: Any) -> Iterator[Any]:
        """Inputs: aegis_action_id, aegis_decision; aegis_incident_id, aegis_reason.

        Where aegis_incident_id is given, an action of another incident is refused before anything is said of it. Somebody
        else having answered first is no success: `content.error.kind` is AlreadyDecided.
        """
        action_id = action_id_of(getattr(fn_inputs, "aegis_action_id", None))
        decision = text_of(getattr(fn_inputs, "aegis_decision", None))
        if decision not in DECISIONS:
            raise ValueError(f"aegis_decision: must be one of {', '.join(DECISIONS)}")
        incident_id = text_of(getattr(fn_inputs, "aegis_incident_id", None))
        reason = reason_of(getattr(fn_inputs, "aegis_reason", None), self.get_fn_msg())
        yield self.status_message(f"Telling Aegis to {decision} {action_id} ...")
        try:
            with open_client(self.app_configs) as client:
                if incident_id and (of := client.action(action_id)["incident_id"]) != incident_id:
                    raise ValueError(f"{action_id} is an action of {of}, not of {incident_id}")
                report = dict(getattr(client, decision)(action_id, reason))
        except AegisClientError as error:
            yield FunctionResult(failure(error), success=False, reason=str(error))
            return
        yield self.status_message(f"{action_id}: {report['outcome']}")
        yield FunctionResult(report | {"note": action_note(report)})
