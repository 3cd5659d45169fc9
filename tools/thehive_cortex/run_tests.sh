#!/usr/bin/env bash
# Builds the workers and runs them as Cortex does, with cortexutils in a virtual environment of its own. Exit code 75 if it
# can't be installed here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=$("$here/../sdk_venv.sh" thehive_cortex "$here/requirements-test.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PYTHON=$venv/bin/python "$here/build.sh" "$work/built"
AEGIS_WORKERS=$work/built PYTHONPATH=$here/../../tests/soar "$venv/bin/python" -m pytest -q -p no:cacheprovider -c /dev/null --rootdir "$here/tests" "$here/tests" "$@"
