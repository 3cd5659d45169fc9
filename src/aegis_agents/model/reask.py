"""Asking again about one incident with some of its facts hidden: what if they had not been there?"""

from __future__ import annotations

from collections.abc import Sequence

from aegis_agents.model.protocol import IncidentModel
from aegis_agents.records import Assessment, Incident


class Reask:
    """One incident, asked about again and again. Each mask is judged once, whoever asks how often.

    A mask is a set of fact ids; derived facts that rest on one of them are hidden with it. Several
    masks go to the model's `assess_masked` in one call where it has one, so that they cost one run of
    the head; another model is asked one at a time.
    """

    def __init__(self, model: IncidentModel, incident: Incident) -> None:
        self._model, self._incident = model, incident
        self._known: dict[frozenset[str], Assessment] = {}

    def __call__(self, masked: frozenset[str]) -> Assessment:
        """The assessment without these facts."""
        return self.many([masked])[0]

    def many(self, masks: Sequence[frozenset[str]]) -> list[Assessment]:
        """The assessments for these masks, in order."""
        new = [mask for mask in dict.fromkeys(masks) if mask not in self._known]
        if new:
            together = getattr(self._model, "assess_masked", None)
            found = (
                together(self._incident, new)
                if together is not None
                else [self._model.assess(self._incident, masked=mask) for mask in new]
            )
            self._known.update(zip(new, found, strict=True))
        return [self._known[mask] for mask in masks]
