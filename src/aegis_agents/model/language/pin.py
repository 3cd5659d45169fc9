"""The SHA-256 of the shipped adapter (`adapter.digest_of`); `aegis_agents.training.tune_language` writes this file."""

ADAPTER_SHA256 = "f824fb25c25cdc15777e2ee934e62e893f0452f556ecb6bd3ed7737355730911"
