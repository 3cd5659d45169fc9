#!/usr/bin/env bash
# triage.sh ALERTS ANSWERS [options of `aegis investigate`]
#
# Judges the alerts of a JSON Lines file that another program appends to, one answer a line in ANSWERS, in order. Run it as often as
# you like: it goes on behind the last whole answer, also after a crash in the middle of one, and two runs at once wait for
# each other. Nothing is done twice: an alert that was judged before the crash answers its case.
# Exit codes, those of `aegis`: 0 all judged; 1 some could not be read, the rest was judged; 2 wrong usage or settings; 3 the ledger, the
# model or the intelligence is not what it was. After 2 and 3 stop, and call a person.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: triage.sh ALERTS ANSWERS [options of aegis investigate]" >&2; exit 2; }
alerts=$1 answers=$2
shift 2
[ -r "$alerts" ] || { echo "triage.sh: can't read $alerts" >&2; exit 2; }

exec 9>>"$answers"
flock 9

# An answer that was cut off has no line break: it is taken out, and its alert judged again.
if [ -n "$(tail -c 1 -- "$answers")" ]; then
  whole=$(wc -l <"$answers")
  bytes=$(head -n "$whole" -- "$answers" | wc -c)
  truncate -s "$bytes" -- "$answers"
fi
answered=$(wc -l <"$answers")

# Whole lines alone: the last one may still be being written. Blank ones are no alerts.
head -n "$(wc -l <"$alerts")" -- "$alerts" |
  { LC_ALL=C grep -av $'^[ \t\r]*$' || true; } |
  tail -n +"$((answered + 1))" |
  "${AEGIS:-aegis}" investigate - --json "$@" >&9
