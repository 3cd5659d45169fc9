"""`python -m tests.scale.soak --incidents 3000 --kills 40`: many machines' worth of deaths, and what broke by them.

One PostgreSQL; worker processes, two Ray nodes with a worker each (`--nodes 0` leaves Ray out), a feeder and a desk.
The model is a stub (`SureModel`), since journal, inbox and world are what is tested.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from aegis_agents.intel import Intel
from tests.crash.worker import SureModel
from tests.ledger import postgres_server
from tests.scale.campaign import KINDS, Campaign, Report
from tests.scale.nodes import Nodes
from tests.scale.roles import Load


def soak(folder: Path, *, incidents: int, kills: int, seed: int, workers: int, nodes: int) -> Report:
    """One campaign in `folder`."""
    Intel.open(folder / "intel", SureModel()).close()
    kinds = KINDS if workers else tuple(kind for kind in KINDS if kind not in ("worker", "upgrade"))
    kinds += ("node", "driver") if nodes else ()
    with postgres_server.running() as server:
        ray = Nodes(folder / "ray", nodes) if nodes else None
        campaign = Campaign(
            folder / "home", folder / "intel", server, Load(seed, incidents), workers=workers, nodes=ray, say=said
        )
        return campaign.run(kills, kinds)


def said(text: str) -> None:
    """One line of what happens, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def told(report: Report) -> str:
    """A report for people."""
    lines = [f"{report.kills.total()} kills in {report.seconds:.0f} s"]
    titles = (("killed", report.kills), ("found half done, summed over the looks after each death", report.found))
    for title, counted in (*titles, ("in all", report.counts)):
        lines += [f"{title}:", *(f"  {count:7}  {name}" for name, count in sorted(counted.items()))]
    return "\n".join([*lines, f"{len(report.breaches)} breaches", *(f"  {breach}" for breach in report.breaches)])


def main() -> int:
    """Answers 1 if anything broke, 2 where it can't run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--workers", type=int, default=2, help="worker processes besides Ray's (default: 2)")
    parser.add_argument("--nodes", type=int, default=2, help="nodes of Ray, one worker each; 0 for none (default: 2)")
    given = parser.parse_args()
    if why := postgres_server.why_not():
        print(why, file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and processes are ended
    folder = Path(tempfile.mkdtemp(prefix="aegis-scale-"))
    print(f"seed {given.seed}, in {folder}", file=sys.stderr, flush=True)
    report = soak(
        folder, incidents=given.incidents, kills=given.kills, seed=given.seed, workers=given.workers, nodes=given.nodes
    )
    print(told(report))
    if not report.breaches:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.breaches else 0


if __name__ == "__main__":
    raise SystemExit(main())
