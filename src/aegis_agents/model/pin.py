"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "2fa0aebd2284261924d60dddec991f2061dd14a39e1b50889e108f8f5508d48b"
