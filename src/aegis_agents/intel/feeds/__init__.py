"""Feeds: what the user configured, fetched within limits, read by a format each, screened, and put into the store.

Read in this order: config, fetch, parsed, the formats, sync.
"""
