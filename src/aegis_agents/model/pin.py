"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "239194593c4d3424a202e81f51608c1d3c157c1712a5d4e06aa992c057a1bf57"
