"""`python -m tests.crash.soak --kills 500`: kill processes at work, over SQLite and PostgreSQL, and count what breaks."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from aegis_agents.intel import Intel
from tests.crash.campaign import Campaign, Report
from tests.crash.worker import SureModel
from tests.ledger import postgres_server

AT_ONCE = 20
"""Kills of one campaign: then a new state is begun, so that the journal stays small and checks are many."""


def soak(kills: int, *, seed: int, databases: list[str | None], folder: Path, told: bool = True) -> Report:
    """Kill that often, half over each database. Kept on disk is what a breach left; the rest is removed."""
    whole, number = Report(), 0
    Intel.open(folder / "intel", SureModel()).close()
    while whole.kills < kills:
        home = folder / f"campaign-{number}"
        campaign = Campaign(home, folder / "intel", databases[number % len(databases)], seed + number)
        one = campaign.run(min(AT_ONCE, kills - whole.kills))
        whole.add(one)
        number += 1
        if told:
            print(f"{whole.kills} kills, {len(whole.breaches)} breaches", file=sys.stderr, flush=True)
            for breach in one.breaches:
                print(f"  {home}: {breach}", file=sys.stderr, flush=True)
        if not one.breaches:
            shutil.rmtree(home)
    return whole


def main() -> int:
    """Answers 1 if anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    wanted = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and processes are ended
    folder = Path(tempfile.mkdtemp(prefix="aegis-soak-"))
    started, why = time.monotonic(), postgres_server.why_not()
    if wanted.database != "sqlite" and why:
        print(f"without PostgreSQL: {why}", file=sys.stderr)
        wanted.database = "sqlite"
    print(f"seed {wanted.seed}, in {folder}", file=sys.stderr)
    if wanted.database == "sqlite":
        report = soak(wanted.kills, seed=wanted.seed, databases=[None], folder=folder)
    else:
        with postgres_server.running() as server:
            databases = [server.url] if wanted.database == "postgres" else [None, server.url]
            report = soak(wanted.kills, seed=wanted.seed, databases=databases, folder=folder)
    print(f"{report.kills} kills in {time.monotonic() - started:.0f} s over {wanted.database}, seed {wanted.seed}")
    for title, counted in (("killed", report.how), ("found under way", report.found), ("in all", report.counts)):
        print(f"{title}:")
        for name, count in sorted(counted.items()):
            print(f"  {count:6}  {name}")
    print(f"{len(report.breaches)} breaches")
    if not report.breaches:
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if report.breaches else 0


if __name__ == "__main__":
    raise SystemExit(main())
