"""DataFrames in and out, pictures, what-if."""

from __future__ import annotations

from typing import assert_type

import pandas as pd

from aegis_agents import Aegis, Case
from aegis_agents.notebook import WhatIf, frames, investigate_frame, show


def judged(aegis: Aegis, alerts: pd.DataFrame) -> pd.DataFrame:
    """A frame of alerts to one of verdicts."""
    answers = investigate_frame(aegis, alerts, "alert", format="sentinel")
    assert_type(answers, pd.DataFrame)
    return answers.sort_values("confidence")


def of_a_case(case: Case) -> pd.DataFrame:
    """Evidence beside the incident's entities."""
    evidence: pd.DataFrame = frames.evidence(case)
    if case.incident is not None:
        print(frames.entities(case.incident))
    print(show(case, "timeline"))
    return evidence


def suppose(aegis: Aegis, case: Case) -> bool:
    """The verdict without a fact."""
    answer = aegis.what_if(case, {"cmdline": None, "f12": "whoami"})
    assert_type(answer, WhatIf)
    return answer.moved and answer.after.confidence > 0.5
