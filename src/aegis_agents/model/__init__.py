"""The fine-tuned model. Read in this order: text, encoder, lexical, fast, calibration, files."""

from aegis_agents.model.fast import FastModel
from aegis_agents.model.protocol import IncidentModel

__all__ = ["FastModel", "IncidentModel"]
