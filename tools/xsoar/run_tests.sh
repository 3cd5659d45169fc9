#!/usr/bin/env bash
# Tests the pack: unit tests against a fake Aegis server, and the platform's own `demisto-sdk validate` and
# `prepare-content`, in a venv of its own. run_tests.sh [pytest arguments].
# AEGIS_XSOAR_CONTENT names a checkout of demisto/content: then its demistomock and CommonServerPython are used instead of
# our stand-ins. Exit code 75: the SDK can't be had here; why is on standard error.
set -euo pipefail
here=$(cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' || { echo "demisto-sdk's pins want Python 3.10 to 3.12" >&2; exit 75; }
venv=$("$here/../sdk_venv.sh" xsoar "$here/requirements-test.txt" "$python")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [ -n "${AEGIS_XSOAR_CONTENT:-}" ]; then
  theirs=$AEGIS_XSOAR_CONTENT/Tests/demistomock:$AEGIS_XSOAR_CONTENT/Packs/Base/Scripts/CommonServerPython:$AEGIS_XSOAR_CONTENT/Packs/Base/Scripts/CommonServerUserPython
else
  theirs=$here/stand_ins
fi
# The SDK works on a content repository: this one has our pack alone.
mkdir "$work/content"
cp -r "$here/Packs" "$work/content/"
cd "$work/content"
pack=Packs/Aegis
PYTHONPATH=$theirs:$pack/Integrations/Aegis:$pack/Scripts/AegisInvestigateIncident:$here/../../tests/soar \
  PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" -m pytest -c /dev/null --rootdir . -p no:cacheprovider -p no:freezegun -q \
  $pack/Integrations/Aegis/Aegis_test.py $pack/Scripts/AegisInvestigateIncident/AegisInvestigateIncident_test.py "$@"

git init -q -b master .
git add -A
git -c user.name=tests -c user.email=tests@localhost commit -qm "The pack"
git remote add origin https://github.com/demisto/content.git  # a name that the SDK looks for; nothing is fetched
export DEMISTO_SDK_IGNORE_CONTENT_WARNING=1 DEMISTO_SDK_SKIP_VERSION_CHECK=1 DEMISTO_SDK_CONTENT_PATH=$PWD CONTENT_PATH=$PWD
if ! "$venv/bin/demisto-sdk" validate -i $pack >"$work/validate.log" 2>&1; then
  tail -n 40 "$work/validate.log" >&2
  exit 1
fi
echo "demisto-sdk validate: passed"
for item in Integrations/Aegis Scripts/AegisInvestigateIncident; do
  "$venv/bin/demisto-sdk" prepare-content -i "$pack/$item" -o "$work/$(basename $item).yml" >"$work/prepare.log" 2>&1 \
    || { tail -n 20 "$work/prepare.log" >&2; exit 1; }
  "$venv/bin/python" - "$work/$(basename $item).yml" "$pack/$item/$(basename $item).py" <<'PY'
import sys
from ruamel.yaml import YAML
made = YAML(typ="safe").load(open(sys.argv[1]))
script = made["script"]["script"] if isinstance(made["script"], dict) else made["script"]
assert all(line in script for line in open(sys.argv[2]).read().splitlines() if line.startswith("def ")), sys.argv[1]
print(f"prepare-content: {made['name']}, {len(script)} characters of script")
PY
done
