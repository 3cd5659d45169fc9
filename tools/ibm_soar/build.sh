#!/usr/bin/env bash
# Builds the app: `build.sh [OUT]` leaves app-fn_aegis-*.zip and fn_aegis-*.tar.gz in OUT (default: dist beside this file).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "${1:-$here/dist}" && cd "${1:-$here/dist}" && pwd)
venv=$("$here/../sdk_venv.sh" ibm_soar "$here/requirements-test.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work  # the SDK keeps settings and logs in the home folder
"$venv/bin/python" "$here/../vendor_client.py" "$here/fn_aegis" "$work/fn_aegis" fn_aegis/lib
PATH=$venv/bin:$PATH "$venv/bin/resilient-sdk" package -p "$work/fn_aegis"
cp "$work"/fn_aegis/dist/*.zip "$work"/fn_aegis/dist/*.tar.gz "$out"
ls -l "$out"
