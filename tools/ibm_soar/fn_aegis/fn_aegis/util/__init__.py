"""What resilient-circuits asks of every app."""
