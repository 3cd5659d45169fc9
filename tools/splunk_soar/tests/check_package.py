"""Checks a package that the SDK built: python check_package.py aegis.tgz APP."""

import json
import sys
import tarfile
from pathlib import Path


def main(package: str, app: Path) -> None:
    """Everything that the app needs is in it, and nothing that it does not."""
    with tarfile.open(package) as tar:
        names = set(tar.getnames())
        manifest = json.load(tar.extractfile("Aegis/manifest.json"))
        for name in names:
            if name.startswith("Aegis/src/") and name.endswith(".py"):
                assert tar.extractfile(name).read() == (app / name.removeprefix("Aegis/")).read_bytes(), name
    wheels = {row["input_file"] for row in manifest["pip313_dependencies"]["wheel"]}
    missing = {wheel for wheel in wheels if f"Aegis/{wheel}" not in names}
    assert not missing, f"wheels missing: {missing}"
    for needed in ("src/app.py", "src/aegis_client/synchronous.py", "templates/case.html", "README.md", "logo.svg"):
        assert f"Aegis/{needed}" in names, needed
    strays = [name for name in names if "/tests/" in name or "__pycache__" in name]
    assert not strays, strays
    print(f"package: {len(names)} files, {len(wheels)} wheels, {len(manifest['actions'])} actions")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
