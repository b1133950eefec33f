#!/usr/bin/env bash
# `bench report` on a machine without data and weights: every figure is there and plausible, ratios are those to the file that
# is named, and what cannot be measured or read is refused.
. "$(dirname "$0")/common.sh"
mkdir scratch
export TMPDIR=$PWD/scratch HOME=$PWD/nobody

echo '{"report": "pulmo", "conv": 10.000, "pack": 4.00}' > before.txt
"$PULMO" bench report --seconds 1 --size 32 --threads 2 --against before.txt > report.txt 2> report.err || { cat report.err; fail "bench report"; }
! ls scratch | grep pulmo || fail "left in TMPDIR"

# member NAME: a number of the JSON object on the last line
member() { tail -n 1 report.txt | sed -nE "s/.*[{ ]\"$1\": ([0-9.]+)[,}].*/\1/p"; }
# is CONDITION: in numbers of the object, by name
is() {
    local condition=$1 name
    for name in $(grep -oE '[a-z][a-z0-9_]+' <<< "$condition"); do
        [ -n "$(member "$name")" ] || fail "no number $name"
        condition=$(sed -E "s/\b$name\b/$(member "$name")/g" <<< "$condition")
    done
    awk "BEGIN { exit !($condition) }" || { tail -n 1 report.txt; fail "not so: $1 ($condition)"; }
}
for name in peak_ref memory conv_1 conv step_head step_block4 pack bank start_process; do
    is "$name > 0"
done
is "threads == 2 && size == 32"
is "peak_ref < 1000 && memory < 10000 && conv_1 < 100000 && start_process < 60000"
is "step_block4 < 2 * step_head" # it trains more
[ -z "$(member start_network)" ] || fail "the drawing of weights is called the start"
tail -n 1 report.txt | grep -q '"weights": "drawn"' || fail "weights are not drawn"
tail -n 1 report.txt | grep -qE '"isa": "[a-z0-9]+"' || fail "no tier"
"$PULMO" --version | grep -qF "$(tail -n 1 report.txt | sed -nE 's/.*"version": "([^"]+)".*/\1/p')" || fail "another version"

# The table: a row for each figure, two of them with the other's and the ratio.
ratio() { sed -nE "s/^$1 +([0-9.]+)  images\/s +([0-9.]+) +([0-9.]+)$/\1 \2 \3/p" report.txt; }
awk -v row="$(ratio convolutions)" 'BEGIN { split(row, v); exit !(v[2] == 10 && v[1] > 0 && (v[1] / 10 / v[3] - 1) ^ 2 < 1e-6) }' ||
    { cat report.txt; fail "conv: not its ratio to 10"; }
awk -v row="$(ratio packing)" 'BEGIN { split(row, v); exit !(v[2] == 4 && (v[1] / 4 / v[3] - 1) ^ 2 < 1e-6) }' || { cat report.txt; fail "pack: not its ratio to 4"; }
[ -z "$(ratio "feature bank")" ] || fail "a ratio to a figure that is not there"

# Nothing is measured where the other file is none, or where ranks would share the machine.
echo '{"images_per_second": 3}' > other.txt
expect 65 "other.txt: holds no figures" "$PULMO" bench report --against other.txt
expect 74 "none.txt" "$PULMO" bench report --against none.txt
expect 2 "without mpirun" mpirun -n 2 "$PULMO" bench report
