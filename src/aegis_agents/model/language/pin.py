"""The SHA-256 of the shipped adapter (`adapter.digest_of`); `aegis_agents.training.tune_language` writes this file."""

ADAPTER_SHA256 = "d35d3597ca0e77f6e76c6493106139fc02a672fc24dc9f32d7b9b10a47a11369"
