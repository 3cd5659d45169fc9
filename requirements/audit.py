"""Known vulnerabilities in a lock, by pip-audit; and whether anybody was asked.

    python requirements/audit.py core.txt llm.txt          # exit code 1 for a finding

pip-audit ends with 0 where the service it asks knows none of the packages, as behind a mirror that serves files alone:
that is no answer, and is said. A vulnerability that does not touch Aegis is named in audit-ignored.txt, with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
IGNORED = HERE / "audit-ignored.txt"
_MOST_S = 300


class Outcome(NamedTuple):
    """What became of one lock: how many packages somebody knew, the findings, and why nobody could be asked."""

    asked: int
    findings: list[str]
    why: str


def read(text: str) -> Outcome:
    """What pip-audit answered, in JSON."""
    try:
        rows: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Outcome(0, [], "pip-audit gave no answer")
    known = [row for row in rows if "skip_reason" not in row]
    findings = [
        f"{row['name']} {row['version']}: {found['id']} (fixed in {', '.join(found.get('fix_versions', [])) or 'no version yet'})"
        for row in known for found in row.get("vulns", [])
    ]  # fmt: skip
    return Outcome(len(known), findings, "" if known else f"none of {len(rows)} packages is known to the service")


def audit(lock: Path) -> Outcome:
    """Ask about a lock."""
    command = [
        sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", str(lock), "--format", "json",
        "--progress-spinner", "off", "--timeout", "10",
    ]  # fmt: skip
    for line in ignored():
        command += ["--ignore-vuln", line]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_MOST_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return Outcome(0, [], f"no answer within {_MOST_S} s")
    found = read(done.stdout)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return found._replace(why=last[:300] or found.why) if found.why == "pip-audit gave no answer" else found


def ignored() -> list[str]:
    """The ids that don't touch Aegis; each line is an id, a hash sign, and why."""
    if not IGNORED.is_file():
        return []
    lines = [line.partition("#") for line in IGNORED.read_text("utf-8").splitlines() if line.strip()]
    if bare := [given for given, _, why in lines if given.strip() and not why.strip()]:
        raise SystemExit(f"{IGNORED.name}: {bare[0].strip()} is ignored without a reason")
    return [given.strip() for given, _, _ in lines if given.strip()]


def main(locks: list[str]) -> int:
    """Audit the locks; answers the exit code."""
    code = 0
    for name in locks:
        found = audit(HERE / name)
        if found.why:
            print(f"!! {name}: NOT AUDITED: {found.why}", file=sys.stderr)
            continue
        print(f"{name}: {found.asked} packages asked about, {len(found.findings)} finding(s)")
        for line in found.findings:
            print(f"   {line}")
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["core.txt", "dev.txt"]))
