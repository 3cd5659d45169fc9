"""Aegis in a notebook: what it knows and decided as pandas DataFrames (needs the notebook extra)."""
