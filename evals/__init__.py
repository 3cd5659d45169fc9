"""Runnable measurements. From the checkout: `python -m evals.real_input`, `python -m evals.bench`."""
