"""Against abuse of Aegis itself: where it may connect to, what files it trusts, what must never leave."""
