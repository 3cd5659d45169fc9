"""Aegis for IBM SOAR: investigate, decide on actions, ask."""
