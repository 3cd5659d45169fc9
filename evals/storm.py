"""Storms, simulated, and one let loose for real beside its simulation: `python -m evals.storm`.

Rests on the times measured by evals/bench/scale.py. Writes evals/reports/storm.{json,md,svg}.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from aegis_agents.inbox.turn import PRIORITIES
from evals.capacity import Assumed
from evals.storm_cases import MIX, Storm, storms
from evals.storm_model import Inbox, Outcome, from_samples, simulate
from evals.storm_real import let_loose, waits

REPORTS = Path(__file__).parent / "reports"
POINTS = 400


def run(storm: Storm, samples: dict[str, list[float]], seed: int) -> tuple[Outcome, dict[str, Any]]:
    """Simulate one storm; what came of it, and its figures."""
    whole = [ms / 1000 for ms in samples["whole"]]
    locked = [ms / 1000 if storm.locked else 0.0 for ms in samples["lock"]]
    inbox = Inbox(most_waiting=storm.most_waiting, rate_per_stream=storm.rate_per_stream)
    length = storm.arrivals[-1].at
    found = simulate(
        storm.arrivals,
        from_samples(whole, locked),
        workers=storm.workers,
        inbox=inbox,
        seed=seed,
        step_s=length / POINTS,
    )
    of = {
        storm_stream: [(w.rank, w.seconds) for w in found.waited if _group(w.stream) == storm_stream]
        for storm_stream in ("noisy", "others")
    }
    return found, {
        "storm": storm.name, "told": storm.told, "workers": storm.workers, "came": len(storm.arrivals), "incidents": len(found.waited),
        "folded": found.folded, "most waiting": found.most[0],
        "most held back in streams": found.most[1],
        "drained s after the last came": max(0.0, found.drained_at - length),
        "waits, s": {
            PRIORITIES[rank]: waits(of["others"], rank) for rank in reversed(range(4))
        } | ({"the noisy one": waits(of["noisy"])} if of["noisy"] else {}),
    }  # fmt: skip


def samples_of(measured: dict[str, Any]) -> dict[str, list[float]]:
    """Milliseconds at an alert, and under the ledger's lock, one for each that was measured: processor time and
    computed waits, since the machine that was measured was busy with other things too (see `capacity.lock_ms`).
    """
    one, a = measured["one incident"]["figures"]["PostgreSQL"], Assumed()
    database = one["processor ms, database (blocks)"]["mean"]
    wait = one["statements under the lock"] * a.round_trip_ms + one["of them flushed"] * a.flush_ms
    own = one["samples, ms"]
    return {
        "whole": [ms + database + one["of them flushed"] * a.flush_ms for ms in own["worker"]],
        "lock": [ms + wait for ms in own["worker under the lock"]],
    }


def _group(stream: str) -> str:
    return "noisy" if stream == "noisy" else "others"


def measure(
    samples: dict[str, list[float]], *, share: float, real: tuple[int, float, int], seed: int
) -> tuple[dict[str, Any], list[Outcome]]:
    """All storms, and the one for real: (alerts, a second, workers)."""
    mean = sum(samples["whole"]) / len(samples["whole"]) / 1000
    outcomes, figures = [], []
    for storm in storms(seed, share, 1 / mean):
        outcome, told = run(storm, samples, seed)
        outcomes.append(outcome)
        figures.append(told)
    loads = [os.getloadavg()[0]]
    beside = let_loose(*real, seed) if real[0] else None
    loads.append(os.getloadavg()[0])
    return {
        "seed": seed, "share": share, "seconds at one alert, mean": mean, "mix": dict(zip(PRIORITIES, MIX, strict=True)),
        "storms": figures, "real": beside, "load": loads,
    }, outcomes  # fmt: skip


def draw(found: dict[str, Any], outcomes: list[Outcome], file: Path) -> None:
    """What waits over time, a panel a storm."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "storm"  # the same picture for the same figures
    figure, panels = pyplot.subplots(2, 4, figsize=(15, 6.5), layout="constrained")
    for panel, told, outcome in zip(panels.flat, found["storms"], outcomes, strict=False):
        hours = told["storm"].startswith("day")
        unit = 3600 if hours else 60
        at = [second / unit for second, _, _ in outcome.backlog]
        panel.fill_between(
            at, [n for _, n, _ in outcome.backlog], color="#3b6ea5", alpha=0.8, label="wait in the inbox"
        )
        if any(n for _, _, n in outcome.backlog):
            panel.plot(at, [n for _, _, n in outcome.backlog], color="#b5482a", label="held back in streams")
            panel.legend(fontsize=8, loc="upper right")
        panel.set_title(f"{told['storm']}: {told['workers']} workers", fontsize=10)
        panel.set_xlabel("hours" if hours else "minutes", fontsize=8)
        panel.tick_params(labelsize=8)
        panel.set_ylim(bottom=0)
    for panel in panels.flat[len(found["storms"]) :]:
        panel.axis("off")
    figure.suptitle("Alerts that wait, simulated", fontsize=12)
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def _s(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def to_markdown(found: dict[str, Any]) -> str:
    """The report."""
    lines = [
        "# Storms",
        "",
        f"`python -m evals.storm`, seed {found['seed']}, share {found['share']:g}. Simulated with simpy; times at an alert and under the ledger's lock "
        f"are drawn from processor times measured on PostgreSQL (evals/reports/scale.md), flushes and round trips as docs/capacity.md assumes them, {1000 * found['seconds at one alert, mean']:.0f} ms "
        f"on average; turns are the inbox's own rule. Assumed: the curves, and priorities {found['mix']}.",
        "",
        "![What waits over time](storm.svg)",
        "",
        "| storm | | workers | came | incidents | most waiting | held back in streams | drained after the last |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s['storm']} | {s['told']} | {s['workers']} | {s['came']:,} | {s['incidents']:,} | {s['most waiting']:,} "
        f"| {s['most held back in streams']:,} | {_s(s['drained s after the last came'])} |"
        for s in found["storms"]
    ]
    lines += [
        "", "Waits of all sources but the noisy one: p50 / p95 / longest", "",
        "| storm | urgent | high | normal | low | the noisy one |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for storm in found["storms"]:
        cells = [
            " / ".join(_s(q[k]) for k in ("p50", "p95", "max")) if q and q["n"] else "–"
            for q in (storm["waits, s"].get(name) for name in (*reversed(PRIORITIES), "the noisy one"))
        ]
        lines.append(f"| {storm['storm']} | {' | '.join(cells)} |")
    real = found["real"]
    if real:
        lines += [
            "", "## The simulation beside the real thing", "",
            f"{real['alerts']} alerts in {real['came in, s']:.0f} s to {real['workers']} worker process(es) on this machine (SQLite, the real model, "
            f"{1000 * real['seconds at one, mean']:.0f} ms an alert; load {found['load'][0]:.1f} before, {found['load'][1]:.1f} after), and "
            "twenty simulations of the same arrivals, priorities and times. "
            f"Drained after {real['really, drained after s']:.1f} s, simulated {real['simulated, drained after s']:.1f} s.",
            "", "| priority | n | waited, p50 / p95 / longest | simulated, p50 / p95 / longest |", "|---|---|---|---|",
        ]  # fmt: skip
        for name, of in real["by priority"].items():
            a, b = (" / ".join(f"{of[k][q]:.2f} s" for q in ("p50", "p95", "max")) for k in ("really", "simulated"))
            lines.append(f"| {name} | {of['really']['n']} | {a} | {b} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Simulate, let loose, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="how much of each storm, to try it out (default: 1)")
    parser.add_argument(
        "--alerts", type=int, default=400, help="alerts of the real one; 0 leaves it out (default: 400)"
    )
    parser.add_argument("--rate", type=float, default=25.0, help="so many of them a second (default: 25)")
    parser.add_argument("--workers", type=int, default=1, help="worker processes of the real one (default: 1)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--measured", type=Path, default=REPORTS / "scale.json")
    parser.add_argument("--out", type=Path, default=REPORTS)
    given = parser.parse_args()
    samples = samples_of(json.loads(given.measured.read_text("utf-8")))
    found, outcomes = measure(
        samples, share=given.share, real=(given.alerts, given.rate, given.workers), seed=given.seed
    )
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "storm.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    (given.out / "storm.md").write_text(to_markdown(found), "utf-8")
    draw(found, outcomes, given.out / "storm.svg")
    print(to_markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
