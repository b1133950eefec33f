#!/usr/bin/env bash
# Grad-CAM beside what else pulmo says of an image: explain's probabilities are predict's, also over views; a report's map
# is of the class that its caption names; no overlay stays that the list does not name.
. "$(dirname "$0")/common.sh"
make_small
EXTRA="--set eval.tta=4 --set augment.brightness=[0.3,1.7] --set augment.rotate_deg=30 --set optim.lr=0.003 --set model.hidden=[]" small_train run env > /dev/null 2>&1

# ---- views ----
"$PULMO" predict run demo/test > predicted.csv 2> /dev/null
"$PULMO" explain run demo/test --out looks > explained.csv 2> /dev/null
[ "$(wc -l < explained.csv)" = 10 ] || { cat explained.csv; fail "not 9 images"; }
python3 - << 'PYTHON'
import csv
said = {row["path"]: row for row in csv.DictReader(open("predicted.csv"))}
for row in csv.DictReader(open("explained.csv")):
    other = said[row["path"]]
    p = float(other["p_" + row["class"]])
    assert abs(p - float(row["probability"])) < 1e-5, (row, other)
    assert row["predicted"] == (other.get("prediction") or other.get("predicted") or other["class"]), (row, other)
PYTHON

# ---- one arithmetic: scores and maps are the same bytes on every tier of kernels that this machine has ----
tiers=0
for tier in ref avx2 avx512 neon; do
    PULMO_ISA=$tier "$PULMO" explain run demo/test --out "looks-$tier" > "explained-$tier.csv" 2> err.txt || {
        grep -q "PULMO_ISA" err.txt || { cat err.txt; fail "explain on $tier"; }
        continue
    }
    PULMO_ISA=$tier "$PULMO" predict run demo/test > "predicted-$tier.csv" 2> /dev/null
    PULMO_ISA=$tier "$PULMO" evaluate run --data packed --out "scored-$tier" > /dev/null 2>&1
    cmp "predicted-$tier.csv" predicted.csv || fail "predict on $tier: other scores"
    diff "scored-$tier/predictions.csv" <(grep -v "^val," run/predictions.csv) || fail "evaluate on $tier: other scores"
    diff <(sed "s/looks-$tier/looks/" "explained-$tier.csv") explained.csv || fail "explain on $tier: other probabilities"
    diff -r -x explain.json "looks-$tier" looks || fail "explain on $tier: other maps"
    tiers=$((tiers + 1))
done
[ $tiers -ge 1 ] || fail "no tier of kernels runs here"
echo "$tiers tiers, the same maps and scores"

# ---- images that are large: the limit is this machine's, and the words name it ----
one=$(ls -d demo/test/NORMAL/* | head -1)
for command in predict "explain --out little"; do
    expect 65 "$one: " "$PULMO" ${command%% *} run "$one" ${command#"${command%% *}"} --set pack.pixels_max=1000
    grep -q "is more than 1000 pixels (pack.pixels_max raises the limit)" out.txt || { cat out.txt; fail "$command: no way out"; }
done
python3 - << 'PYTHON'
import struct, zlib
side = 13400 # 179,560,000 pixels of one bit
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
rows = zlib.compress((b"\0" + bytes(side // 8)) * side, 1)
with open("large.png", "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)) + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
PYTHON
expect 65 "large.png: 13400 x 13400 is more than 178956970 pixels (pack.pixels_max raises the limit)" "$PULMO" predict run large.png
expect 0 "large.png," "$PULMO" predict run large.png --set pack.pixels_max=200000000
printf 'pack:\n  pixels_max: 200000000\n' > large.yaml
expect 0 "large.png," "$PULMO" predict run large.png -c large.yaml

# ---- lists ----
few=$(ls -d demo/test/*/* | head -2)
"$PULMO" explain run $few --out looks > few.csv 2> /dev/null
touch looks/mine.png looks/maps.h5.tmp.12.ab0 # what another may be writing
touch -d '1 hour ago' looks/maps.h5.tmp.11.ab0 scored.tmp && mkdir scored && mv scored.tmp scored/results.h5.tmp.11.ab0
[ "$(find looks -name '*.png' ! -name mine.png | wc -l)" = 2 ] || { ls looks; fail "old overlays stay beside a newer list"; }
"$PULMO" explain run demo/test --out looks > all.csv 2> /dev/null
[ "$(find looks -name '*.png' | wc -l)" = 10 ] || { ls looks; fail "overlays are missing, or a file that is not one was removed"; }

# What killed ones had begun to write is removed, once it has lain for a while.
"$PULMO" evaluate run --data packed --out scored > /dev/null 2>&1
[ ! -e looks/maps.h5.tmp.11.ab0 ] && [ ! -e scored/results.h5.tmp.11.ab0 ] || { ls looks scored; fail "a killed writer's file stays"; }
[ -e looks/maps.h5.tmp.12.ab0 ] || fail "another writer's file was removed"

# Two images of one name, as long as a name may be: each has an overlay, and both an end.
long=$(printf 'n%.0s' $(seq 250)).jpg
mkdir one two && cp $(ls -d demo/test/NORMAL/* | head -1) "one/$long" && cp $(ls -d demo/test/PNEUMONIA/* | head -1) "two/$long"
expect 0 "one/nnn" timeout 60 "$PULMO" explain run "one/$long" "two/$long" --out lengthy
[ "$(find lengthy -name '*.png' | wc -l)" = 2 ] || { ls lengthy; fail "an overlay is missing"; }

# ---- the report ----
for threshold in 0 1; do
    "$PULMO" evaluate run --data packed --set eval.threshold=$threshold --out "at$threshold" > /dev/null 2>&1
    "$PULMO" report "at$threshold" --data packed > /dev/null 2>&1
done
python3 - << 'PYTHON'
import re
def maps(file):
    text = open(file).read()
    out = {}
    for figure in re.findall(r"<figure>(<div class=\"pair.*?)</figure>", text, re.S):
        images = re.findall(r'alt="([^"]*)" src="data:image/png;base64,([^"]*)"', figure)
        called = re.search(r"called <b>(.*?)</b>", figure).group(1)
        assert len(images) == 2, images
        assert called in images[1][0], (called, images[1][0])
        out[re.search(r'class="path">(.*?)<', figure).group(1)] = (called, images[1][1])
    return out
low, high = maps("at0/report.html"), maps("at1/report.html")
both = set(low) & set(high)
assert both, (low.keys(), high.keys())
assert all(low[path][0] != high[path][0] for path in both)
assert any(low[path][1] != high[path][1] for path in both), "the map does not follow the caption"
PYTHON
echo "maps, captions and lists agree"
