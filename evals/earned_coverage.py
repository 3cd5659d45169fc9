"""Does the promise of earned autonomy hold? `python -m evals.earned_coverage`. Writes evals/reports/earned.{json,md}.

Simulated reviews with known error rates, looked at after every single one: how often a cell is let through that errs
too often, beside what people do without such a test (an exact interval looked at again and again; counting copies;
beginning anew after each error), and how many reviewed campaigns a good cell needs. Nothing is fitted here.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aegis_agents.gate.earned.campaigns import Vote, tally
from aegis_agents.gate.earned.cells import CELLS
from aegis_agents.gate.earned.evalue import further_needed, upper_limit
from aegis_agents.gate.earned.rule import THRESHOLDS, EarnRule
from aegis_agents.gate.risk import binomial_cdf, upper_bound

REPORTS = Path(__file__).parent / "reports"
SEED = 5
RUNS, HORIZON = 10_000, 5_000
RULE = EarnRule(earn="act")
RATES = (0.0, 0.002, 0.005, 0.0075, 0.01, 0.0125, 0.02, 0.03, 0.05)
NEVER = 10**9


@dataclass(frozen=True)
class Share:
    """k of n, with the exact 95 % interval (Clopper and Pearson 1934)."""

    k: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return 1 - upper_bound(self.n - self.k, self.n, 0.025), upper_bound(self.k, self.n, 0.025)

    def to_json(self) -> dict[str, float | int]:
        """As numbers."""
        low, high = self.interval
        return {"share": self.k / self.n, "k": self.k, "n": self.n, "low": round(low, 5), "high": round(high, 5)}

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.k / self.n:.4f} ({self.k}/{self.n}, {low:.4f} to {high:.4f})"


def least_campaigns(passes: Callable[[int, int], bool], horizon: int = HORIZON) -> NDArray[np.int64]:
    """For each number of errors the fewest campaigns at which the test passes, NEVER beyond the horizon."""
    table, start = [], 1
    while start <= horizon:
        errors = len(table)
        low, high = max(start, errors + 1) - 1, horizon + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if passes(middle, errors) else (middle, high)
        start = high
        table.append(high if high <= horizon else NEVER)
    return np.array(table, np.int64)


def ours(rate: float, doubt: float, horizon: int = HORIZON) -> NDArray[np.int64]:
    """The e-process."""
    table = []
    while not table or table[-1] != NEVER:
        errors = len(table)
        needed = errors + further_needed(errors, errors, rate, doubt)
        table.append(needed if needed <= horizon else NEVER)
    return np.array(table, np.int64)


def naive(rate: float, doubt: float, horizon: int = HORIZON) -> NDArray[np.int64]:
    """The exact binomial test, as if one looked once."""
    return least_campaigns(lambda campaigns, errors: binomial_cdf(errors, campaigns, rate) <= doubt, horizon)


def first_passes(errors: NDArray[np.bool_], table: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each run the campaign at which it first passes, NEVER if at none."""
    counts = np.minimum(np.cumsum(errors, axis=1), len(table) - 1)
    passed = np.arange(1, errors.shape[1] + 1) >= table[counts]
    found = passed.argmax(axis=1) + 1
    return np.where(passed.any(axis=1), found, NEVER)


def exactly(table: NDArray[np.int64], truth: float, horizon: int = HORIZON) -> float:
    """The probability of ever passing within the horizon, by summing over all numbers of errors: nothing is drawn."""
    waiting, passed = np.zeros(len(table)), 0.0
    waiting[0] = 1.0
    for campaigns in range(1, horizon + 1):
        moved = waiting * (1 - truth)
        moved[1:] += waiting[:-1] * truth  # the last place, which never passes, may be left: it makes no difference
        through = table <= campaigns
        passed += float(moved[through].sum())
        moved[through] = 0.0
        waiting = moved
    return passed


def batches(rng: np.random.Generator, truth: float, runs: int = RUNS, horizon: int = HORIZON) -> Iterator[Any]:
    """Runs of campaigns, each wrong with probability `truth`, some at a time."""
    for start in range(0, runs, 1000):
        yield rng.random((min(1000, runs - start), horizon)) < truth


def coverage(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Share of runs that are ever let through, by true rate: one cell, all doubt on it, so that the tests compare."""
    rows = []
    tests = {"ours": ours(0.01, 0.05), "peeking": naive(0.01, 0.05)}
    for truth in RATES:
        found: dict[str, list[Any]] = {name: [] for name in (*tests, "once")}
        for errors in batches(rng, truth):
            for name, table in tests.items():
                found[name].append(first_passes(errors, table))
            found["once"].append(np.where(errors[:, :299].any(axis=1), NEVER, 299))
        row: dict[str, Any] = {"true rate": truth, "rate borne": 0.01, "doubt": 0.05}
        row |= {f"{name}, exactly": exactly(table, truth) for name, table in tests.items()}
        rows.append(row | {name: Share(int((np.concatenate(v) < NEVER).sum()), RUNS) for name, v in found.items()})
    return rows


def all_cells(rng: np.random.Generator, truth: float, runs: int = 2_000, horizon: int = 3_000) -> Share:
    """Share of worlds in which any of the cells is let through at any threshold, all erring at `truth`."""
    table, any_passed = ours(RULE.earn_error_undo, RULE.doubt(1), horizon), np.zeros(runs, bool)
    for _ in CELLS:
        for start in range(0, runs, 500):
            errors = rng.random((500, horizon)) < truth
            sure = rng.random((500, horizon))
            for place, _threshold in enumerate(THRESHOLDS):
                seen = sure < (place + 1) / len(THRESHOLDS)  # nested: what is surer counts at the lower ones too
                counted, wrong = np.cumsum(seen, axis=1), np.cumsum(errors & seen, axis=1)
                passed = counted >= table[np.minimum(wrong, len(table) - 1)]
                any_passed[start : start + 500] |= passed.any(axis=1)
    return Share(int(any_passed.sum()), runs)


def restarts(rng: np.random.Generator, truth: float, runs: int = 2_000, horizon: int = 40_000) -> dict[str, Share]:
    """Over a long life: errors that stay counted, beside a fresh start after each error."""
    rate, doubt = RULE.earn_error_undo, RULE.doubt(1)
    table, streak = ours(rate, doubt, horizon), further_needed(0, 0, rate, doubt)
    kept = fresh = 0
    for start in range(0, runs, 100):
        errors = rng.random((min(100, runs - start), horizon)) < truth
        kept += int((first_passes(errors, table) < NEVER).sum())
        for run in errors:
            ends = np.flatnonzero(run)
            gaps = np.diff(np.concatenate(([-1], ends, [horizon]))) - 1
            fresh += bool((gaps >= streak).any())
    return {"ours": Share(kept, runs), "a fresh start after each error": Share(fresh, runs)}


def copies(truth: float, runs: int = 400, campaigns: int = 1_500) -> dict[str, Share]:
    """Alerts that come in copies, a mean of ten each, right or wrong together: campaigns counted, and copies."""
    rng, table = random.Random(SEED), ours(0.01, 0.05, 60_000)
    passed = {"campaigns": 0, "copies": 0}
    for _ in range(runs):
        votes: list[Vote] = []
        seen = wrong = wrong_campaigns = 0
        by_copy = by_campaign = False
        for number in range(campaigns):
            bad, many = rng.random() < truth, 1 + int(rng.expovariate(1 / 9))
            seen, wrong, wrong_campaigns = seen + many, wrong + many * bad, wrong_campaigns + bad
            by_copy |= seen >= table[min(wrong, len(table) - 1)]
            by_campaign |= number + 1 >= table[min(wrong_campaigns, len(table) - 1)]
            if len(votes) < 3_000:
                votes += [
                    Vote(len(votes) + n, (f"c{number}",), 0.9, bad, True, True, f"d{number // 20}") for n in range(many)
                ]
        counted = tally(votes, 0.9)
        named = {vote.links[0] for vote in votes}
        assert counted.campaigns == len(named), "copies were counted"
        passed["copies"] += bool(by_copy)
        passed["campaigns"] += bool(by_campaign)
    return {name: Share(k, runs) for name, k in passed.items()}


def how_long(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Campaigns until a cell is let through, as Aegis tests it: among all cells and thresholds."""
    rows = []
    for level in ("act_undo", "act"):
        for attempt in (1, 2):
            rate, doubt = RULE.error(level), RULE.doubt(attempt)  # type: ignore[arg-type]
            table = ours(rate, doubt)
            for truth in (0.0, 0.002, 0.005):
                found = np.concatenate([first_passes(e, table) for e in batches(rng, truth, 4_000)])
                low, middle, high = (int(np.quantile(found, q, method="inverted_cdf")) for q in (0.1, 0.5, 0.9))
                rows.append(
                    {
                        "level": level, "rate borne": rate, "try": attempt, "true rate": truth, "p10": low,
                        "median": middle, "p90": high, "within 5000": Share(int((found < NEVER).sum()), 4_000),
                    }
                )  # fmt: skip
    return rows


def measure() -> dict[str, Any]:
    """All of it, from one seed."""
    rng = np.random.default_rng(SEED)
    zero = {f"{r:g} at {d:.2g}": further_needed(0, 0, r, d) for r, d in ((0.01, 0.05), (0.02, 0.05))}
    return {
        "seed": SEED, "runs": RUNS, "horizon": HORIZON, "cells": len(CELLS), "thresholds": list(THRESHOLDS),
        "doubt of a first try": RULE.doubt(1), "error-free campaigns, one test": zero,
        "error-free campaigns": {
            level: further_needed(0, 0, RULE.error(level), RULE.doubt(1)) for level in ("act_undo", "act")  # type: ignore[arg-type]
        },
        "coverage": coverage(rng),
        "any cell": {f"{truth:g}": all_cells(rng, truth) for truth in (0.02, 0.025)},
        "restarts": {f"{truth:g}": restarts(rng, truth) for truth in (0.02, 0.025)},
        "copies": {f"{truth:g}": copies(truth) for truth in (0.01, 0.02)},
        "how long": how_long(rng),
        "bound after": {f"{n} campaigns, {k} errors": upper_limit(n, k, RULE.doubt(1)) for n, k in ((381, 0), (764, 0), (592, 1))},
    }  # fmt: skip


def told(found: dict[str, Any]) -> str:
    """As a page."""

    def number(value: int) -> str:
        return "more than 5000" if value == NEVER else str(value)

    lines = [
        "# Earned autonomy: does the promise hold?",
        "",
        f"`python -m evals.earned_coverage`, seed {found['seed']}. Simulated reviews; a look after each. Shares with exact",
        "95 % intervals (Clopper-Pearson).",
        "",
        "## One cell, 1 % borne, 5 % doubt: share that is ever let through within "
        f"{found['horizon']} campaigns ({found['runs']} runs)",
        "",
        "| true error rate | Aegis, looked at after each: probability | simulated | exact test, looked at after each: "
        "probability | simulated | exact test, once at 299 |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["coverage"]:
        known = {name: f"{row[f'{name}, exactly']:.4f}" for name in ("ours", "peeking")}
        shares = f"{known['ours']} | {row['ours']} | {known['peeking']} | {row['peeking']} | {row['once']}"
        lines.append(f"| {row['true rate']:g} | {shares} |")
    lines += [
        "", "Probabilities are summed and not drawn (`exactly`); the simulation beside them checks both. At 1 % and above every one let through is an error: at most 5 % may be.", "",
        f"## All {found['cells']} cells at {len(found['thresholds'])} thresholds, 2 % borne: share of worlds with any let through", "",
        "| every cell errs in | share |", "|---|---|",
        *(f"| {truth} | {share} |" for truth, share in found["any cell"].items()),
        "", "## A life of 40,000 campaigns, 2 % borne, one cell with its part of the doubt", "",
        "| true error rate | errors stay counted (Aegis) | a fresh start after each error |", "|---|---|---|",
        *(f"| {t} | {r['ours']} | {r['a fresh start after each error']} |" for t, r in found["restarts"].items()),
        "", "## Copies, a mean of ten a campaign, 1 % borne, 5 % doubt, 1500 campaigns", "",
        "| true error rate of campaigns | campaigns counted (Aegis) | copies counted |", "|---|---|---|",
        *(f"| {t} | {r['campaigns']} | {r['copies']} |" for t, r in found["copies"].items()),
        "", "## Reviewed campaigns until a level is earned (4000 runs)", "",
        "| level | borne | try | true error rate | 10 % | median | 90 % | earned within 5000 |", "|---|---|---|---|---|---|---|---|",
        *(
            f"| {r['level']} | {r['rate borne']:g} | {r['try']} | {r['true rate']:g} | {number(r['p10'])} | "
            f"{number(r['median'])} | {number(r['p90'])} | {r['within 5000']} |"
            for r in found["how long"]
        ),
        "",
        "`act` counts from act_undo on. A try begins anew after an error while acting; a cell that errs in 0.5 % of",
        "campaigns is so sent back after 200 reviewed ones on average, also where 1 % would be borne.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Measure and write both reports."""
    found = measure()
    REPORTS.mkdir(exist_ok=True)
    plain = json.dumps(found, indent=1, default=lambda s: s.to_json())
    (REPORTS / "earned.json").write_text(plain + "\n")
    (REPORTS / "earned.md").write_text(told(found))


if __name__ == "__main__":
    main()
