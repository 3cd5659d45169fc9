"""Copies a package together with the thin client, ready to deploy: `vendor_client.py PACKAGE OUT WHERE ...`.

PACKAGE is the folder to copy, OUT the new folder (it must not exist), and each WHERE a folder in it that gets
`aegis_client`, a copy of src/aegis_agents/client. So the client has one source, and no copy of it lies in the repository.
Needs the standard library only.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "src" / "aegis_agents" / "client"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".pytest_cache", "*.egg-info", "build", "dist")


def vendor(package: Path, out: Path, where: list[str]) -> None:
    """Copy, and add the client. Raises FileExistsError if OUT is there, ValueError if a WHERE leads out of it."""
    shutil.copytree(package, out, ignore=_LEFT_OUT)
    for place in where:
        target = (out / place / "aegis_client").resolve()
        if not target.is_relative_to(out.resolve()):
            raise ValueError(f"{place} is not in the package")
        shutil.copytree(CLIENT, target, ignore=_LEFT_OUT)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    vendor(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
