#!/usr/bin/env bash
# --set and -c where a model is used: what means something does it, the rest is refused, nothing is ignored.
. "$(dirname "$0")/common.sh"
make_small
one_epoch="--set train.epochs=1 --set augment.hflip=0.5 --set augment.rotate_deg=25"
EXTRA=$one_epoch small_train plain env > plain.txt 2>&1 || { cat plain.txt; fail train; }
EXTRA="$one_epoch --set eval.tta=3" small_train views env > views.txt 2>&1 || { cat views.txt; fail "train with views"; }
column() { cut -d, -f"$2" "$1" | tail -n +2; }

# Views asked for afterwards are those of a run that was made with them, on any number of ranks.
ranks 2 "$PULMO" evaluate plain --data packed --set eval.tta=3 --out scored -q > scored.txt || fail "evaluate with views"
"$PULMO" evaluate views --data packed --out own -q > own.txt || fail "evaluate of views"
cmp scored/predictions.csv own/predictions.csv || fail "views asked for afterwards score otherwise than a run's own"
"$PULMO" evaluate plain --data packed --out alone -q > alone.txt
! cmp -s alone/predictions.csv own/predictions.csv || fail "eval.tta changes nothing"
"$PULMO" evaluate views --data packed --set eval.tta=1 --out less -q > less.txt
cmp less/predictions.csv alone/predictions.csv || fail "eval.tta=1 is not the image itself"
"$PULMO" predict plain demo/test --set eval.tta=3 -q > three.csv
"$PULMO" predict views demo/test -q > own.csv
cmp three.csv own.csv || fail "predict takes other views than evaluate"

# Fixed crops: a run's own, asked for afterwards, by evaluate, predict and explain, from a bank.
EXTRA="$one_epoch --set eval.crops=ten" small_train crops env > crops.txt 2>&1 || { cat crops.txt; fail "train with crops"; }
ranks 2 "$PULMO" evaluate plain --data packed --set eval.crops=ten --out ten -q > ten.txt || fail "evaluate with crops"
"$PULMO" evaluate crops --data packed --out own-crops -q > own.txt || fail "evaluate of crops"
cmp ten/predictions.csv own-crops/predictions.csv || fail "crops asked for afterwards score otherwise than a run's own"
grep '^test,' crops/predictions.csv | cmp - <(tail -n +2 ten/predictions.csv) || fail "a run's crops are others than evaluate's"
! cmp -s alone/predictions.csv ten/predictions.csv || fail "eval.crops changes nothing"
"$PULMO" evaluate crops --data packed --set eval.crops=five --out five -q > five.txt
! cmp -s five/predictions.csv ten/predictions.csv || fail "five crops are ten"
"$PULMO" evaluate crops --data packed --set eval.crops=none --out whole -q > whole.txt
cmp whole/predictions.csv alone/predictions.csv || fail "eval.crops=none is not the image itself"
"$PULMO" predict crops demo/test -q > crops.csv
column ten/predictions.csv 6 | sort > evaluated.txt
column crops.csv 3 | sort | cmp - evaluated.txt || fail "predict takes other crops than evaluate"
"$PULMO" explain crops demo/test --out maps-crops -q > explained.csv
column explained.csv 3 | sort > explained.txt
column explained.csv 2 | sort | cmp - <(column crops.csv 2 | sort) || fail "explain takes other crops than predict"
EXTRA="$one_epoch --set eval.crops=ten --set train.features=bank --set bank.views=1" small_train banked env > banked.txt 2>&1 || { cat banked.txt; fail "crops from a bank"; }
[ "$(head_of banked.txt)" = "$(head_of crops.txt)" ] || fail "the crops of a bank have a say in the model"
cmp crops/predictions.csv banked/predictions.csv || fail "crops from a bank are others"
expect 2 "views are drawn or they are the crops of eval.crops: ten" "$PULMO" evaluate crops --data packed --set eval.tta=4

# Each image is opened once for all its views: a sixth opening of five would fail.
normal() { DISK_UNDER=$PWD/demo/test/NORMAL DISK_CALL=look DISK_AT=$1 DISK_LOG=$PWD/looks.log LD_PRELOAD=$TOOLS/failing_disk.so "${@:2}"; }
normal 6 "$PULMO" predict plain demo/test --set eval.tta=3 -q > once.csv || fail "an image is opened for each view"
cmp three.csv once.csv || fail "probabilities stand beside other images"
[ "$(cat looks.log)" = "counted 5" ] || { cat looks.log; fail "five images are not five openings"; }
# One that cannot be read leaves the others what they are.
missed() { normal 2 "$PULMO" predict plain demo/test --set eval.tta=3 -q --threads 1 > less.csv; }
expect 65 "1 of 9 images could not be used" missed
sed 3d three.csv | cmp - less.csv || fail "an image that cannot be read shifts the others"

# Another threshold decides otherwise and scores the same.
"$PULMO" predict plain demo/test --set eval.threshold=0 -q > all.csv
"$PULMO" predict plain demo/test --set eval.threshold=1 -q > none.csv
[ "$(column all.csv 2 | sort -u)" = PNEUMONIA ] && [ "$(column none.csv 2 | sort -u)" = NORMAL ] || fail "eval.threshold decides nothing"
[ "$(column all.csv 4)" = "$(column none.csv 4)" ] || fail "eval.threshold changes a probability"
"$PULMO" evaluate plain --data packed --set eval.threshold=0.25 -q | grep -q "from probability 0.2500 on (0.25)" || fail "no threshold told"
printf 'eval:\n  threshold: 0.25\n' > quarter.yaml
"$PULMO" evaluate plain --data packed -c quarter.yaml -q | grep -q "from probability 0.2500 on (0.25)" || fail "the file's threshold"

# A model that is given twice, also as a copy, is not averaged with itself.
expect 2 "plain: is the same model as plain, which would count twice" "$PULMO" evaluate plain plain --data packed
cp -r plain copy
expect 2 "copy/model.h5: is the same model as plain" ranks 2 "$PULMO" evaluate views plain copy/model.h5 --data packed

# Of three classes no threshold decides: one that is asked for is not ignored.
for split in train val test; do
    mkdir -p "three.source/$split/VIRUS" && cp -r "demo/$split"/* "three.source/$split"
    find "three.source/$split/PNEUMONIA" -name '*.jpeg' | sort | tail -n 2 | xargs mv -t "three.source/$split/VIRUS"
done
"$PULMO" pack three.source three --size 64 -q
for threshold in 0.9 youden; do
    EXTRA="--set data.path=three --set eval.threshold=$threshold" \
        expect 2 "eval.threshold: \"$threshold\": needs two classes, there are 3" small_train refused env
done
EXTRA="--set data.path=three --set train.epochs=1 --set eval.threshold=0.50" small_train kinds env > kinds.txt 2>&1 || { cat kinds.txt; fail "the default"; }
expect 2 "thresholds are for two classes" "$PULMO" evaluate kinds --data three --set eval.threshold=0.9

# What cannot be done, or means nothing.
expect 2 "rules are chosen on val" "$PULMO" evaluate plain --data packed --set eval.threshold=youden
expect 2 "rules are chosen on val" ranks 2 "$PULMO" evaluate plain --data packed --set eval.threshold=1.5
expect 2 "did you mean eval.threshold" "$PULMO" predict plain demo/test --set eval.threshhold=0.1
expect 2 'means nothing to "pulmo evaluate"' "$PULMO" evaluate plain --data packed --set train.epochs=2
expect 2 'means nothing to "pulmo train"' "$PULMO" train --set pack.size=64 --set data.path=packed --set train.run_dir=other
expect 2 'means nothing to "pulmo pack"' "$PULMO" pack demo other --set train.epochs=2
expect 2 'means nothing to "pulmo explain"' "$PULMO" explain plain demo/test --out maps --set eval.tta=2
expect 2 '"pulmo inspect" has no settings' "$PULMO" inspect plain/model.h5 --set eval.tta=2
expect 2 '"pulmo demo-data" has no settings' "$PULMO" demo-data drawn --set pack.size=64
expect 65 "/nonexistent" "$PULMO" export plain --format onnx --out model.onnx --set model.weights=/nonexistent
[ ! -e other ] && [ ! -e maps ] && [ ! -e drawn ] && [ ! -e model.onnx ] || fail "a refused command left something"
echo "settings are used or refused"
