"""Native alerts of any supported product, to Incidents.

`parse` is the one way in. The steps, each in its module: read it expecting the worst
(reading), tell the format (registry, formats), flatten it to facts with provenance
(flatten), judge who could have written each (trust), find what can be acted on
(entities), and relate facts to each other (relations).
"""

from aegis_agents.sources.batches import read_documents, read_lines
from aegis_agents.sources.build import parse
from aegis_agents.sources.reading import Alert, Limits, read_json
from aegis_agents.sources.registry import FORMATS, detect_format

__all__ = ["FORMATS", "Alert", "Limits", "detect_format", "parse", "read_documents", "read_json", "read_lines"]
