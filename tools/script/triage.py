#!/usr/bin/env python3
"""Aegis in a script of yours, through one process and two pipes: copy `judge` and use it.

    from triage import judge
    for alert, case in judge(alerts):
        if case["verdict"] == "true_positive": ...

Needs the standard library and the command `aegis`. The model is loaded once, so hand in many alerts at a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

Alert = Mapping[str, Any]


class AegisFailed(Exception):
    """The command ended before its time. `code`: 2 wrong usage or settings, 3 something was tampered with; call a person."""

    def __init__(self, code: int, told: str) -> None:
        super().__init__(f"aegis ended with exit code {code}: {told.strip() or 'it said nothing'}")
        self.code = code


def judge(
    alerts: Iterable[Alert], *, shadow: bool = False, command: Sequence[str] = ("aegis",)
) -> Iterator[tuple[Alert, dict[str, Any]]]:
    """Each alert with its case, in order, as soon as it is judged; for one that can't be read, {"error", "line"}.

    Alerts may be endless: as many are read ahead as fit into the pipes. Raises AegisFailed. What `alerts` raises is raised here.
    """
    options = ["--shadow"] if shadow else []
    process = subprocess.Popen(  # noqa: S603 - the command is the caller's; alerts go in by the pipe, never as arguments
        [*command, "investigate", "-", "--json", *options],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("pipes were asked for")
    asked: deque[Alert] = deque()
    told: list[bytes] = []
    broken: list[BaseException] = []
    workers = [
        threading.Thread(target=_write, args=(process.stdin, alerts, asked, broken), daemon=True),
        threading.Thread(target=lambda stream: told.append(stream.read()), args=(process.stderr,), daemon=True),
    ]
    for worker in workers:
        worker.start()
    try:
        for line in process.stdout:
            yield asked.popleft(), json.loads(line)
        code = process.wait()
        for worker in workers:
            worker.join(10)
        if broken:
            raise broken[0]
        if code not in (0, 1) or asked:
            raise AegisFailed(code, b"".join(told).decode("utf-8", "replace"))
    finally:
        process.kill()
        process.wait()
        for worker in workers:
            worker.join(10)
        process.stdout.close()
        process.stderr.close()


def _write(stream: IO[bytes], alerts: Iterable[Alert], asked: deque[Alert], broken: list[BaseException]) -> None:
    try:
        with stream:
            for alert in alerts:
                line = json.dumps(alert).encode() + b"\n"
                asked.append(alert)  # before its answer can come
                stream.write(line)
                stream.flush()
    except BrokenPipeError:
        pass  # it ended: its exit code says why
    except BaseException as error:  # noqa: BLE001 - a thread's error is raised by the loop that reads
        broken.append(error)


if __name__ == "__main__":
    try:
        for _, case in judge(map(json.loads, sys.stdin)):
            print(json.dumps(case), flush=True)
    except AegisFailed as error:
        print(error, file=sys.stderr)
        sys.exit(error.code if error.code > 1 else 1)
