#!/usr/bin/env bash
# Tests the app with Splunk's own SDK, in a venv of its own: run_tests.sh [--package] [pytest arguments].
# --package first builds the app with the SDK, which fetches its wheels from PyPI, and checks what is in it.
# Exit code 75: Python 3.13 (the app runs on no other) or the SDK can't be had here; why is on standard error.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON313:-}
for found in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python; do
  if [ -z "$python" ] && "$found" --version >/dev/null 2>&1; then python=$found; fi
done
[ -n "$python" ] || { echo "there is no Python 3.13 here (PYTHON313 can name one)" >&2; exit 75; }
venv=$("$here/../sdk_venv.sh" splunk_soar "$here/requirements-test.txt" "$python")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$venv/bin/python" "$here/../vendor_client.py" "$here" "$work/splunk_soar" src
export AEGIS_REPOSITORY=$here/../..
if [ "${1:-}" = --package ]; then
  shift
  "$venv/bin/python" "$work/splunk_soar/package.py" "$work/aegis.tgz" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
  "$venv/bin/python" "$here/tests/check_package.py" "$work/aegis.tgz" "$work/splunk_soar"
fi
cd "$work/splunk_soar"
"$venv/bin/python" -m pytest -c /dev/null --rootdir . -p no:cacheprovider -q tests "$@"
