#!/usr/bin/env bash
# `pulmo audit SOURCE`: what pack would find, without a pack.
. "$(dirname "$0")/common.sh"
export TMPDIR=$WORK/scratch
mkdir scratch
"$PULMO" demo-data demo --train 26 --val 11 --test 9 --seed 3 -q
first() { ls "$1"/* | head -1; }
sums() { find "$1" -type f -exec sha256sum {} + | sort; }

# ---- a source without findings ----
sums demo > before.txt
expect 0 "pack would take this source" "$PULMO" audit demo --strict
grep -qE "^train  *26 images of [0-9]+ known patients:  NORMAL 13  PNEUMONIA 13$" out.txt || { cat out.txt; fail "counts of train"; }
sums demo | cmp - before.txt || fail "the source was written to"
[ -z "$(ls scratch)" ] || fail "scratch files stay"

# ---- one of each finding, as pack finds them ----
cp -r demo bad
cp "$(first demo/train/NORMAL)" bad/test/NORMAL/
cp "$(first demo/train/PNEUMONIA)" bad/train/NORMAL/twice.jpeg
"$TOOLS/make_jpeg" "$(first demo/val/NORMAL)" bad/train/NORMAL/smaller.jpeg grey 150 150 0
echo "not an image" > bad/train/NORMAL/broken.jpeg
expect 0 "pack would refuse this source" "$PULMO" audit bad
for words in "train/NORMAL/broken.jpeg: is not a JPEG" "byte-identical files: 2" "the same or nearly the same picture: 1" \
    "patients in several splits: 1" "leaks between splits: 3" "bad: 3 leaks between splits. Ways out: --drop-leaks"; do
    grep -qF -e "$words" out.txt || { cat out.txt; fail "no $words"; }
done
expect 65 "bad: has findings, and --strict was given" "$PULMO" audit bad --strict
expect 0 "pack would take this source" "$PULMO" audit bad --drop-leaks
"$PULMO" audit bad --format json > found.json 2> words.txt || fail "json"
[ ! -s words.txt ] || { cat words.txt; fail "words on stderr"; }
expect 65 "3 leaks between splits" "$PULMO" pack bad refused
expect 0 "packed" "$PULMO" pack bad packed --allow-leaks
python3 - found.json <<'END' || fail "json differs from what was put in"
import json, sys
found = json.load(open(sys.argv[1]))
assert found["files"] == 46 + 4 and found["classes"] == ["NORMAL", "PNEUMONIA"], found
assert found["splits"]["train"]["classes"] == {"NORMAL": 15, "PNEUMONIA": 13}, found["splits"]
assert found["splits"]["test"]["images"] == 10
assert [f["path"] for f in found["unusable"]] == ["train/NORMAL/broken.jpeg"]
assert len(found["identical"]) == 2 and any("different classes" in line for line in found["identical"])
assert len(found["similar"]) == 1 and "smaller.jpeg" in found["similar"][0]
assert len(found["leaks"]) == 3 and len(found["pack_refuses"]) == 1 and found["dropped"] == []
END

# ---- what stops a pack early is a finding; what cannot be listed is an error ----
mkdir -p lone/NORMAL && cp demo/test/NORMAL/* lone/NORMAL/
expect 0 "has one class only (NORMAL)" "$PULMO" audit lone
cp -r demo/train unknown && (cd unknown/NORMAL && for file in *; do mv "$file" "x${file//[^0-9]/}.jpeg"; done)
expect 65 "patients" "$PULMO" audit unknown --val-fraction 0.2
expect 0 "images whose patient is not known: 13" "$PULMO" audit unknown --val-fraction 0.2 --patients-unknown
expect 74 "nowhere" "$PULMO" audit nowhere
expect 2 "one process" ranks 2 "$PULMO" audit demo

# ---- a table ----
(echo path,label,person && cd demo/train && ls -d */* | awk -F/ '{ print $0 "," $1 ",p" int(NR / 3) }') > labels.csv
expect 0 "told by pack.table_patient" "$PULMO" audit demo/train --set pack.table=labels.csv --set pack.table_path=path \
    --set pack.table_label=label --set pack.table_patient=person
[ -z "$(ls scratch)" ] || fail "scratch files stay"
