"""The rails as guardrails-ai Validators, run at the action boundary.

The validators are registered and built once, when the first action that could be
executed or asked about arrives, since importing guardrails takes seconds. They are
called by `Validator.validate` and not through a `Guard`, on purpose: a Guard of
these costs 1.1 ms a call against 0.01 ms; inside a running event loop it hands one
validator's result metadata to the next as if it were the caller's; it makes an
event loop in every worker thread; it keeps the last calls' texts; and each new one
turns its telemetry on again. What a Guard would add, correcting a value and asking
again, has no place at a gate.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from aegis_agents.gate.request import GateRequest, Ruling, allow
from aegis_agents.gate.validators import RAILS

if TYPE_CHECKING:
    from aegis_agents.gate.context import GateContext, Step


class _Loaded(NamedTuple):
    """What is needed of guardrails once it is imported."""

    rails: Mapping[str, Any]
    extra: Mapping[str, Any]
    passed: type[Any]
    failed: type[Any]


class GuardrailRunner:
    """Runs the shipped rails, and validators of the user's own, on one proposed action.

    `extra` holds guardrails-ai Validator instances. Each gets the proposed action as
    JSON text and {"request", "context"} as metadata; whatever it is built to do on
    failure, failing refuses. Nothing is corrected and nothing is asked again.
    """

    def __init__(self, extra: Sequence[Any] = ()) -> None:
        self._extra = tuple(extra)
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def run(self, request: GateRequest, context: GateContext) -> dict[str, Ruling]:
        """Each rail's ruling by its name, the user's validators last. A rail that raises refuses."""
        loaded = self._load()
        text = request.action.model_dump_json()
        rulings = {
            name: crash_refuses(name, partial(self._rail, loaded, name, text, request, context))
            for name in loaded.rails
        }
        for name in loaded.extra:
            rulings[name] = crash_refuses(name, partial(self._foreign, loaded, name, text, request, context))
        return rulings

    def _rail(self, loaded: _Loaded, name: str, text: str, request: GateRequest, context: GateContext) -> Ruling:
        given: dict[str, Ruling] = {}
        metadata = {"request": request, "context": context, "given": given}
        return _as_ruling(loaded, name, loaded.rails[name].validate(text, metadata), given)

    def _foreign(self, loaded: _Loaded, name: str, text: str, request: GateRequest, context: GateContext) -> Ruling:
        result = loaded.extra[name].validate(text, {"request": request, "context": context})
        if isinstance(result, loaded.passed):
            return allow(f"{name}.passed")
        if isinstance(result, loaded.failed):
            return Ruling("refuse", f"{name}.failed", str(result.error_message))
        return Ruling("refuse", f"{name}.unclear", "the validator neither passed nor failed")

    def _load(self) -> _Loaded:
        with self._lock:
            if self._loaded is None:
                self._loaded = _load(self._extra)
            return self._loaded


def crash_refuses(name: str, step: Callable[[], Ruling]) -> Ruling:
    """The step's ruling; a refusal when it raises, or answers something else."""
    try:
        ruling = step()
    except Exception as error:  # noqa: BLE001  # whatever went wrong: what can't be checked is not done
        return Ruling("refuse", f"{name}.crashed", f"the check failed with {type(error).__name__}, so nothing is done")
    if not isinstance(ruling, Ruling):
        return Ruling("refuse", f"{name}.crashed", "the check gave no ruling, so nothing is done")
    return ruling


def _as_ruling(loaded: _Loaded, name: str, result: object, given: Mapping[str, Ruling]) -> Ruling:
    """The ruling that a rail's validator left; a refusal when it does not agree with the validator's result."""
    ruling = given.get(name)
    if ruling is not None and isinstance(result, loaded.passed if ruling.ceiling == "execute" else loaded.failed):
        return ruling
    return Ruling("refuse", f"{name}.unclear", "the validator's result and its ruling disagree")


def silence() -> None:
    """Stop guardrails from sending anything: its own exporter, and spans to sinks set up elsewhere."""
    with warnings.catch_warnings():
        # Importing guardrails imports its command line, which uses what typer and click deprecate.
        warnings.simplefilter("ignore", DeprecationWarning)
        import guardrails
        from guardrails.utils.hub_telemetry_utils import HubTelemetry

    guardrails.settings.disable_tracing = True
    guardrails.settings.rc.enable_metrics = False
    telemetry = HubTelemetry(enabled=False)
    telemetry._enabled = False
    telemetry._tracer = None
    telemetry._tracer_provider.shutdown()


def _load(extra: Sequence[Any]) -> _Loaded:
    silence()
    from guardrails import OnFailAction
    from guardrails.validator_base import FailResult, PassResult, Validator, register_validator

    def build(name: str, check: Step) -> Any:
        class Rail(Validator):  # type: ignore[misc]
            """One rail, as guardrails sees it."""

            def _validate(self, value: Any, metadata: dict[str, Any]) -> Any:
                ruling = check(metadata["request"], metadata["context"])
                metadata["given"][name] = ruling
                # The ruling goes out by the caller's dict: metadata in a result would replace the caller's.
                return PassResult() if ruling.ceiling == "execute" else FailResult(error_message=ruling.reason)

        rail = register_validator(name=f"aegis/{name}", data_type="string")(Rail)
        return rail(on_fail=OnFailAction.NOOP)

    for validator in extra:
        if not isinstance(validator, Validator):
            raise TypeError(f"validators: {type(validator).__name__} is no guardrails-ai Validator instance")
    return _Loaded(
        rails={name: build(name, check) for name, check in RAILS.items()},
        extra={f"validator.{number}.{item.rail_alias}": item for number, item in enumerate(extra)},
        passed=PassResult,
        failed=FailResult,
    )
