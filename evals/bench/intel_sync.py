"""How long a first sync takes: ATT&CK, KEV and Sigma from local files, with the shipped model.

`python -m evals.bench.intel_sync --dev DIR` writes evals/reports/intel_sync.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from aegis_agents.feeding import open_syncer
from aegis_agents.intel.feeds.config import Feed

REPORTS = Path(__file__).parents[1] / "reports"
FILES: dict[Any, str] = {
    "attack": "mitre_attack/techniques_from_atomic_index.jsonl",
    "kev": "cisa_kev/known_exploited_vulnerabilities.json",
    "sigma": "sigma/rules.jsonl",
}


def measure(data: Path) -> dict[str, Any]:
    """Seconds of opening a new home, of one sync of all three, and of one more that finds nothing new."""
    from aegis_agents import Aegis

    feeds = [Feed(name=k, kind=k, path=data / path, trust="high", tlp="clear") for k, path in FILES.items()]
    with tempfile.TemporaryDirectory(prefix="aegis-sync-") as home:
        started = time.perf_counter()
        with Aegis(home=Path(home)) as aegis:
            syncer = open_syncer(aegis.settings, aegis.context, feeds)
            opened = time.perf_counter()
            reports = syncer.sync()
            synced = time.perf_counter()
            again = syncer.sync()
            ended = time.perf_counter()
    failed = [r.feed for r in (*reports, *again) if r.status == "failed"]
    if failed:
        raise RuntimeError(f"did not sync: {failed}")
    return {
        "documents": {r.feed: r.added + r.updated for r in reports},
        "held back": {r.feed: r.quarantined for r in reports},
        "open a new home, s": round(opened - started, 1),
        "sync, s": round(synced - opened, 1),
        "sync again, nothing new, s": round(ended - synced, 2),
        "cores": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    """Measure and write the reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, required=True, help="the folder with the development data")
    found = measure(parser.parse_args().dev)
    (REPORTS / "intel_sync.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    lines = [
        "# A first sync",
        "",
        "`python -m evals.bench.intel_sync --dev DIR`: one run, files on disk, shipped model.",
        "",
    ]
    lines += [f"- {name}: {value}" for name, value in found.items()]
    (REPORTS / "intel_sync.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
