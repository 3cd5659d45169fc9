#!/usr/bin/env bash
# Writes the locks anew from pyproject.toml. Needs uv. torch is pinned apart in torch.txt: its CPU
# and CUDA builds differ, so one hash can't fit all.
set -euo pipefail
cd "$(dirname "$0")/.."
lock() {
  local out=$1; shift
  uv pip compile pyproject.toml requirements/build.in --universal --python-version 3.11 --generate-hashes --no-strip-extras \
    --no-emit-index-url --no-emit-find-links --custom-compile-command requirements/lock.sh --quiet "$@" -o "requirements/$out"
}
no_torch=(--no-emit-package torch --no-emit-package triton --no-emit-package setuptools)
for name in $(uv pip compile pyproject.toml --extra llm --universal --python-version 3.11 --quiet --no-header --no-annotate \
    | sed -n 's/^\(nvidia-[a-z0-9-]*\|cuda-[a-z0-9-]*\)==.*/\1/p' | sort -u); do
  no_torch+=(--no-emit-package "$name")
done
lock core.txt
lock dev.txt --extra dev --extra eval --extra connectors --extra feeds --extra mcp --extra postgres --extra scale --extra kafka --extra keyring --extra telemetry --extra server --extra notebook --extra docs
lock train.txt --extra dev --extra eval --extra connectors --extra feeds --extra mcp --extra postgres --extra scale --extra kafka --extra keyring --extra telemetry --extra server --extra notebook --extra docs --extra llm --extra train "${no_torch[@]}"
lock fleet.txt --extra server --extra scale --extra telemetry
lock llm.txt --extra llm "${no_torch[@]}"
