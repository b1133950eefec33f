#!/usr/bin/env bash
# report.html and MODEL_CARD.md: whole, told apart from markup whatever the names are, without network, the same
# bytes every time, and still there where data or weights are not.
. "$(dirname "$0")/common.sh"
command -v python3 > /dev/null || { echo "skipped: python3 is not installed"; exit 77; }
here=$PULMO_SOURCE/tests/cli
make_small
check() { python3 "$here/page.py" "$@" || fail "report.html"; }

# ---- hostile names of classes, files and run ----
evil='<img src=x onerror=alert(1)>' odd="a\"b'c&amp;\`d"
cp -r demo plain
for split in train val test; do
    mv "demo/$split/NORMAL" "demo/$split/$odd" && mv "demo/$split/PNEUMONIA" "demo/$split/$evil"
    first=$(ls "demo/$split/$evil" | head -1)
    mv "demo/$split/$evil/$first" "demo/$split/$evil/<script>alert(2)<|script> é ${first}"
done
"$PULMO" pack demo hostile --size 64 -q
EXTRA="--set data.path=hostile --set eval.threshold=accuracy --set model.positive_class=$odd" small_train '<b>run' env > run.txt 2> run.err || { cat run.err; fail "training"; }
grep -q "^Report: <b>run/report.html" run.txt || fail "the report is not told of"
check '<b>run/report.html' "$evil" "$odd" "<b>run" "DEMO data." "Grad-CAM" "chosen on the validation images"
grep -q 'DEMO data' '<b>run/MODEL_CARD.md' && grep -q 'not a medical device' '<b>run/MODEL_CARD.md' || fail "MODEL_CARD.md"
! grep -q '[^\\]<img' '<b>run/MODEL_CARD.md' || fail "markup in MODEL_CARD.md"
[ "$(grep -o '<img ' '<b>run/report.html' | wc -l)" -gt 4 ] || fail "no thumbnails"

# ---- the sentences say what is stored ----
python3 - '<b>run' <<'EOF' || fail "the page's sentence"
import csv, html, sys
rows = [r for r in csv.DictReader(open(sys.argv[1] + "/predictions.csv", newline="")) if r["split"] == "test"]
names = sorted({r["label"] for r in rows}, key=lambda n: list(rows[0]).index("p_" + n))
right = sum(r["label"] == r["predicted"] for r in rows)
sick = [r for r in rows if r["label"] == names[1]]
found = sum(r["predicted"] == names[1] for r in sick)
page = html.unescape(open(sys.argv[1] + "/report.html").read().replace("<b>", "").replace("</b>", ""))
for wanted in (f"Of {len(rows)} test images, {right} w", f" Of {len(sick)} {names[1]} images, {found} w"):
    assert wanted in page, wanted
EOF

# ---- again: the same bytes; without weights, without data ----
cp '<b>run/report.html' first.html
"$PULMO" report '<b>run' > told.txt 2>&1 || { cat told.txt; fail "pulmo report"; }
cmp first.html '<b>run/report.html' || fail "the same results, another page"

# ---- when it was made, which a copy does not change; each section of the configuration in one piece ----
grep -qE '<p class="kicker">pulmo report · trained [0-9]+ [A-Z][a-z]+ 20[0-9]+ in [0-9]+ (s|min)</p>' first.html || fail "no training time at the top"
touch -d 2001-02-03 '<b>run/results.h5' && "$PULMO" report '<b>run' > told.txt 2>&1
cmp first.html '<b>run/report.html' || fail "the date is the file's"
[ "$(grep -o '<pre>[a-z]*:' first.html | tr -d '\n')" = "<pre>augment:<pre>model:<pre>train:<pre>bank:<pre>optim:<pre>eval:" ] || fail "sections of the configuration"
grep -q 'pre{break-inside:avoid' first.html || fail "a column may break a section"
PULMO_WEIGHTS=nowhere.safetensors expect 0 "no Grad-CAM" "$PULMO" report '<b>run' --out bare.html
check bare.html "Without Grad-CAM" "Hardest errors"
"$PULMO" report '<b>run' --no-overlays --out still.html > /dev/null 2>&1 || fail "--no-overlays"
[ "$(grep -o '<img ' still.html | wc -l)" = "$(grep -o '<img ' bare.html | wc -l)" ] || fail "thumbnails without overlays"
mv hostile gone && expect 0 "no thumbnails" "$PULMO" report '<b>run' --out away.html
check away.html "No thumbnails"
expect 0 "is not the one that was scored" "$PULMO" report '<b>run' --data packed --out other.html

# ---- what was scored is shown, by the model that scored it ----
small_train apart env > apart.txt 2>&1 || { cat apart.txt; fail "another run"; }
EXTRA="--set train.seed=9" small_train second env > /dev/null 2>&1
cp -r apart mixed && cp second/model.h5 mixed/
expect 0 "the report has no Grad-CAM overlays: mixed: its model is not the one that was scored" "$PULMO" report mixed --data packed
"$PULMO" pack plain padded --size 64 --set pack.fit=pad -q
expect 0 "no thumbnails: padded: its test split was packed anew since it was scored" "$PULMO" report apart --data padded
"$PULMO" evaluate apart --data packed --out scored-apart > /dev/null 2>&1
expect 0 "no thumbnails: padded: its test split was packed anew" "$PULMO" report scored-apart --data padded
"$PULMO" report scored-apart --share > /dev/null 2>&1
grep -q "kicker.*evaluated [0-9]" scored-apart/share.html && ! grep -q "evaluate apart" scored-apart/share.html || fail "the command is given away, or not when"
grep -q "pulmo evaluate apart" scored-apart/report.html || fail "the command is not told"
expect 0 "" "$PULMO" evaluate apart --data packed --set eval.threshold=0 --out scored-apart
[ ! -e scored-apart/share.html ] && [ -s scored-apart/report.html ] || fail "a page of older results stays beside newer ones"

# ---- three classes; evaluate --out; a run that is not finished ----
cp -r plain three
for split in train val test; do mkdir "three/$split/VIRUS" && mv "three/$split"/PNEUMONIA/*virus* "three/$split/VIRUS/"; done
"$PULMO" pack three threes --size 64 -q
EXTRA="--set data.path=threes" small_train three-run env > three.txt 2>&1 || fail "three classes"
check three-run/report.html "VIRUS" "Mean over classes" "largest probability"
"$PULMO" evaluate three-run --data threes --split val --out scored > scored.txt 2>&1 || { cat scored.txt; fail "evaluate --out"; }
grep -q "^Report: scored/report.html" scored.txt || fail "evaluate writes no report"
check scored/report.html "These are figures of validation images." "Grad-CAM"

EXTRA="--set data.path=threes --set train.epochs=500" small_train going env > going.txt 2>&1 &
for _ in $(seq 300); do [ -s going/results.h5 ] && break; sleep 0.05; done
"$PULMO" report going --no-overlays > told.txt 2>&1 || { cat told.txt; fail "report of a run that goes on"; }
child=$(pgrep -P $! -f "pulmo train" || echo $!)
kill -TERM $child
wait $! || true
check going/report.html "Training has not finished"

# ---- what is no run ----
mkdir empty
expect 74 "holds no results to report on" "$PULMO" report empty
cp -r '<b>run' broken && head -c 3000 '<b>run/results.h5' > broken/results.h5
expect 65 "broken/results.h5" "$PULMO" report broken
cp '<b>run/model.h5' broken/results.h5
expect 65 "is not a results file but a model file" "$PULMO" report broken
expect 2 "RUN is needed" "$PULMO" report
expect 74 "nowhere/page.html" "$PULMO" report '<b>run' --no-overlays --data packed --out nowhere/page.html
