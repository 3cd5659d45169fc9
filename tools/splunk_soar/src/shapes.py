"""What the actions take and give: parameters, outputs and summaries, as the platform shows them."""

from soar_sdk.action_results import ActionOutput, OutputField
from soar_sdk.params import Param, Params

INCIDENT = ["aegis incident id"]
ACTION = ["aegis action id"]


class AlertParams(Params):
    """What to investigate."""

    alert: str | None = Param(
        description="The alert as its product wrote it (a JSON object). Empty: this container and its artifacts",
        required=False,
    )
    format: str | None = Param(description="Name of the product's format; empty: it is detected", required=False)
    shadow: bool = Param(description="Decide as if live and touch nothing", required=False, default=False)


class IncidentParams(Params):
    """Which case."""

    incident_id: str = Param(description="Id of the incident", primary=True, cef_types=INCIDENT)


class ActionParams(Params):
    """Which action, and why."""

    action_id: str = Param(description="Id of the action", primary=True, cef_types=ACTION)
    reason: str | None = Param(description="Why; it is kept in the ledger", required=False)


class LimitParams(Params):
    """How many."""

    limit: int = Param(description="How many at most, the oldest first", required=False, default=100)


class AskParams(Params):
    """A question."""

    question: str = Param(description="A question in plain language")
    incident_id: str | None = Param(
        description="The incident that it is about", required=False, primary=True, cef_types=INCIDENT
    )


class TargetOutput(ActionOutput):
    """What an action aims at."""

    kind: str = OutputField(example_values=["host"])
    value: str = OutputField(example_values=["wks-042"])


class ActionRow(ActionOutput):
    """An action of a case."""

    action_id: str = OutputField(cef_types=ACTION, example_values=["act-0123456789abcdef"], column_name="Action id")
    action: str = OutputField(example_values=["isolate_host"], column_name="Action")
    target: TargetOutput
    outcome: str = OutputField(example_values=["executed", "awaiting_approval"], column_name="Outcome")
    rule: str = OutputField(example_values=["autonomy.ask"])
    reason: str = OutputField(example_values=["the host talks to a command and control server [f1]"])
    reversible: bool
    by: str | None = OutputField(example_values=["token:soar"])
    detail: str | None = OutputField(example_values=[""])


class EvidenceRow(ActionOutput):
    """A fact of the alert or a passage of intelligence that decided."""

    id: str = OutputField(example_values=["f1"])
    kind: str = OutputField(example_values=["fact", "passage"])
    where: str = OutputField(example_values=["process.command_line", "attack"])
    text: str = OutputField(example_values=["rundll32 comsvcs.dll, MiniDump"])
    weight: float = OutputField(example_values=[2.1])


class CaseOutput(ActionOutput):
    """A case: verdict, evidence, actions."""

    incident_id: str = OutputField(cef_types=INCIDENT, example_values=["inc-0123456789abcdef0123"])
    title: str = OutputField(example_values=["Beacon"])
    source: str = OutputField(example_values=["sentinel"])
    verdict: str = OutputField(example_values=["true_positive", "benign_positive", "false_positive", "undetermined"])
    confidence: float = OutputField(example_values=[0.97])
    severity: str = OutputField(example_values=["high"])
    techniques: list[str] = OutputField(example_values=["T1071.001"])
    summary: str = OutputField(example_values=["A known command and control server was contacted [f1]."])
    evidence: list[EvidenceRow]
    actions: list[ActionRow]
    notes: list[str] = OutputField(example_values=[""])


class CaseSummary(ActionOutput):
    """A case in short."""

    verdict: str = OutputField(example_values=["true_positive"])
    confidence: float = OutputField(example_values=[0.97])
    severity: str = OutputField(example_values=["high"])
    executed: int = OutputField(example_values=[1])
    waiting: int = OutputField(example_values=[1])


class ApprovalOutput(ActionOutput):
    """An action that waits for a person."""

    action_id: str = OutputField(cef_types=ACTION, example_values=["act-0123456789abcdef"], column_name="Action id")
    incident_id: str = OutputField(
        cef_types=INCIDENT, example_values=["inc-0123456789abcdef0123"], column_name="Incident id"
    )
    action: str = OutputField(example_values=["isolate_host"], column_name="Action")
    target: TargetOutput
    title: str = OutputField(example_values=["Beacon"], column_name="Incident")
    verdict: str | None = OutputField(example_values=["true_positive"], column_name="Verdict")
    confidence: float | None = OutputField(example_values=[0.97])
    why_waiting: str = OutputField(example_values=["autonomy is ask"], column_name="Why it waits")
    reason: str = OutputField(example_values=["the host talks to a command and control server [f1]"])
    rule: str = OutputField(example_values=["autonomy.ask"])
    effect: str = OutputField(example_values=["contain"])
    reversible: bool
    undo: str | None = OutputField(example_values=["release_host"])
    asked_at: str = OutputField(example_values=["2026-11-26T09:00:00Z"])
    expires_at: str | None = OutputField(example_values=["2026-11-26T13:00:00Z"])


class ApprovalsSummary(ActionOutput):
    """How many wait, those beyond the limit too."""

    waiting: int = OutputField(example_values=[3])


class CiteOutput(ActionOutput):
    """What a sentence rests on."""

    id: str = OutputField(example_values=["f1"])
    kind: str | None = OutputField(example_values=["fact"])
    text: str = OutputField(example_values=["process.command_line: ..."])


class AnswerOutput(ActionOutput):
    """The assistant's answer."""

    text: str = OutputField(example_values=["It was closed because ... [f1]"], column_name="Answer")
    answered: bool
    model: str = OutputField(example_values=["embedded"], column_name="Model")
    cites: list[CiteOutput]
