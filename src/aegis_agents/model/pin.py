"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.export` writes this file."""

MANIFEST_SHA256 = "e3202ac77f35ba68a29681998269c1cb3225fbbb0391efe5434a23b3acb5d81e"
