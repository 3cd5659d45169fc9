"""Upkeep of what is kept: migration, backup and restore, taking back since a time."""
