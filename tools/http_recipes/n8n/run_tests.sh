#!/usr/bin/env bash
# Installs n8n-workflow and the descriptions of n8n's nodes from npm into a cache folder, and conducts the workflows with them
# (test_n8n.py). Exit code 75 if they can't be had here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
workflow=2.41.0 nodes=2.41.2
command -v node >/dev/null && command -v npm >/dev/null || { echo "there is no node and npm here" >&2; exit 75; }
root=${AEGIS_SDK_VENVS:-${XDG_CACHE_HOME:-$HOME/.cache}/aegis-sdk-venvs}
home=$root/n8n-$workflow-$nodes-used
mkdir -p "$root"
exec 9>"$root/n8n.lock"
flock 9
if [ ! -e "$home/.whole" ]; then
  rm -rf "$home"
  mkdir -p "$home"
  echo "making $home" >&2
  cd "$home"
  echo '{"private": true}' >package.json
  {
    npm install --ignore-scripts --no-audit --no-fund "n8n-workflow@$workflow" &&
      npm pack --silent "n8n-nodes-base@$nodes" &&
      tar -xzf ./*.tgz package/dist/types/nodes.json && rm ./*.tgz &&
      node -e 'const fs = require("node:fs");
        const used = /^(webhook|set|httpRequest|switch|if|splitOut|noOp|wait|executeWorkflow|executeWorkflowTrigger)$/;
        const all = JSON.parse(fs.readFileSync("package/dist/types/nodes.json", "utf8"));
        fs.writeFileSync("nodes.json", JSON.stringify(all.filter((node) => used.test(node.name))));' && rm -r package
  } >npm.log 2>&1 || { tail -n 5 npm.log >&2; echo "n8n can't be had here" >&2; exit 75; }
  touch .whole
fi
N8N_HOME=$home PYTHONPATH=$here/../../../tests/soar "${PYTHON:-python3}" -m pytest -q -p no:cacheprovider -c /dev/null --rootdir "$here/tests" "$here/tests" "$@"
