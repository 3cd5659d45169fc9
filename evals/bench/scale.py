"""What one incident costs a store that many machines share: `python -m evals.bench.scale`.

SQLite and PostgreSQL in turns, over the same stream of alerts, with the real model. Writes
evals/reports/scale.{json,md}; evals/capacity.py computes with it. Nothing else should use the machine meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evals.bench import scale_parts as parts
from evals.bench.postgres import quiet, server
from evals.bench.scale_inbox import inbox_costs
from evals.bench.scale_place import Place
from evals.bench.scale_report import to_markdown

REPORTS = Path(__file__).parents[1] / "reports"
SIZES: dict[str, Any] = {
    "quick": {"blocks": 2, "each": 5, "count": 20, "seconds": 0.5, "sizes": [100, 300], "looks": 3, "rounds": 1},
    "short": {
        "blocks": 3,
        "each": 20,
        "count": 100,
        "seconds": 6.0,
        "sizes": [1000, 10_000, 100_000],
        "looks": 10,
        "rounds": 1,
    },
    "full": {
        "blocks": 6,
        "each": 40,
        "count": 300,
        "seconds": 12.0,
        "sizes": [1000, 10_000, 100_000],
        "looks": 40,
        "rounds": 3,
    },
}
PARTS = ("one incident", "writes", "workers", "history", "ceiling", "inbox")


def measure(size: str, folder: Path | None = None, only: Sequence[str] = PARTS) -> Iterator[tuple[str, Any]]:
    """The figures, part by part, each with the machine's load. `size` is one of SIZES; "quick" is too few to say anything."""
    of, wait_s = SIZES[size], {"quick": 2, "short": 15, "full": 60}[size]
    with server(folder) as url, tempfile.TemporaryDirectory(dir=folder) as base:

        def places(schema: str) -> list[Place]:
            made = [Place(Path(base) / f"pg-{schema}", url, schema), Place(Path(base) / f"sqlite-{schema}")]
            for place in made:
                place.home.mkdir()
            return made

        def history() -> dict[str, Any]:
            found = {}
            for place in places("history"):
                parts.writes(place, 0, of["sizes"][0] // 4)
                found[place.kind] = parts.history(place, of["sizes"][: None if place.database else 2], of["looks"])
            return found

        ways: dict[str, Callable[[], Any]] = {
            "one incident": lambda: parts.one_incident(
                [*places("parts"), replace(places("forgetful")[0], forgetful=True)], of["blocks"], of["each"]
            ),
            "writes": lambda: {place.kind: parts.writes(place, 5_000_000, of["count"]) for place in places("writes")},
            "workers": lambda: {
                place.kind: parts.throughput(place, [1, 2], of["seconds"]) for place in places("workers")
            },
            "history": history,
            "ceiling": lambda: parts.ceiling(
                places("ceiling")[0], [1, 2, 4], of["seconds"] / 4, [0, 1000], of["rounds"]
            ),
            "inbox": lambda: {place.kind: inbox_costs(place, of["count"] * 10, [1, 100]) for place in places("inbox")},
        }
        for part in only:
            load = quiet(wait_s)
            print(f"{part} (load {load:.1f})", file=sys.stderr, flush=True)
            yield (
                part,
                {
                    "figures": ways[part](),
                    "load": [load, os.getloadavg()[0]],
                    "size": size,
                    "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z",
                },
            )


def main() -> int:
    """Measure, print, keep. Parts that are not measured now stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--size", choices=SIZES, default="full", help="quick is to try it out and keeps no report (default: full)"
    )
    parser.add_argument("--part", action="append", choices=PARTS, help="this part alone; may be given again")
    parser.add_argument("--folder", type=Path, help="the disk to measure (default: temporary)")
    parser.add_argument("--out", type=Path, default=REPORTS, help="folder for the report (default: evals/reports)")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended
    file = given.out / "scale.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() and given.size != "quick" else {}
    found["machine"] = {
        "cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform(),
    }  # fmt: skip
    for part, figures in measure(given.size, given.folder, given.part or PARTS):
        found[part] = figures
        if given.size != "quick":  # at once: what was measured is kept if a later part fails
            given.out.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            (given.out / "scale.md").write_text(to_markdown(found), "utf-8")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
