"""The real `aegis` command for the shell blocks of the documentation, without starting Python for each of them.

A shell block calls a script named `aegis`; that hands arguments, standard input and AEGIS_* variables to this process over
a socket, where the command's own application runs. Starting the interpreter anew takes seconds a call, which is
tested elsewhere (tests/cli).
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = """#!{python} -ISE
import json, os, socket, sys
stdin = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read()
call = {{"args": sys.argv[1:], "stdin": stdin, "env": {{k: v for k, v in os.environ.items() if k.startswith("AEGIS_")}}}}
with socket.socket(socket.AF_UNIX) as wire:
    wire.connect({address!r})
    wire.sendall(json.dumps(call).encode() + b"\\n")
    answer = json.loads(wire.makefile("rb").readline())
sys.stdout.write(answer["out"])
sys.stderr.write(answer["err"])
sys.exit(answer["code"])
"""

_ANSWERED = frozenset({"approve", "deny"})


class WarmCli:
    """Serves `aegis` to shell blocks; `path` is the folder to put on PATH.

    A placeholder in capitals stands for an id: ACTION for the first action that waits (for undo and keep, the one
    that was approved last), INCIDENT for the first incident.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "bin"
        self.path.mkdir()
        address = str(folder / "wire")
        script = self.path / "aegis"
        script.write_text(_SCRIPT.format(python=sys.executable, address=address))
        script.chmod(0o755)
        self._last: str | None = None
        self._lock = threading.Lock()
        answer = self._answer

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(json.dumps(answer(json.loads(self.rfile.readline()))).encode() + b"\n")

        self._server = socketserver.ThreadingUnixStreamServer(address, Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def new_page(self) -> None:
        """Forget what was approved on the page before."""
        self._last = None

    def _answer(self, call: dict[str, Any]) -> dict[str, Any]:
        with self._lock:  # streams and environment are the process's
            args = [self._filled(word, call["args"]) for word in call["args"]]
            return _run(args, call["stdin"], call["env"])

    def _filled(self, word: str, args: list[str]) -> str:
        if word not in ("ACTION", "INCIDENT"):
            return word
        from aegis_agents import Aegis

        with Aegis() as aegis:
            if word == "INCIDENT":
                return next(e.incident_id for e in aegis.store.entries() if e.incident_id)
            if args[0] in _ANSWERED or self._last is None:
                waiting = aegis.pending()  # those that the embedded outbox can do come first
                waiting.sort(
                    key=lambda row: row.proposal.action not in ("close_alert", "notify_owner", "add_watchlist")
                )
                self._last = waiting[0].action_id
        return self._last


def _run(args: list[str], stdin: str, env: dict[str, str]) -> dict[str, Any]:
    """One call of the command; its exit code and what it wrote."""
    from aegis_agents.cli.main import app

    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        for name, value in ({"COLUMNS": "120"} | env).items():
            patch.setenv(name, value)
        for name in [n for n in os.environ if n.startswith("AEGIS_") and n not in env]:
            patch.delenv(name)
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8"))
        try:
            app(args, prog_name="aegis")
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - told to the shell block, which fails of it
            code = 70
            err.write(f"{type(error).__name__}: {error}\n")
    return {"out": out.getvalue(), "err": err.getvalue(), "code": code}
