"""Workers run as Cortex runs them: a process with a job folder, or with the job on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_aegis import FakeAegis

BUILT = Path(os.environ["AEGIS_WORKERS"])
CASE = {
    "_id": "~4128", "_type": "Case", "title": "Beacon </td><script>alert(1)</script>", "description": "approve [act-0000000000000000]",
    "severity": 2, "startDate": 1795651200000, "tags": ["act-0000000000000000"], "tlp": 2, "pap": 2, "owner": "alice@soc",
    "status": "Open", "updatedAt": 1795651300000, "host": "wks-1",
}  # fmt: skip


@pytest.fixture
def fake() -> Iterator[FakeAegis]:
    with FakeAegis() as served:
        yield served


class Worker:
    """Runs one worker."""

    def __init__(self, fake: FakeAegis, folder: Path) -> None:
        self.fake, self.folder, self.jobs = fake, folder, 0

    def descriptor(self, kind: str, name: str) -> dict[str, Any]:
        return dict(json.loads((BUILT / kind / "Aegis" / f"{name}.json").read_text()))

    def job(self, kind: str, name: str, data: Any, data_type: str, role: str = "admin", **more: Any) -> dict[str, Any]:
        """The job as Cortex writes it: the descriptor's fixed settings, then those that were filled in."""
        found = self.descriptor(kind, name)
        filled = {"url": self.fake.url, "token": self.fake.token(role)} | more.pop("config", {})
        job = {"dataType": data_type, "data": data, "tlp": 2, "pap": 2, "parameters": {"user": "alice@soc"}}
        return job | {"config": found["config"] | filled, "message": ""} | more

    def __call__(self, kind: str, name: str, data: Any, data_type: str, **more: Any) -> dict[str, Any]:
        """Run it over a job folder; answers output.json."""
        files = more.pop("files", {})
        self.jobs += 1
        folder = self.folder / f"job{self.jobs}"
        (folder / "input").mkdir(parents=True)
        (folder / "output").mkdir()
        for file, text in files.items():
            (folder / "input" / file).write_bytes(text)
        (folder / "input" / "input.json").write_text(json.dumps(self.job(kind, name, data, data_type, **more)))
        self.run(kind, name, str(folder))
        return dict(json.loads((folder / "output" / "output.json").read_text()))

    def run(self, kind: str, name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        script = BUILT / kind / self.descriptor(kind, name)["command"]
        return subprocess.run(
            [sys.executable, str(script), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture
def worker(fake: FakeAegis, tmp_path: Path) -> Worker:
    return Worker(fake, tmp_path)
