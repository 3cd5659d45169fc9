"""The agents: one module each, thin. Read triage, intel, reasoning, approval, response."""
