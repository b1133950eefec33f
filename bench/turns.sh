#!/usr/bin/env bash
# Is the second build as fast as the first? Runs two programs by turns with the same arguments.
#
#   bash bench/turns.sh [--rounds N] [--key NAME] [--cpu N] BEFORE AFTER ARGUMENTS...
#   bash bench/turns.sh old/bin/pulmo new/bin/pulmo bench conv --threads 1 --seconds 3
#
# A round (default 7) runs both, the other one first in every second round; the number NAME (default images_per_second)
# is read from the JSON object on the last line of stdout. The two of a round suffer alike from what else the
# machine does: the figure to look at is the median of the rounds' ratios, after to before.
#
# --cpu N: for a machine that others use. Both run at once, on that CPU alone, where the scheduler makes them take turns of
# milliseconds; the first to end keeps the CPU as busy as before until the other ends. Rates are then about half.
# Not for what is bound by memory: a program shares the caches with the other, and has them alone when that has ended.
set -euo pipefail
rounds=7 key=images_per_second cpu=
while [[ ${1:-} == --* ]]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --key) key=$2 ;;
        --cpu) cpu=$2 ;;
        *) echo "$1: not an option; see the head of $0" >&2; exit 2 ;;
    esac
    shift 2
done
[ $# -ge 3 ] || { echo "usage: turns.sh [--rounds N] [--key NAME] [--cpu N] BEFORE AFTER ARGUMENTS..." >&2; exit 2; }
before=$1 after=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-turns-XXXXXX")
trap 'rm -rf "$work"' EXIT

run() { "$@" 2>/dev/null | tail -n 1; }
# together NAME OTHER PROGRAM...: one of two at once.
together() {
    local name=$1 other=$2
    shift 2
    taskset -cp "$cpu" "$BASHPID" >/dev/null
    run "$@" >"$work/$name" || true
    : >"$work/$name.ended"
    while [ ! -e "$work/$other.ended" ]; do :; done
}
rate() {
    local value
    value=$(sed -nE "s/.*\"$key\": *([0-9.]+).*/\1/p" "$work/$1")
    [ -n "$value" ] || { echo "the program $1: no $key" >&2; return 1; }
    echo "$value"
}
median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

pairs=
for ((i = 0; i < rounds; i++)); do
    rm -f "$work"/*
    if [ -n "$cpu" ]; then
        together before after "$before" "$@" &
        together after before "$after" "$@" &
        wait
    elif ((i % 2 == 0)); then
        run "$before" "$@" >"$work/before"
        run "$after" "$@" >"$work/after"
    else
        run "$after" "$@" >"$work/after"
        run "$before" "$@" >"$work/before"
    fi
    a=$(rate before) b=$(rate after)
    pairs+="$a $b"$'\n'
    echo "round $((i + 1)): before $a, after $b" >&2
done
ratios=$(awk 'NF { print $2 / $1 }' <<< "$pairs" | sort -g)
printf '%s: before %s, after %s; after / before %.3f (%.3f to %.3f), %d rounds\n' "$key" \
    "$(awk 'NF { print $1 }' <<< "$pairs" | median)" "$(awk 'NF { print $2 }' <<< "$pairs" | median)" \
    "$(median <<< "$ratios")" "$(head -n 1 <<< "$ratios")" "$(tail -n 1 <<< "$ratios")" "$rounds"
