"""Earned autonomy: what reviewed decisions have shown, and what that unlocks."""
