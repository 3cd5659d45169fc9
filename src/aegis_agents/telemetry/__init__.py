"""Traces, metrics and logs, for OpenTelemetry and Prometheus; off unless they are asked for."""
