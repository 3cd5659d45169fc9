"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "7965ee5cf22f61dcbdebf791d7cc4f5574fa94b812ab967d09fb65cfbc533423"
