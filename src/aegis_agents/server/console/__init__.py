"""The console at `/`: what waits for a person, and everything one needs to answer it.

Server-rendered, and whole without JavaScript. Read in this order: router (what is put together), visit (who is here,
and what a page may do), door (signing in and out), inbox and cards (what waits), then the pages, one module each.
"""

from aegis_agents.server.console.router import console_router

__all__ = ["console_router"]
