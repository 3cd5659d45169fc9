"""Watching the model and its surroundings: drift, agreement, calibration, canaries, probing."""
