#!/usr/bin/env bash
# Does predict keep the convolutions busy? Images per second of `pulmo predict`, from its first line of scores to its last one,
# beside those of `pulmo bench conv`, by turns.
#
#   bash bench/predict.sh [--rounds N] [--threads N] [--seconds S] RUN IMAGES PULMO...
#   bash bench/predict.sh runs/first new-images old/bin/pulmo new/bin/pulmo
#
# IMAGES is a folder. A round (default 5) runs `bench conv` for S seconds (default 8), then each program's predict. Printed are
# medians over the rounds: images per second, the ratio to the `bench conv` of the same round (of the first program), and the
# processor time per image, user and system, from which the start (an image alone) is taken away. PULMO_WEIGHTS names the weights.
set -euo pipefail
rounds=5 threads=2 seconds=8
while [[ ${1:-} == --* ]]; do
    case $1 in
        --rounds) rounds=$2 ;;
        --threads) threads=$2 ;;
        --seconds) seconds=$2 ;;
        *) echo "$1: not an option; see the head of $0" >&2; exit 2 ;;
    esac
    shift 2
done
[ $# -ge 3 ] || { echo "usage: predict.sh [--rounds N] [--threads N] [--seconds S] RUN IMAGES PULMO..." >&2; exit 2; }
run=$1 images=$2
shift 2
work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-predict-XXXXXX")
trap 'rm -rf "$work"' EXIT

# stamps PULMO: images after the first batch of lines and the seconds that they took, and how many there are in all.
stamps() {
    TIMEFORMAT='%U %S'
    { time "$1" predict "$run" "$images" --threads "$threads" 2>"$work/err" | python3 -c '
import sys, time
first = last = None
before = lines = 0
for line in iter(sys.stdin.buffer.readline, b""):
    if line.startswith(b"path,"):
        continue
    lines += 1
    last = time.monotonic()
    if first is None:
        first = last
    if last - first < 0.02: # the first batch of lines comes at once
        before = lines
print(lines - before, last - first, lines)' >"$work/stamps"; } 2>"$work/cpu"
}
# alone PULMO: processor time of the start: with one image.
alone() {
    local one
    one=$(find -L "$images" -type f | sort | sed -n 1p)
    TIMEFORMAT='%U %S'
    { time "$1" predict "$run" "$one" --threads "$threads" >"$work/one" 2>&1; } 2>"$work/alone"
}
median() { sort -g | awk '{ v[NR] = $1 } END { printf "%.4f", (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'; }

for ((i = 1; i <= rounds; i++)); do
    conv=$("$1" bench conv --threads "$threads" --seconds "$seconds" 2>"$work/err" | tail -n 1 | sed -nE 's/.*"images_per_second": *([0-9.]+).*/\1/p')
    echo "$conv" >>"$work/conv"
    number=0
    for program in "$@"; do
        alone "$program"
        stamps "$program"
        paste -d' ' "$work/stamps" "$work/cpu" "$work/alone" |
            awk -v conv="$conv" '{ rate = $1 / $2; print rate, rate / conv, 1e3 * ($4 + $5 - $6 - $7) / ($3 - 1) }' >>"$work/of.$number"
        echo "round $i: bench conv $conv, $program $(tail -n 1 "$work/of.$number")" >&2
        number=$((number + 1))
    done
done
printf 'bench conv: %s images/s, %d threads, %d rounds\n' "$(median <"$work/conv")" "$threads" "$rounds"
number=0
for program in "$@"; do
    printf '%s: %s images/s, %s of bench conv, %s ms of processor time per image\n' "$program" \
        "$(awk '{ print $1 }' "$work/of.$number" | median)" "$(awk '{ print $2 }' "$work/of.$number" | median)" \
        "$(awk '{ print $3 }' "$work/of.$number" | median)"
    number=$((number + 1))
done
