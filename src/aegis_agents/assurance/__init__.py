"""What lets somebody rely on Aegis: charter, compliance report, simulation, backtest, red team."""
