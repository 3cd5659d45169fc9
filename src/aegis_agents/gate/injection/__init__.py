"""Signs that text from an alert addresses a machine reader. Pure Python, no model.

A sign only lowers what may be done alone, so a miss costs one of several defences
(text never chooses action, target or rule anyway) and a false alarm costs a person's look.
"""

from aegis_agents.gate.injection.detect import Sign, find_signs, find_split

__all__ = ["Sign", "find_signs", "find_split"]
