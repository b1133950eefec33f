#!/usr/bin/env bash
# Calls that fail, one by one: the n-th allocation, write, sync, rename, close, open or read of a command, for each n. The command
# must end with a documented status and one error that names what failed, leave nothing half-written, and make the undisturbed
# run's bytes when it is given again.
#
#   bash tests/faults/run.sh [OPTION...] [KIND...] [COMMAND...] [COMMAND/KIND/WHOSE/FUNCTION,FUNCTION...]
#
#   KIND            memory, write, sync, rename, close, open, read; all of them where none is named
#   COMMAND         pack, train, predict, evaluate, verify and more: see COMMANDS in faults.py; the same
#   COMMAND/...     also those calls of one kind that pass through one of the program's functions
#   --whose WHOSE   own, file, library (default all): see fail.c; calls inside libraries are drawn
#   --every         all of own and file; without it, of calls from one place in the program (one stack) the first and the last
#   --library N     so many draws a kind and command (default 20)
#   --most N        so many of own and file, drawn
#   --through F,F   only calls that pass through one of the program's functions
#   --short         one of each, for the suite (tests/cli/test_faults.sh)
#   --at N          shows the N-th of one KIND, COMMAND and WHOSE
#   --seed N        of what is drawn (default 1)
#   --jobs N        at once (default three per processor: they mostly wait)
#
# PULMO names the program (default: build/release/bin/pulmo).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../cli/common.sh" "$(realpath "${PULMO:-$here/../../build/release/bin/pulmo}")"
python3 "$here/faults.py" "$PULMO" "$(realpath "$TOOLS/fail.so")" "$(realpath "$WORK")" "$@"
