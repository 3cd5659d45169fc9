"""The gate: may this action be done, by whom, and which rule says so.

Deny by default. Every step can only lower what is allowed, and all are asked, so
that a decision shows each answer. Its rule is that of the first step, in the order
below, that allows the least.

    kill switch → input rails → grounding rails → action rails → Cedar policy → caution →
    autonomy → risk bound → cost → counterfactual → budget → kill switch again

DESIGN section 7 has the kill switch last; it is looked at first as well, so that
engaging it also stops what is being decided at that moment. Signs of an injection ask a
person, but where the counterfactual check was asked and held: without any of that text
the same would be done, and the decision notes them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from aegis_agents.errors import SettingsError
from aegis_agents.gate import autonomy as autonomy_step
from aegis_agents.gate import budget, caution, cedar, cost, counterfactual, killswitch
from aegis_agents.gate import risk as risk_step
from aegis_agents.gate.assets import AssetFacts, AssetRegister
from aegis_agents.gate.autonomy import AutonomyMatrix, check_level
from aegis_agents.gate.budget import BudgetLimits
from aegis_agents.gate.cedar import CedarPolicy
from aegis_agents.gate.context import GateContext, GateSettings, Step
from aegis_agents.gate.cost_model import CostModel
from aegis_agents.gate.cost_order import Pricer
from aegis_agents.gate.request import GateRequest, Number, Ruling, Verb, allow, class_of, lowest
from aegis_agents.gate.risk import RiskTable
from aegis_agents.gate.validators import RAILS, injection_signs
from aegis_agents.gate.validators.runner import GuardrailRunner, crash_refuses
from aegis_agents.records import CATALOGUE, Assessment, Decision, Incident

Mode = Literal["live", "shadow"]

_AFTER_RAILS: Final[Mapping[str, Step]] = {
    "policy": cedar.check,
    "caution": caution.check,
    "autonomy": autonomy_step.check,
    "risk": risk_step.check,
    "cost": cost.check,
    "budget": budget.check,
}
_ORDER: Final = (
    "gate", "asset", "kill_switch", "rails", *RAILS, "policy", "caution", "autonomy", "risk", "cost", "counterfactual",
    "budget", "kill_switch_again",
)  # fmt: skip
"""The order in which the first lowest answer gives the rule; the user's own validators come before all."""
_TECHNIQUE = re.compile(r"T\d{4}(?:\.\d{3})?")


def looks_like_technique(technique: str) -> bool:
    """Whether it has the form of an ATT&CK id; the check where no ATT&CK is loaded."""
    return _TECHNIQUE.fullmatch(technique) is not None


class Gate:
    """Decides over proposed actions. Safe to share between threads; settings are checked when it is built.

    policy           a Cedar file whose rules are added to the shipped ones
    autonomy         the most that any cell of the matrix allows
    matrix           cells of action class or action by asset tier (mapping or TOML file)
    risk             least confidence per action class (see threshold_from_scores)
    costs            what being wrong costs (mapping or TOML file; the shipped table otherwise)
    budgets          limits an hour (see BudgetLimits)
    kill_switch      a file whose presence stops everything but records
    assets           the customer's assets, networks and windows (mapping or TOML file)
    is_technique     whether an ATT&CK id exists
    validators       guardrails-ai Validator instances of your own; failing refuses
    mode             "shadow" decides exactly as "live"; who asks then touches nothing
    counterfactual_groups   most times that the model is asked again for one action

    SettingsError and PolicyError name what is wrong in a setting or a policy.
    """

    def __init__(
        self,
        policy: str | Path | None = None,
        *,
        autonomy: str = "ask",
        mode: Mode = "live",
        matrix: Mapping[str, Any] | str | Path | None = None,
        risk: Mapping[str, float] | None = None,
        costs: Mapping[str, Any] | str | Path | CostModel | None = None,
        budgets: Mapping[str, Any] | BudgetLimits | None = None,
        kill_switch: str | Path | None = None,
        assets: Mapping[str, Any] | str | Path | AssetRegister | None = None,
        is_technique: Callable[[str], bool] = looks_like_technique,
        validators: Sequence[Any] = (),
        counterfactual_groups: int = 24,
    ) -> None:
        if mode not in ("live", "shadow"):
            raise SettingsError(f"mode: {mode!r} is neither live nor shadow")
        if not isinstance(counterfactual_groups, int) or counterfactual_groups < 2:
            raise SettingsError("counterfactual_groups: must be a whole number from 2 up")
        self.mode: Final[Mode] = mode
        self._assets = AssetRegister.load(assets)
        self._runner = GuardrailRunner(validators)
        self._settings = GateSettings(
            autonomy=check_level(autonomy),
            matrix=AutonomyMatrix.load(matrix),
            risk=RiskTable.load(risk),
            costs=CostModel.load(costs),
            budgets=BudgetLimits.load(budgets),
            policy=CedarPolicy.load(policy),
            kill_switch=Path(kill_switch) if kill_switch is not None else None,
            is_technique=is_technique,
            counterfactual_groups=counterfactual_groups,
        )
        s = self._settings
        checks = [getattr(item, "rail_alias", type(item).__name__) for item in validators]
        # Sets have no order of their own: two processes must not hash the same settings differently.
        bounds = (sorted(s.risk.thresholds.items()), sorted(s.risk.given))
        limits = (s.autonomy, s.matrix, bounds, s.costs.version, s.budgets, s.kill_switch, counterfactual_groups)
        self._version = hashlib.sha256(f"{(*limits, checks, self._assets.digest)!r}".encode()).hexdigest()[:16]

    @property
    def versions(self) -> dict[str, str]:
        """Hashes of the policy text and of the other settings, as every decision records them."""
        return {"policy": self._settings.policy.version, "gate": self._version}

    @property
    def settings(self) -> GateSettings:
        """What it decides by, as it was checked when it was built."""
        return self._settings

    @property
    def assets(self) -> AssetRegister:
        """The customer's assets and windows."""
        return self._assets

    def pricer(self, incident: Incident, assessment: Assessment, now: datetime) -> Pricer:
        """What says which of an incident's proposals are worth their cost, best first."""
        return Pricer(self._settings.costs, assessment, lambda target: self._assets.look_up(incident, target, now).tier)

    def decide(self, request: GateRequest) -> Decision:
        """What may happen with the proposed action. Never raises for what the request holds: it refuses."""
        spec = CATALOGUE.get(request.action.action)
        if spec is None:
            ruling = Ruling("refuse", "gate.unknown_action", "no such action is known")
            return self._decision(request, {"gate": ruling})
        context = GateContext(self._settings, spec, class_of(spec), AssetFacts())
        rulings: dict[str, Ruling] = {}

        def take(name: str, step: Callable[[], Ruling]) -> None:
            rulings[name] = crash_refuses(name, step)

        try:
            asset = self._assets.look_up(request.incident, request.action.target, request.now)
            context = replace(context, asset=asset)
            rulings["asset"] = allow("asset.known", **asset.shown())
        except Exception as error:  # noqa: BLE001  # an asset that can't be looked up may be a protected one
            rulings["asset"] = Ruling("refuse", "asset.crashed", f"the look-up failed with {type(error).__name__}")
        take("kill_switch", partial(killswitch.check, request, context))
        for name, step in _AFTER_RAILS.items():
            take(name, partial(step, request, context))
        rulings.update(self._rails(request, context, _most(rulings)))
        signs = rulings.get("input.injection")
        if signs is not None and injection_signs.may_be_advice(signs, context):
            rulings["input.injection"] = injection_signs.as_advice(signs)
        so_far = replace(context, so_far=_most(rulings))
        take("counterfactual", partial(counterfactual.check, request, so_far))
        if signs is not None and not counterfactual.held(rulings["counterfactual"]):
            rulings["input.injection"] = signs  # nothing shows that it would be done without that text
        take("kill_switch_again", partial(killswitch.check, request, context))
        return self._decision(request, rulings)

    def _rails(self, request: GateRequest, context: GateContext, so_far: Verb) -> dict[str, Ruling]:
        """The rails: as guardrails validators where something could be done, as plain functions where nothing could.

        The answers are the same; what is only recommended or refused is not worth
        the seconds that the first import of guardrails takes.
        """
        if so_far in ("ask", "execute"):
            try:
                return self._runner.run(request, context)
            except Exception as error:  # noqa: BLE001  # no guardrails, no action
                reason = f"guardrails failed with {type(error).__name__}: {error}"
                return {"rails": Ruling("refuse", "rails.crashed", reason)}
        return {name: crash_refuses(name, partial(check, request, context)) for name, check in RAILS.items()}

    def _decision(self, request: GateRequest, rulings: Mapping[str, Ruling]) -> Decision:
        names = [name for name in _ORDER if name in rulings]
        names = [*(name for name in rulings if name not in _ORDER), *names]
        verb = _most(rulings)
        deciding = next((rulings[name] for name in names if rulings[name].ceiling == verb), None)
        rule, reason = (deciding.rule, deciding.reason) if deciding else ("gate.default_deny", "no step answered")
        needed = max((rulings[name].approvals for name in names if rulings[name].ceiling == "ask"), default=0)
        if verb == "execute":
            rule, reason = "gate.all_clear", "every step allows it"
            if (signs := rulings.get("input.injection")) is not None and signs.rule == injection_signs.ADVICE:
                reason = f"{reason}; {signs.reason}"
        elif verb == "ask" and request.approvals >= needed:
            verb, reason = "execute", f"approved by {', '.join(sorted(set(request.approved_by)))} ({rule})"
            rule = "gate.approved"
        inputs: dict[str, Number] = {
            "mode": self.mode, "approvals": request.approvals, "approvals_needed": needed,
            "verdict": request.conclusion.verdict, "confidence": request.conclusion.confidence,
            "severity": request.conclusion.severity,
        }  # fmt: skip
        for name in names:
            inputs[name] = rulings[name].ceiling
            inputs[f"{name}.rule"] = rulings[name].rule
            inputs.update({f"{name}.{key}": value for key, value in rulings[name].numbers.items()})
        return Decision(
            action_id=request.action.action_id,
            verb=verb,
            rule=rule,
            reason=reason,
            inputs=inputs,
            versions={**request.versions, **self.versions},
        )


def _most(rulings: Mapping[str, Ruling]) -> Verb:
    return lowest(ruling.ceiling for ruling in rulings.values())
