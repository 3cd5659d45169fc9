"""Function fn_aegis_investigate: judge an alert, or the SOAR incident itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilient_circuits import AppFunctionComponent, FunctionResult, app_function

from fn_aegis.lib.aegis_client import AegisClientError
from fn_aegis.lib.alerts import alert_of
from fn_aegis.lib.notes import case_note
from fn_aegis.lib.server import failure, open_client, text_of

PACKAGE_NAME = "fn_aegis"
FN_NAME = "fn_aegis_investigate"


class FunctionComponent(AppFunctionComponent):
    """Component that implements fn_aegis_investigate."""

    def __init__(self, opts: Any) -> None:
        super().__init__(opts, PACKAGE_NAME)

    @app_function(FN_NAME)
    def _app_function(self, fn_inputs: Any) -> Iterator[Any]:
        """Inputs: aegis_alert (JSON text) or aegis_soar_incident_id; aegis_format, aegis_shadow.

        The result's `content` is the case, `content.note` the same as a note, `content.waiting` the actions that wait
        for a person. The same alert again answers its case, and does nothing twice.
        """
        alert: Any = text_of(getattr(fn_inputs, "aegis_alert", None))
        soar_id = getattr(fn_inputs, "aegis_soar_incident_id", None)
        if not alert and soar_id is None:
            raise ValueError("give aegis_alert (JSON text) or aegis_soar_incident_id")
        if not alert:
            yield self.status_message("Reading the incident and its artifacts ...")
            rest, number = self.rest_client(), int(soar_id)
            incident = rest.get(f"/incidents/{number}?handle_format=names&text_content_output_format=always_text")
            alert = alert_of(incident, rest.get(f"/incidents/{number}/artifacts?handle_format=names"))
        yield self.status_message("Asking Aegis ...")
        try:
            with open_client(self.app_configs) as client:
                case: dict[str, Any] = dict(
                    client.investigate(
                        alert,
                        format=text_of(getattr(fn_inputs, "aegis_format", None)) or None,
                        shadow=bool(getattr(fn_inputs, "aegis_shadow", False)),
                    )
                )
        except AegisClientError as error:
            yield FunctionResult(failure(error), success=False, reason=str(error))
            return
        waiting = [action for action in case["actions"] if action["outcome"] == "awaiting_approval"]
        yield self.status_message(f"{case['verdict']}; {len(waiting)} action(s) wait for a person")
        yield FunctionResult(case | {"waiting": waiting, "note": case_note(case)})
