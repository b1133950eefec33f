#!/usr/bin/env bash
# Which class is the finding: by its name, by model.positive_class, and in every file; models of version 0.1.
. "$(dirname "$0")/common.sh"
make_small
rule="--set eval.threshold=sensitivity>=0.9"
# renamed DEST NAME-OF-NORMAL NAME-OF-PNEUMONIA: the demo's images in folders of other names, packed
renamed() {
    local split
    for split in train val test; do
        mkdir -p "$1.source/$split"
        cp -r "demo/$split/NORMAL" "$1.source/$split/$2"
        cp -r "demo/$split/PNEUMONIA" "$1.source/$split/$3"
    done
    "$PULMO" pack "$1.source" "$1" --size 64 -q
}
# values RUN: the lines of `inspect` on the finding
values() { "$PULMO" inspect "$1" | grep -E '^ +(positive_class|positive_class_by|threshold) ' | tr -s ' ' | sort; }
renamed covid NORMAL COVID
renamed unclear BACTERIA VIRUS

# ---- the first class by its name ----
EXTRA="$rule --set data.path=covid" small_train run env > run.txt 2> run.err || { cat run.err; fail "training"; }
grep -q "^positive class: COVID$" run.err || { cat run.err; fail "the start does not name the positive class"; }
grep -qE "^Positive class: COVID, from probability [0-9.]+ on \(sensitivity>=0.9, chosen on val\)$" run.txt || { cat run.txt; fail "the end does not name it"; }
for file in model results; do
    values run/$file.h5 | grep -q "positive_class COVID" || { values run/$file.h5; fail "$file.h5 does not name it"; }
    values run/$file.h5 | grep -q "positive_class_by name" || fail "$file.h5 does not say by what"
done
grep -q "The positive class is COVID" run/report.html || fail "the report does not name it"
grep -q "Positive class: COVID; called from" run/MODEL_CARD.md || fail "the model card does not name it"
[ "$(head -n 1 run/predictions.csv)" = "split,path,patient,label,predicted,p_COVID,p_NORMAL,positive_class,threshold,rule" ] || fail "columns of predictions.csv"

# The rule holds for it on val, and each image's class goes by it: from the table alone.
python3 - run/predictions.csv <<'PY' || fail "predictions.csv: the class does not go by what it names"
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
for row in rows:
    called = float(row["p_" + row["positive_class"]]) >= float(row["threshold"])
    assert (row["predicted"] == "COVID") == called and row["rule"] == "sensitivity>=0.9", row
sick = [row for row in rows if row["split"] == "val" and row["label"] == "COVID"]
found = sum(row["predicted"] == "COVID" for row in sick)
assert sick and found / len(sick) >= 0.9, (found, len(sick))
PY

# ---- used ----
"$PULMO" predict run covid.source/test -q > csv.txt
[ "$(head -n 1 csv.txt)" = "path,class,p_COVID,p_NORMAL,positive_class,threshold,rule" ] || fail "columns of predict"
"$PULMO" predict run covid.source/test -q --format json > json.txt
python3 - csv.txt json.txt <<'PY' || fail "predict: CSV and JSON differ"
import csv, json, sys
rows = list(csv.DictReader(open(sys.argv[1], newline="")))
objects = [json.loads(line) for line in open(sys.argv[2])]
assert len(rows) == len(objects) == 9
for row, it in zip(rows, objects):
    assert (row["class"], row["positive_class"], row["rule"]) == (it["class"], it["positive_class"], it["rule"])
    assert float(row["threshold"]) == it["threshold"] and it["positive_class"] == "COVID"
    assert (it["class"] == "COVID") == (it["probabilities"]["COVID"] >= it["threshold"])
PY
"$PULMO" predict run covid.source/test -q --set eval.threshold=0 | tail -n +2 | cut -d, -f2,5- | sort -u > all.txt
[ "$(cat all.txt)" = "COVID,COVID,0,0" ] || { cat all.txt; fail "from probability 0 on everything is the finding"; }
"$PULMO" evaluate run --data covid --out scored > scored.txt 2> err.txt || { cat err.txt; fail "evaluate"; }
grep -v '^val,' run/predictions.csv | cmp - scored/predictions.csv || fail "evaluate and train predict differently"
"$PULMO" explain run covid.source/test/COVID --out maps -q > /dev/null
values maps/maps.h5 | grep -q "positive_class COVID" || fail "maps.h5 does not name it"
"$PULMO" export run --format safetensors --out model.safetensors -q 2> err.txt || { cat err.txt; fail "export"; }
grep -aq '"positive_class":"COVID"' model.safetensors || fail "the export does not name it"

# ---- the key ----
EXTRA="$rule --set data.path=covid --set model.positive_class=NORMAL" small_train other env > other.txt 2> other.err
grep -q "^Positive class: NORMAL" other.txt || { cat other.txt; fail "the key is not taken"; }
values other/results.h5 | grep -q "positive_class_by given" || fail "results.h5 does not say that it was given"
[ "$(head_of run.txt)" = "$(head_of other.txt)" ] || fail "the finding changes what is trained"
expect 65 "its positive class is NORMAL, that of run is COVID" "$PULMO" evaluate run other --data covid
# It is said before the frozen weights are looked at, which here are others too.
"$TOOLS/make_weights" others.safetensors 2
EXTRA="--set data.path=covid --set model.positive_class=NORMAL --set model.weights=others.safetensors" \
    small_train strange env > strange.txt 2>&1 || { cat strange.txt; fail "training on other weights"; }
expect 65 "strange was trained on other frozen weights" "$PULMO" evaluate strange --data covid
expect 65 "its positive class is NORMAL, that of run is COVID" "$PULMO" evaluate run strange --data covid

# ---- names that do not tell ----
EXTRA="--set data.path=unclear $rule" expect 2 'neither "BACTERIA" nor "VIRUS" is called normal' small_train none ranks 2
[ ! -e none/model.h5 ] || fail "a refused run left a model"
EXTRA="--set data.path=unclear" small_train number env > number.txt 2> number.err || { cat number.err; fail "a number needs no finding"; }
grep -q "no name tells which class is the finding: VIRUS, the last" number.err || { cat number.err; fail "the last class is taken in silence"; }
grep -q "^Nothing told which class is the finding" number.txt || { cat number.txt; fail "the end does not say so"; }
EXTRA="--set data.path=unclear --set model.positive_class=BACTERIA $rule" small_train told env > told.txt 2> told.err || { cat told.err; fail "with the key"; }
grep -q "^Positive class: BACTERIA, .*chosen on val" told.txt || { cat told.txt; fail "the rule does not go by the key"; }
echo "the finding: by name, by the key, or refused"
