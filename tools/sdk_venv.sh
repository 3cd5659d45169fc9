#!/usr/bin/env bash
# A virtual environment of its own for one platform's SDK, so that its old pins touch nothing of ours.
#   sdk_venv.sh NAME REQUIREMENTS [PYTHON]   prints the environment's folder
# Made once for each requirements file and kept under $AEGIS_SDK_VENVS (default: the user's cache folder). Exit code 75
# (EX_TEMPFAIL) if the SDK can't be installed, as on a machine without a package index: callers skip then, and say so.
set -euo pipefail
name=$1 requirements=$2 python=${3:-python3}
[ -s "$requirements" ] || { echo "no such requirements file: $requirements" >&2; exit 2; }
command -v "$python" >/dev/null || { echo "there is no $python here" >&2; exit 75; }

stamp=$({ "$python" -VV; cat "$requirements"; } | sha256sum | cut -c1-12)
root=${AEGIS_SDK_VENVS:-${XDG_CACHE_HOME:-$HOME/.cache}/aegis-sdk-venvs}
venv=$root/$name-$stamp
mkdir -p "$root"
exec 9>"$root/$name.lock"
flock 9  # two runs at once make it once
if [ ! -e "$venv/.whole" ]; then
  rm -rf "$venv"
  echo "making $venv" >&2
  "$python" -m venv "$venv"
  if ! "$venv/bin/python" -m pip install -q --disable-pip-version-check --no-input -r "$requirements" >"$root/$name.log" 2>&1; then
    tail -n 5 "$root/$name.log" >&2
    echo "the SDK can't be installed here (all of it: $root/$name.log)" >&2
    exit 75
  fi
  touch "$venv/.whole"
fi
echo "$venv"
