# What tests of the whole program share. Sourced with the program's path in $1: makes a scratch
# directory, removed at the end, and a small data set and weight file in it.
set -Eeuo pipefail
PULMO=$1
TOOLS=$(dirname "$PULMO")/../tests
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-cli-XXXXXX")
trap 'rm -rf "$WORK"' EXIT
# A command that ends a script without a word: which, and what was printed last.
trap 'status=$?; echo "FAILED: line $LINENO, status $status: $BASH_COMMAND" >&2; last_words' ERR
last_words() { ls -t "$WORK" | grep -E "[.](txt|err)$" | head -n 2 | (cd "$WORK" && xargs -r tail -n 8) >&2; }
. "$(dirname "${BASH_SOURCE[0]}")/launcher.sh"
unset PULMO_WEIGHTS
export XDG_CONFIG_HOME=$WORK/settings # keys of pseudonyms
cd "$WORK"

fail() { echo "FAILED: $*" >&2; exit 1; }

# expect STATUS WORD COMMAND...: the command ends with the status and says the word.
expect() {
    local status=$1 word=$2 got=0
    shift 2
    "$@" > out.txt 2>&1 || got=$?
    [ "$got" = "$status" ] || { cat out.txt >&2; fail "status $got, not $status: $*"; }
    grep -qF -e "$word" out.txt || { cat out.txt >&2; fail "no \"$word\" from: $*"; }
}

# From here on packs of DICOM files have names that can be looked at.
names_as_they_are() {
    printf '#!/bin/sh\ncase $1 in pack) exec %s "$@" --set pack.pseudonyms=off;; *) exec %s "$@";; esac\n' "$PULMO" "$PULMO" > as-they-are
    chmod +x as-they-are
    PULMO=$WORK/as-they-are
}

ranks() { local n=$1; shift; mpirun --oversubscribe --bind-to none -n "$n" "$@"; }

make_small() {
    "$TOOLS/make_weights" weights.safetensors
    export PULMO_WEIGHTS=$WORK/weights.safetensors
    "$PULMO" demo-data demo --train 26 --val 11 --test 9 --seed 3 -q
    "$PULMO" pack demo packed --size 64 -q
}

# A run of a few seconds: 3 epochs of 4 batches.
small_train() {
    local run=$1
    shift
    "$@" "$PULMO" train --set data.path=packed --set train.run_dir="$run" --set train.epochs=3 --set train.batch=8 \
        --set train.microbatch=2 --set model.hidden='[12]' --set train.patience=0 ${EXTRA:-}
}
head_of() { sed -n 's/^Head SHA-256: //p' "$1"; }
