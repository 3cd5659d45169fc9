"""The SHA-256 of the shipped weights' manifest; `aegis_agents.training.manifest` writes this file."""

MANIFEST_SHA256 = "f0c7a0dbd6a9b5c552cfc20fc4ce08cf4c1316cabe98cca717cd68a891adb937"
