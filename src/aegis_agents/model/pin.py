"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "f44805c0b21b21152cea9a1ef68c683e995c0ed14ddb3fdf2cb99e3b866cd268"
