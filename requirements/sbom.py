"""The software bill of materials of a lock: CycloneDX 1.6 JSON, the same bytes from the same lock, valid or not written.

    python requirements/sbom.py build/sbom                 # all locks
    python requirements/sbom.py build/sbom core.txt        # this one

What cyclonedx-py reads from a lock (names, versions, every hash) is kept; added are the package itself with its version
and what it asks for directly. Exit code 1, with the reason, for what is not valid.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCKS = ("core.txt", "dev.txt", "llm.txt", "train.txt")
_NAME = re.compile(r"^[A-Za-z0-9._-]+")


def bom_of(lock: Path) -> dict[str, Any]:
    """The bill of a lock, as JSON's objects. Raises CalledProcessError where cyclonedx-py can't read it."""
    command = [
        str(Path(sys.executable).with_name("cyclonedx-py")), "requirements", str(lock), "--pyproject",
        str(HERE.parent / "pyproject.toml"), "--sv", "1.6", "--output-reproducible", "--short-PURLs", "--no-validate", "-o", "-",
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    bom: dict[str, Any] = json.loads(done.stdout)
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    root = bom["metadata"]["component"]
    version = re.search(
        r'"([^"]+)"', (HERE.parent / "src/aegis_agents/_version.py").read_text("utf-8").split("=", 1)[1]
    )
    root["version"] = version[1] if version else "0"
    refs = {}
    for component in bom["components"]:
        component.pop("description", None)  # the line of the lock, which its hashes say already
        component["bom-ref"] = component["purl"]
        refs[_plain(component["name"])] = component["purl"]
    direct = sorted({refs[name] for text in project["dependencies"] if (name := _plain(text)) in refs})
    bom["dependencies"] = [
        {"ref": root["bom-ref"], "dependsOn": direct},
        *({"ref": purl} for purl in sorted({c["purl"] for c in bom["components"]})),
    ]
    return bom


def _plain(text: str) -> str:
    """A package's name as PEP 503 compares it."""
    found = _NAME.match(text)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""


def problem(text: str) -> str:
    """What the schema of CycloneDX 1.6 has against it; "" for nothing."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) or "")


def main(folder: Path, locks: list[str]) -> int:
    """Write a file for each lock; answers the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in locks or LOCKS:
        bom = bom_of(HERE / name)
        text = json.dumps(bom, indent=1, sort_keys=True) + "\n"
        if wrong := problem(text):
            print(f"{name}: not a valid CycloneDX 1.6 bill: {wrong[:500]}", file=sys.stderr)
            return 1
        target = folder / f"aegis-{Path(name).stem}.cdx.json"
        target.write_text(text, "utf-8")
        print(f"{target}: {len(bom['components'])} components")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
