"""XSOAR's place for a customer's own helpers: empty."""
