"""A small project of a user, checked by strict type checkers against the installed package (never run)."""
