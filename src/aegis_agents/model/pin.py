"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "be8e1480bddf8bd4fa54268cc8295353259e885eb178148b13ab9439152a38cd"
