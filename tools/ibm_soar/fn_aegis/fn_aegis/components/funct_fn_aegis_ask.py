"""Function fn_aegis_ask: a question in plain language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from resilient_circuits import AppFunctionComponent, FunctionResult, app_function

from fn_aegis.lib.aegis_client import AegisClientError
from fn_aegis.lib.notes import answer_note
from fn_aegis.lib.server import failure, open_client, text_of

PACKAGE_NAME = "fn_aegis"
FN_NAME = "fn_aegis_ask"


class FunctionComponent(AppFunctionComponent):
    """Component that implements fn_aegis_ask."""

    def __init__(self, opts: Any) -> None:
        super().__init__(opts, PACKAGE_NAME)

    @app_function(FN_NAME)
    def _app_function(self, fn_inputs: Any) -> Iterator[Any]:
        """Inputs: aegis_question; aegis_incident_id. The result's `content` is the answer; it never acts."""
        question = text_of(getattr(fn_inputs, "aegis_question", None))
        if not question:
            raise ValueError("aegis_question: is empty")
        incident_id = text_of(getattr(fn_inputs, "aegis_incident_id", None)) or None
        yield self.status_message("Asking Aegis ...")
        try:
            with open_client(self.app_configs) as client:
                answer = dict(client.ask(question, incident_id))
        except AegisClientError as error:
            yield FunctionResult(failure(error), success=False, reason=str(error))
            return
        yield FunctionResult(answer | {"note": answer_note(answer)})
