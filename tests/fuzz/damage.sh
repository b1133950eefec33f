#!/usr/bin/env bash
# Random changes of bytes in pulmo's files, and what its commands make of them: none may be accepted with other values, none may
# crash or hang. The suite runs a few (tests/cli/test_damage.sh); all of them:
#
#   bash tests/fuzz/damage.sh [CHANGES [SEED [PULMO]]]        # 2000, 1, build/release/bin/pulmo
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
changes=${1:-2000} seed=${2:-1} program=$(realpath "${3:-$here/../../build/release/bin/pulmo}")
. "$here/../cli/common.sh" "$program"
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 12 --val 6 --test 6 --seed 3 -q
"$PULMO" pack demo packed --size 32 -q
python3 "$here/damage.py" "$PULMO" "$changes" "$seed"
