#!/usr/bin/env bash
# Puts the pack with the thin client into OUT (default: dist/aegis beside this file); `st2 pack install file://OUT` installs it
# from there once OUT is a git repository, or copy it to /opt/stackstorm/packs/aegis and run `st2ctl reload --register-all`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/dist/aegis}
mkdir -p "$(dirname "$out")"
rm -rf "${out:?}"
# Twice: StackStorm gives actions their actions/lib, and sensors the folder that they lie in.
"${PYTHON:-python3}" "$here/../vendor_client.py" "$here/pack" "$out" actions/lib sensors
cp "$here/common/inert.py" "$out/actions/lib/"
cp "$here/common/inert.py" "$out/sensors/"
echo "$out"
