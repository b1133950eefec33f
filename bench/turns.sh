#!/usr/bin/env bash
# Is the second build as fast as the first? Runs two programs by turns with the same arguments.
#
#   bash bench/turns.sh [--rounds N] [--key NAME] BEFORE AFTER ARGUMENTS...
#   bash bench/turns.sh old/bin/pulmo new/bin/pulmo bench conv --threads 1 --seconds 3
#
# A round (default 7) runs both, the other one first in every second round; the number NAME (default images_per_second)
# is read from the JSON object on the last line of stdout. The two of a round suffer alike from what else the
# machine does: the figure to look at is the median of the rounds' ratios, after to before.
set -euo pipefail
rounds=7 key=images_per_second
while [[ ${1:-} == --* ]]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --key) key=$2 ;;
        *) echo "$1: not an option; see the head of $0" >&2; exit 2 ;;
    esac
    shift 2
done
[ $# -ge 3 ] || { echo "usage: turns.sh [--rounds N] [--key NAME] BEFORE AFTER ARGUMENTS..." >&2; exit 2; }
before=$1 after=$2
shift 2

rate() {
    local value
    value=$("$@" 2>/dev/null | tail -n 1 | sed -nE "s/.*\"$key\": *([0-9.]+).*/\1/p")
    [ -n "$value" ] || { echo "$1: no $key" >&2; return 1; }
    echo "$value"
}
median() { sort -g | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

pairs=
for ((i = 0; i < rounds; i++)); do
    if ((i % 2 == 0)); then a=$(rate "$before" "$@") b=$(rate "$after" "$@"); else b=$(rate "$after" "$@") a=$(rate "$before" "$@"); fi
    pairs+="$a $b"$'\n'
    echo "round $((i + 1)): before $a, after $b" >&2
done
ratios=$(awk 'NF { print $2 / $1 }' <<< "$pairs" | sort -g)
printf '%s: before %s, after %s; after / before %.3f (%.3f to %.3f), %d rounds\n' "$key" \
    "$(awk 'NF { print $1 }' <<< "$pairs" | median)" "$(awk 'NF { print $2 }' <<< "$pairs" | median)" \
    "$(median <<< "$ratios")" "$(head -n 1 <<< "$ratios")" "$(tail -n 1 <<< "$ratios")" "$rounds"
