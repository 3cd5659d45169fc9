"""The first opening cut off: the next one finds a ledger that is whole. With real kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from aegis_agents.ledger.opening import open_store

_OPENS_AND_DIES = """
import os, signal, sys
from pathlib import Path
from aegis_agents.ledger import anchor, database
from aegis_agents.ledger.opening import open_store

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

point, home, url, schema = sys.argv[1:]
create, run, write = anchor.AnchorFile.create, database.Database._run, os.write
if point == "before the anchor":
    anchor.AnchorFile.create = die
elif point == "half an anchor":
    os.write = die
elif point == "after the anchor":
    anchor.AnchorFile.create = lambda self, it: (create(self, it), die())
elif point == "before the commit":
    database.Database._run = lambda self, sql, values=(): die() if sql == "COMMIT" else run(self, sql, values)
elif point == "after the commit":
    database.Database._run = lambda self, sql, values=(): (run(self, sql, values), sql == "COMMIT" and die())[0]
open_store(url or None, Path(home), schema=schema)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
@pytest.mark.parametrize(
    "point", ["before the anchor", "half an anchor", "after the anchor", "before the commit", "after the commit"]
)
def test_a_first_opening_that_was_cut_off_harms_nothing(
    database: str | None, schema: str, tmp_path: Path, point: str
) -> None:
    command = [sys.executable, "-c", _OPENS_AND_DIES, point, str(tmp_path), database or "", schema]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    for entries in (1, 2):
        store = open_store(database, tmp_path, schema=schema)
        store.append("test", None, {})
        assert store.verify().entries == entries
        store.close()
