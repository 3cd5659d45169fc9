"""How long the console's pages take: `python -m tests.console.measure_pages [LOADS] [WAITING]`.

A real server on loopback with a fake model, asked by one client over one connection: what is measured is all of it,
from the request's first byte to the answer's last, the access's entry in the ledger on disk included.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from pathlib import Path

import httpx

from aegis_agents import Aegis
from aegis_agents.intel import Intel
from aegis_agents.records import AEGIS, ROLES
from tests.console.browsing import listening
from tests.graph.conftest import ATTACK, FakeFirewall, FakeModel
from tests.people import YEAR


def main() -> None:
    """Print p50, p95 and the longest, in milliseconds, for each page."""
    loads, wanted = (int(given) for given in (*sys.argv[1:], *("100", "200")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        home, model = Path(folder), FakeModel()
        intel = Intel.open(home / "intel", model)
        with Aegis(model=model, intel=intel, tools=[FakeFirewall()], home=home) as aegis:
            n = 0
            while len(aegis.pending()) < wanted:
                alert = {"event_id": f"e-{n}", "hostname": f"wks-{n}", "destination_ip": f"198.51.100.{n % 250 + 1}"}
                aegis.investigate(ATTACK | alert | {f"field_{i}": f"value {i} of {n}" for i in range(20)})
                n += 1
            token = aegis.store.add_token("ann", ROLES, AEGIS, valid_for=YEAR)
            row = aegis.pending()[0]
            pages = ("/", "/?page=8", f"/actions/{row.action_id}", f"/cases/{row.incident_id}", "/queue", "/ledger", "/autonomy", "/intel", "/health")  # fmt: skip
            with listening(aegis) as base, httpx.Client(base_url=base, trust_env=False) as client:
                got = client.post("/login", data={"token": token}, headers={"Origin": base})
                client.cookies.update(got.cookies)
                print(f"{len(aegis.pending())} waiting actions of {n} incidents, {loads} loads each, milliseconds")
                for page in pages:
                    times, size = [], 0
                    for _ in range(loads):
                        begun = time.perf_counter()
                        answer = client.get(page)
                        times.append((time.perf_counter() - begun) * 1000)
                        assert answer.status_code == 200, (page, answer.status_code)
                        size = len(answer.content)
                    times.sort()
                    shown = re.sub(r"(act|inc)-\w+", "ID", page)
                    told = {
                        "page": shown,
                        "p50": times[loads // 2],
                        "p95": times[int(loads * 0.95) - 1],
                        "max": times[-1],
                    }
                    print(
                        json.dumps(
                            {k: round(v, 1) if isinstance(v, float) else v for k, v in told.items()} | {"bytes": size}
                        )
                    )


if __name__ == "__main__":
    main()
