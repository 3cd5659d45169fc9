"""The functions, one module each."""
