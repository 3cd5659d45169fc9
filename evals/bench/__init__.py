"""Speed and memory, as ratios in one run: `python -m evals.bench` (add --full for 10,000 alerts)."""
