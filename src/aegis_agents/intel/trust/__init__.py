"""How far a passage is believed: screening at ingest, quarantine, quorum, age, warning lists."""
