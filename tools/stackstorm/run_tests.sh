#!/usr/bin/env bash
# Builds the pack and tests it: actions and sensor against a fake Aegis, the workflow in orquesta, the metadata by structure.
# Exit code 75 if orquesta can't be installed here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# StackStorm 3.9's own Python where there is one; on a newer one orquesta can't be imported and its tests are skipped.
python=python3
for one in python3.10 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.10.*/bin/python3.10; do
  if "$one" -c "" 2>/dev/null; then python=$one; break; fi
done
venv=$("$here/../sdk_venv.sh" stackstorm "$here/requirements-test.txt" "$python")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHON=$venv/bin/python "$here/build.sh" "$work/aegis"
AEGIS_PACK=$work/aegis PYTHONPATH=$here/../../tests/soar "$venv/bin/python" -m pytest -q -p no:cacheprovider -c /dev/null --rootdir "$here/tests" "$here/tests" "$@"
