"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.manifest` writes this file."""

MANIFEST_SHA256 = "987c768a49e78f3bd1c96d708399072de497c0e6c28106472377bd4d3087df04"
