#!/usr/bin/env bash
# Installs the app with IBM's own libraries in a virtual environment of its own, runs its tests in resilient-circuits, and
# validates and packages it with resilient-sdk. Exit code 75 if the libraries can't be installed here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$("$here/../sdk_venv.sh" ibm_soar "$here/requirements-test.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work PIP_DISABLE_PIP_VERSION_CHECK=1
"$venv/bin/python" "$here/../vendor_client.py" "$here/fn_aegis" "$work/fn_aegis" fn_aegis/lib

cd "$work/fn_aegis"
"$venv/bin/python" setup.py -q egg_info  # names the functions to the mock of the platform, without installing
PYTHONPATH=$work/fn_aegis:$here/../../tests/soar "$venv/bin/python" -m pytest -q -p no:cacheprovider tests "$@"

cd "$work"
PATH=$venv/bin:$PATH "$venv/bin/resilient-sdk" validate -p fn_aegis --validate 2>&1 | sed 's/\x1b\[[0-9;]*m//g' | tee validate.txt
grep -q 'Critical Issues: *0$' validate.txt
PATH=$venv/bin:$PATH "$venv/bin/resilient-sdk" package -p fn_aegis >package.txt 2>&1 || { cat package.txt; exit 1; }
"$venv/bin/python" - <<'PYTHON'
import tarfile, zipfile
from pathlib import Path

made = sorted(Path("fn_aegis/dist").glob("*.zip")) + sorted(Path("fn_aegis/dist").glob("*.tar.gz"))
names = {Path(name).name for name in zipfile.ZipFile(made[0]).namelist()}
inside = tarfile.open(made[1]).getnames()
assert {"app.json", "export.res"} <= names, names
assert any(name.endswith("fn_aegis/lib/aegis_client/synchronous.py") for name in inside), inside
print("packaged:", ", ".join(path.name for path in made))
PYTHON
