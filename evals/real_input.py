"""Runs Aegis over real alerts and reports what it said: `python -m evals.real_input [--split tune|report|all]`.

Reads the folder that AEGIS_DEV_DATA names, and fails without it. With `--split all` it writes
evals/reports/real_input.{json,md}; a part alone is printed, and written where --out says.
`report` is for reporting: no design or threshold may be chosen by it. Exit code 1 if any
alert ended in an error, 2 without data.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from aegis_agents import Aegis
from evals import suites
from evals.judging import Figures, judge_cases, judge_otrf, judge_sigma, judge_windows, verdicts
from evals.planting import judge_planted, plans
from evals.rendering import to_json, to_markdown
from evals.runner import Runner, open_default

REPORTS = Path(__file__).parent / "reports"


def _dev_half(runner: Runner, data: Path, half: str) -> dict[str, Figures]:
    """One half of dev_cases, then its texts planted into its attacks."""
    judged = runner.run(f"dev_cases/{half}", suites.dev_cases(data, half))
    found = {f"dev_cases/{half}": judge_cases(judged)}
    for kind in ("injections", "benign_lookalikes"):
        planned = plans(judged, suites.texts(data, half, kind))
        name = f"dev_cases/{half}: {kind} planted into its attacks"
        found[name] = judge_planted([before for before, _ in planned], runner.run(name, [item for _, item in planned]))
    return found


def run_all(data: Path, split: str, open_aegis: Callable[[Path], Aegis] = open_default) -> Figures:
    """Every suite: {"split", "versions", "suites", "errors", "pace", "ledger entries verified"}."""
    with tempfile.TemporaryDirectory(prefix="aegis-evals-") as home:
        runner = Runner(Path(home), open_aegis)
        found: dict[str, Figures] = {}
        for half in ("tune", "report") if split == "all" else (split,):
            found |= _dev_half(runner, data, half)
        found["AIT windows"] = judge_windows(runner.run("AIT windows", suites.ait_windows(data)))
        found["AIT raw alerts"] = {"verdicts": verdicts(runner.run("AIT raw alerts", suites.ait_raw(data)))}
        found["Sigma regression events"] = judge_sigma(runner.run("Sigma regression events", suites.sigma_events(data)))
        found["OTRF events"] = judge_otrf(runner.run("OTRF events", suites.otrf_events(data)))
        return {
            "split": split,
            "versions": runner.versions,
            "suites": found,
            "errors": runner.errors,
            "pace": {
                name: {"alerts": p.alerts, "seconds": p.seconds, "alerts/s": p.alerts / p.seconds if p.alerts else 0.0}
                for name, p in runner.paces.items()
            },
            "ledger entries verified": runner.entries,
        }


def forbid_network() -> None:
    """From here on this process reaches no other machine: trying to is an error."""

    def refuse(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
            raise RuntimeError(f"{event} {arguments[1:]}: the evaluation runs without a network")

    sys.addaudithook(refuse)


def main() -> int:
    """Run, write the reports, and fail if any alert ended in an error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("tune", "report", "all"), default="tune")
    parser.add_argument("--out", type=Path, help="folder for the reports (default: evals/reports, with --split all)")
    given = parser.parse_args()
    folder = os.environ.get("AEGIS_DEV_DATA")
    if not folder or not (Path(folder) / "dev_cases").is_dir():
        print(
            "evals.real_input needs the development data: set AEGIS_DEV_DATA to the folder that holds dev_cases/",
            file=sys.stderr,
        )
        return 2
    for name in [n for n in os.environ if n.startswith("AEGIS_")]:
        del os.environ[name]  # default settings, whoever runs this
    forbid_network()
    report = run_all(Path(folder), given.split)
    text = to_markdown(report)
    if (out := given.out or (REPORTS if given.split == "all" else None)) is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "real_input.json").write_text(to_json(report), "utf-8")
        (out / "real_input.md").write_text(text, "utf-8")
    print(text)
    return 1 if any(report["errors"].values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
