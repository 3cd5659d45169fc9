"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "eadc2bde5cfa7c7c7e17ebdaa5786b1e961f7ca8302e63e8f42219dd4de10f67"
