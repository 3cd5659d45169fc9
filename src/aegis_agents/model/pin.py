"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "baac43a2190aea7ca55a2f761ff5d0d860ab2e6fce8ea65beee867f7c0641697"
