"""`resilient-circuits selftest -l fn-aegis`: can Aegis be reached, and is the token good?"""

from __future__ import annotations

from typing import Any

from resilient_lib import IntegrationError

from fn_aegis.lib.aegis_client import AegisClientError
from fn_aegis.lib.server import open_client


def selftest_function(opts: dict[str, Any]) -> dict[str, str]:
    """`state` is "success" or "failure", `reason` says why."""
    try:
        with open_client(opts.get("fn_aegis", {})) as client:
            version = client.health().get("version")
            client.incidents(limit=1)  # asks for a token that is good; health does not
    except (AegisClientError, IntegrationError) as error:
        return {"state": "failure", "reason": str(error)}
    return {"state": "success", "reason": f"Aegis {version} answers, and the token is good"}
