#!/usr/bin/env bash
# Groups of patients: columns that pack kept, numbers in bins, file formats; as text, CSV, HDF5 and page, and the same
# figures as from the definitions.
. "$(dirname "$0")/common.sh"
command -v python3 > /dev/null || { echo "skipped: python3 is not installed"; exit 77; }
here=$PULMO_SOURCE/tests/cli
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 26 --val 11 --test 160 --seed 3 -q
# Sexes by turns, ages 20 to 79; the last are not recorded.
{
    echo file,Sex,Age,Note
    find demo -name '*.jp*g' | sort | awk '{ printf "%s,%s,%s,n%d\n", substr($0, 6), NR % 23 ? NR % 2 ? "F" : "M" : "", NR % 29 ? 20 + NR * 7 % 60 : "", NR }'
} > demo/about.csv
"$PULMO" pack demo packed --size 64 -q --set pack.table=about.csv --set pack.table_path=file --set pack.keep='[Sex,Age,Note]'
small_train run env > train.txt 2>&1 || { cat train.txt; fail "training"; }

# ---- what cannot be grouped by is said before anything is scored ----
expect 2 'there is no column "Sax"; there are: Sex, Age, Note, format' "$PULMO" evaluate run --data packed --by Sax
expect 2 '--by: "Sex" stands there twice' "$PULMO" evaluate run --data packed --by Sex,Age,Sex
expect 2 'must rise' "$PULMO" evaluate run --data packed --by Age:40:18
expect 2 'has 160 different values: at most 40' "$PULMO" evaluate run --data packed --by Note

# ---- the figures ----
"$PULMO" evaluate run --data packed --by Sex,Age:40:60,format --out scored > told.txt 2>&1 || { cat told.txt; fail "evaluate --by"; }
python3 "$here/groups.py" scored scored/predictions.csv || fail "groups.csv"
grep -q '^Age .*images .*AUC' told.txt && grep -q '40 to below 60' told.txt || { cat told.txt; fail "no table of groups"; }
grep -q 'too small for a claim: fewer than 30 patients' told.txt || fail "small groups are not called so"
grep -q 'not recorded' told.txt || fail "no group of what is not recorded"

# ---- results.h5 ----
h5() { h5dump -d "$2" -y -w 0 "$1"; }
if command -v h5dump > /dev/null; then
    h5 scored/results.h5 /groups/auc_low95 | grep -q 'DATASPACE  SIMPLE { ( 8 )' || fail "/groups/auc_low95"
    h5 scored/results.h5 /groups/group | grep -q '"60 and above' || fail "/groups/group"
    h5 scored/results.h5 /test/kept/0 | grep -q '"F"' || fail "/test/kept/0"
fi

# ---- the page ----
page() { grep -q "$2" "$1" || fail "$1: no $2"; }
page scored/report.html '<h2>Groups</h2>'
page scored/report.html '<b>5 of 8 groups, marked \*, are too small for a claim</b>'
[ "$(grep -c 'class="hollow"' scored/report.html)" = 20 ] || fail "not 5 small groups in 4 forest plots"
[ "$(grep -c '<caption>By ' scored/report.html)" = 3 ] || fail "not three tables"
"$PULMO" report run --by Sex --out of-run.html > /dev/null 2>&1 || fail "report --by"
[ "$(grep -c '<caption>By ' of-run.html)" = 1 ] || fail "report --by Sex"
! grep -q '<h2>Groups' run/report.html || fail "groups unasked in the page"
expect 2 'no column "Sax"' "$PULMO" report run --by Sax

# ---- again without groups: none are left ----
cp -r scored again && "$PULMO" evaluate run --data packed --split val --out again > plain.txt 2>&1
! grep -q "too small" plain.txt || fail "groups unasked"
[ ! -e again/groups.csv ] || fail "groups.csv of earlier results"
echo "ok"
