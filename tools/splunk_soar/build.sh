#!/usr/bin/env bash
# Builds the app, client included: build.sh [aegis.tgz]. PYTHON is one with splunk-soar-sdk (default: python3).
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
out=$(realpath -m -- "${1:-aegis.tgz}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" "$here/../vendor_client.py" "$here" "$work/splunk_soar" src
"${PYTHON:-python3}" "$work/splunk_soar/package.py" "$out"
