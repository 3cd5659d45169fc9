"""`aegis serve`: the library over HTTP, and the console.

Read in this order: app (what is put together), routes/ (what can be asked), people and oidc (who asks), doorkeeper
(who comes in), accounts (every access, in the ledger), scribe, idempotency, workroom, background, webhooks, running.
"""
