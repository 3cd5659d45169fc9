#!/usr/bin/env bash
# Puts analyzers, responders and templates with the thin client into OUT (default: dist beside this file), as Cortex looks for
# them: set analyzer.urls and responder.urls to OUT/analyzers and OUT/responders.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/dist}
mkdir -p "$out"
for kind in analyzers responders; do
  rm -rf "${out:?}/$kind/Aegis"
  "${PYTHON:-python3}" "$here/../vendor_client.py" "$here/$kind/Aegis" "$out/$kind/Aegis" .
  cp "$here/common/aegis_worker.py" "$out/$kind/Aegis/"
done
rm -rf "$out/thehive-templates"
cp -r "$here/thehive-templates" "$out/"
