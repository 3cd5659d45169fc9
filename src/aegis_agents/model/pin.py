"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "16337a385d618daf99eede020475b95062039ad803b9c1e0b4b781b50fd5283b"
