"""Aegis for Splunk SOAR."""
