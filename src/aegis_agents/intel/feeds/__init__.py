"""Feeds: what the user configured, fetched within limits, read by a format each, screened, and put into the store.

Read in this order: config, load, fetch (with addresses, transport, answers, parts, http, folder, taxii, misp_feed,
signature), state, unpack, parsed, the formats, sync.
"""
