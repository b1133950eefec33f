#!/usr/bin/env bash
# report --scores: the page about scores that another program made, with figures as from the definitions.
. "$(dirname "$0")/common.sh"
command -v python3 > /dev/null || { echo "skipped: python3 is not installed"; exit 77; }
here=$PULMO_SOURCE/tests/cli
page() { python3 "$here/page.py" "$@" || fail "$1"; }

# Scores of two classes from a generator of our own; one column of probabilities is enough. 240 patients, some with
# two images; ages as DICOM writes them, some not recorded.
python3 - > net.csv <<'EOF2'
import math, random
random.seed(7)
print("image,patient_id,label,p_PNEUMONIA,Sex,Age")
for i in range(300):
    patient = i if i < 240 else 2 * (i - 240) + 1
    sick = patient % 5 < 2
    z = random.gauss(1.2 if sick else -1.0, 1.1)
    sex = "F" if patient % 2 else "M"
    age = "" if patient % 31 == 0 else f"{20 + patient * 7 % 60:03d}Y"
    name = "png" if patient % 4 == 0 else "jpeg"
    print(f"a/{i}.{name},p{patient},{'PNEUMONIA' if sick else 'NORMAL'},{1 / (1 + math.exp(-z)):.7f},{sex},{age}")
EOF2
sed '1s/.*/path,patient,label,p_PNEUMONIA,Sex,Age/' net.csv > plain.csv # as groups.py reads it
"$PULMO" report --scores net.csv --out net --by Sex,Age:40:60,format > told.txt 2>&1 || { cat told.txt; fail "report --scores"; }
grep -q '^Report: net/report.html' told.txt || fail "the report is not told of"
page net/report.html "Another program made these scores" "The positive class is PNEUMONIA" "from a probability of 0.5000 on" \
    "was taken because the file names none" "By Age" "40 to below 60" "too small for a claim"
python3 "$here/groups.py" net plain.csv || fail "groups.csv"
python3 - <<'EOF2' || fail "the sentence of the page"
import csv, html
rows = list(csv.DictReader(open("net.csv")))
called = [float(r["p_PNEUMONIA"]) >= 0.5 for r in rows]
sick = [r["label"] == "PNEUMONIA" for r in rows]
page = html.unescape(open("net/report.html").read().replace("<b>", "").replace("</b>", ""))
right = sum(c == s for c, s in zip(called, sick))
found = sum(c and s for c, s in zip(called, sick))
assert f"Of 300 scored images, {right} were classified correctly." in page, right
assert f" Of {sum(sick)} PNEUMONIA images, {found} were found" in page, found
EOF2
cp -r net first && "$PULMO" report --scores net.csv --out net --by Sex,Age:40:60,format > /dev/null && cmp first/report.html net/report.html ||
    fail "the same scores, another page"

# ---- the paragraphs for a paper: numbers filled in, gaps marked, no section named that is not there ----
python3 - <<'EOF2' || fail "the section for a paper"
import csv, html, re
raw = open("net/report.html").read()
raw = raw[raw.index("<h2>For a paper</h2>"):]
text = html.unescape(re.sub("<[^>]*>", "", raw))
rows = list(csv.DictReader(open("net.csv")))
sick = sum(r["label"] == "PNEUMONIA" for r in rows)
for wanted in (f"Scored were {len(rows)} images of {len({r['patient_id'] for r in rows})} patients.",
               f" {sick} of them ({100 * sick / len(rows):.1f} %) had PNEUMONIA. AUC was 0.", "intervals are by patient: Obuchowski",
               "[scanner: not recorded]", "[model, its training and its data: not recorded]. An image was called PNEUMONIA", "By Sex, AUC ranged from 0.",
               "14, 20b, 23a, 23b"):
    assert wanted in text, wanted
gaps = re.findall(r"<mark>\[([^<]*)\]</mark>", raw)
assert len(gaps) > 8 and all(g.endswith(": not recorded") for g in gaps), gaps
headings = set(re.findall("<h2>(.*?)</h2>", open("net/report.html").read()))
named = set(re.findall(r'<tr><th scope="row">([^<]*)</th><td>', raw)) - {"not on this page"}
assert named and named <= headings, named - headings
EOF2

# ---- another threshold, another finding ----
"$PULMO" report --scores net.csv --out high --threshold 0.9 > /dev/null || fail "--threshold"
page high/report.html "from a probability of 0.9000 on" "That threshold was given with the command"
[ ! -e high/groups.csv ] || fail "groups unasked"
"$PULMO" report --scores net.csv --out other --class NORMAL > /dev/null || fail "--class"
page other/report.html "The positive class is NORMAL"

# ---- three classes, called by the file itself; no patients ----
python3 - > three.csv <<'EOF2'
names = ("A", "B", "C")
print("path,label,p_A,p_B,p_C,predicted,Site")
for i in range(90):
    p = [0.2, 0.2, 0.2]
    p[(i + (i % 7 == 0)) % 3] = 0.6
    print(f"{i}.png,{names[i % 3]},{p[0]},{p[1]},{p[2]},{names[i % 2]},{'<b>' if i % 2 else 'Nord'}")
EOF2
"$PULMO" report --scores three.csv --out three --by Site > /dev/null || fail "three classes"
page three/report.html "C against the rest" "<b>" "Nord"
! grep -q "Patients are few" three/report.html || fail "counts patients of a finding that there is none of"
expect 2 "--threshold 0.3: is for two classes; three.csv has 3" "$PULMO" report --scores three.csv --out three --threshold 0.3
expect 2 "--class C: is for two classes" "$PULMO" report --scores three.csv --out three --class C
expect 74 "nothing.csv: cannot be opened" "$PULMO" report --scores nothing.csv --out three
[ "$(grep -c 'against the rest</b><svg' three/report.html)" = 3 ] || fail "not a forest plot a class"
"$PULMO" report --scores three.csv --out shared --share > /dev/null || fail "--share"
! grep -q 'three\.csv' shared/share.html || fail "a page to give away names its file"

# ---- what is refused ----
expect 2 'there is no column "Sax"' "$PULMO" report --scores net.csv --out x --by Sax
expect 2 'has no such class' "$PULMO" report --scores net.csv --out x --class COVID
expect 2 'must be a number from 0 to 1' "$PULMO" report --scores net.csv --out x --threshold youden
expect 2 'needs --out DIR' "$PULMO" report --scores net.csv
expect 2 'two reports' "$PULMO" report first --scores net.csv --out x
expect 2 'go with --scores' "$PULMO" report first --threshold 0.5
# Which rows are meant, and what decides, is not guessed.
awk -F, -v OFS=, 'NR == 1 { print $0, "split" } NR > 1 { print $0, (NR % 2 ? "train" : "holdout") }' net.csv > splits.csv
expect 65 'none of "test"; say which is meant with --split' "$PULMO" report --scores splits.csv --out x
"$PULMO" report --scores splits.csv --out holdout --split holdout > /dev/null || fail "--split"
awk -F, -v OFS=, 'NR == 1 { print $0, "positive_class" } NR > 1 { print $0, "FOO" }' net.csv > foo.csv
expect 65 'must be one of the classes' "$PULMO" report --scores foo.csv --out x
sed '1s/label/class/' net.csv > class.csv
expect 65 'has no column of true classes' "$PULMO" report --scores class.csv --out x
mkdir run && : > run/results.h5
expect 2 'holds results of a run' "$PULMO" report --scores net.csv --out run
: > other/groups.csv
"$PULMO" report --scores net.csv --out other > /dev/null && [ ! -e other/groups.csv ] || fail "groups of earlier scores stay"
sed '5s/0\.[0-9]*/1.5/' net.csv > odd.csv
expect 65 'odd.csv' "$PULMO" report --scores odd.csv --out x
echo "ok"
