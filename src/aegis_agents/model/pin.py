"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.manifest` writes this file."""

MANIFEST_SHA256 = "e7a7dd142eda86b9b52a3472ffb7b2a0714ae71c9fad6286f62779c6f400e6ac"
