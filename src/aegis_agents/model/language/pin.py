"""The SHA-256 of the shipped adapter (`adapter.digest_of`); `aegis_agents.training.tune_language` writes this file."""

ADAPTER_SHA256 = ""
