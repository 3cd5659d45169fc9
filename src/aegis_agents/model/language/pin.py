"""The SHA-256 of the shipped adapter (`adapter.digest_of`); `aegis_agents.training.tune_language` writes this file."""

ADAPTER_SHA256 = "4040033b6f93992ae8cc901e5ea9a5197a71d3199214922a8d9bc720382564e9"
