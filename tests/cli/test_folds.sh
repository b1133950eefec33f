#!/usr/bin/env bash
# Cross-validation: folds that keep patients whole, a sweep over data.fold, its mean and spread; every image is tested on
# once, by a model that saw neither it nor its patient.
. "$(dirname "$0")/common.sh"
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 60 --val 0 --test 6 --seed 3 -q
expect 2 "pack.folds: 2: one is the test and one val, so 3 or more" "$PULMO" pack demo bad --set pack.folds=2
expect 2 "each says what val is" "$PULMO" pack demo bad --set pack.folds=5 --val-fraction 0.2
expect 0 "train in 5 folds of 12 to 12 images, by patient and class" "$PULMO" pack demo packed --size 64 --set pack.folds=5
"$PULMO" pack demo ranks --size 64 --set pack.folds=5 -q && diff -r packed ranks || fail "other folds the second time"
expect 0 "are what was packed" "$PULMO" pack --verify packed --source demo
mkdir nameless && cp -r demo/train nameless/ && mv nameless/train/NORMAL/"$(ls nameless/train/NORMAL | head -1)" nameless/train/NORMAL/x.jpeg
expect 65 "1 of the files to split have names that tell none" "$PULMO" pack nameless bad --set pack.folds=5

sweep() {
    "$PULMO" sweep --set data.path=packed --set train.run_dir=cv --set train.epochs=2 --set train.batch=8 --set train.microbatch=2 \
        --set model.hidden='[12]' --set train.patience=0 --grid data.fold=0,1,2,3,4 "$@"
}
expect 0 "Over 5 folds: mean and standard deviation" sweep
grep -q "all folds as one set  AUC" out.txt || fail "no line on all folds"
! grep -q "Grad-CAM" out.txt || { grep "Grad-CAM" out.txt; fail "a warning of what no pooled set can have"; }
grep -q "Without Grad-CAM: each fold has a model of its own" cv/folds/report.html || fail "the page does not say why it has no maps"
expect 0 "Report: cv/folds/report.html" "$PULMO" report cv/folds
! grep -q "warning" out.txt || { cat out.txt; fail "a warning about a pooled report"; }
[ "$(head -1 cv/sweep_groups.csv | cut -d, -f1)" = folds ] || fail "the groups are not called folds"
[ "$(sed -n 2p cv/sweep_groups.csv | cut -d, -f1)" = 5 ] || fail "not five folds in the group"
for k in 0 1 2 3 4; do
    grep '^test,' "cv/data.fold=$k/predictions.csv" > "test.$k" || grep 'test' "cv/data.fold=$k/predictions.csv" > "test.$k"
    grep -oE 'train/[^,]*' "test.$k" | sort > "paths.$k"
    grep -oE '(IM-[0-9]+|person[0-9]+)' "paths.$k" | sort -u > "patients.$k"
done
[ "$(cat paths.? | sort -u | wc -l)" = 60 ] && [ "$(cat paths.? | wc -l)" = 60 ] || fail "not every image of train is tested on once"
[ -z "$(sort patients.? | uniq -d)" ] || fail "a patient stands in two folds"
! grep -q "test/" paths.? || fail "the given test was used"
# All folds as one set: what the trials said of their test images, in a table, in results.h5 and on a page.
cat test.? | cut -d, -f2,5,6 | sort > wanted
grep '^test,' cv/folds/predictions.csv | cut -d, -f2,5,6 | sort > pooled
cmp -s wanted pooled || fail "the folds' predictions are not the trials'"
[ -s cv/folds/report.html ] || fail "no report of all folds"
grep -q "data:image/png;base64" cv/folds/report.html || fail "the report of all folds shows no image"
grep -q "^folds,images,patients,auc,auc_low95" cv/cross_validation.csv || fail "the table's columns"
grep -q "^5,60," cv/cross_validation.csv || fail "not 60 images of 5 folds in the table"
"$PULMO" inspect cv/folds/results.h5 > inspected && grep -q "each fold's own" inspected || fail "the rule is not named"
grep -q "Cross-validation: each image was scored by the model of its own fold" cv/folds/MODEL_CARD.md || fail "the card of all folds"
! grep -q "epoch 0" cv/folds/MODEL_CARD.md || fail "an epoch of no model"
expect 0 "" sweep # finished trials are kept
[ -s cv/folds/report.html ] && [ -s cv/cross_validation.csv ] || fail "a sweep that trains nothing removed its set of folds"
# One that is begun anew and stopped leaves no set of folds that are not there any more.
cp -r cv stopped
expect 75 "without --overwrite to resume" "$PULMO" sweep --set data.path=packed --set train.run_dir=stopped --set train.epochs=2 \
    --set train.batch=8 --set train.microbatch=2 --set model.hidden='[12]' --set train.patience=0 --set train.seed=5 \
    --set train.time_limit_seconds=0.001 --overwrite --grid data.fold=0,1,2,3,4
[ ! -e stopped/data.fold=0/results.h5 ] && [ -e stopped/data.fold=1/results.h5 ] || { ls stopped/*; fail "it was not stopped in the first trial"; }
[ ! -e stopped/folds/report.html ] && [ ! -e stopped/folds/results.h5 ] && [ ! -e stopped/cross_validation.csv ] ||
    { ls stopped stopped/folds; fail "an older set of folds stays beside a trial of another"; }
! grep -q ",finished," stopped/sweep.csv || { cat stopped/sweep.csv; fail "the table is the older sweep's"; }
expect 2 "grid: data.fold=9: data.fold: 9: packed has 5 folds: 0 to 4 (no trial was begun)" "$PULMO" sweep --set data.path=packed --set train.run_dir=out-of-range --grid data.fold=0,9
! grep -q "resumes" out.txt && [ ! -e out-of-range ] || { cat out.txt; fail "a fold that is not there: a trial was begun"; }
expect 2 "has 5 folds: 0 to 4" "$PULMO" train --set data.path=packed --set train.run_dir=r --set data.fold=7
expect 2 "packed without folds" bash -c '"$0" pack demo plain --size 64 -q && "$0" train --set data.path=plain --set train.run_dir=r --set data.fold=0' "$PULMO"
grep -q "fold 3 of the\|fold 3 is the test" cv/data.fold=3/MODEL_CARD.md || fail "the model card does not name its fold"
# What a fold's val and test lack is not to be had by the fractions of a plain pack.
"$PULMO" demo-data few --train 6 --val 0 --test 0 --seed 3 -q
"$PULMO" pack few sparse --size 64 --set pack.folds=20 -q 2> /dev/null # folds of 0 to 2 images
fold() {
    local status=$1 word=$2 fold=$3
    shift 3
    expect "$status" "$word" "$PULMO" train --set data.path=sparse --set train.run_dir=sparse-run --overwrite --set train.epochs=1 \
        --set train.batch=8 --set model.hidden='[4]' --set data.fold="$fold" "$@"
    ! grep -q "fraction" out.txt || { cat out.txt; fail "a fold is told of fractions: $*"; }
}
fold 0 "val has 1 image, too few to choose the best epoch or a threshold by; pack with more images or fewer pack.folds" 0
fold 2 "all 1 of sparse are NORMAL; pack with more images or fewer pack.folds" 0 --set train.monitor=auc
fold 2 "has no val split, which early stopping and keeping the best epoch need; pack with more images or fewer" 7
fold 2 "needs val images to be chosen on; pack with more images" 7 --set train.patience=0 --set eval.threshold=youden
fold 2 "needs a val split to be fitted on; pack with more" 7 --set train.patience=0 --set eval.calibration=temperature
fold 0 "No test split: fold 7 holds no image." 7 --set train.patience=0
echo "five folds: every image tested on once"
