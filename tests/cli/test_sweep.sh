#!/usr/bin/env bash
# Sweeps: each trial is what train makes, bit for bit; finished ones are kept, failed ones reported; the tables say what the
# runs' own files say. Means and spreads against numpy or, without it, awk.
. "$(dirname "$0")/common.sh"
make_small
cat > sweep.yaml << 'YAML'
data: {path: packed}
train: {run_dir: swept, epochs: 2, batch: 8, microbatch: 2, patience: 0, features: bank}
bank: {views: 2, seed: 0}
model: {hidden: [12]}
sweep:
  optim.lr: [0.01, 0.001]
  model.hidden: [[12], []]
  train.seed: [0, 1, 2]
YAML
sweep() { "$@" "$PULMO" sweep -c sweep.yaml; }

sweep ranks 2 > table.txt 2> table.err || { cat table.err; fail "sweep"; }
[ "$(ls -d swept/*/ | wc -l)" = 12 ] || fail "2 * 2 * 3 trials"
[ "$(grep -c ,finished, swept/sweep.csv)" = 12 ] || fail "12 lines of the table"
[ "$(wc -l < swept/sweep_groups.csv)" = 5 ] || fail "4 groups over seeds"
grep -q "Best by val accuracy first" table.txt && grep -q "Over 3 seeds" table.txt || fail "no table on stdout"

# What all trials would warn of is said once, whichever ranks train them; and no advice that cannot help, or was followed.
[ "$(grep -c "too few to choose the best epoch" table.err)" = 1 ] || { cat table.err; fail "a warning for each trial"; }
grep "too few to choose" table.err | grep -q "pack with more images" || { cat table.err; fail "advice that does not help"; }

# A trial is the run that train makes by itself.
trial="swept/optim.lr=0.001,model.hidden=[],train.seed=2"
"$PULMO" train --set data.path=packed --set train.run_dir=alone --set train.epochs=2 --set train.batch=8 --set train.microbatch=2 \
    --set train.patience=0 --set train.features=bank --set bank.views=2 --set bank.seed=0 --set optim.lr=0.001 --set model.hidden='[]' \
    --set train.seed=2 > alone.txt 2> alone.err
cmp alone/model.h5 "$trial/model.h5"
cmp alone/predictions.csv "$trial/predictions.csv"
cmp alone/history.csv "$trial/history.csv"
grep -q "$(head_of alone.txt)" swept/sweep.csv || fail "the table does not name the trial's head"

# Again: all is kept, the table is the same. After a kill in the middle it goes on.
find swept -name model.h5 -printf '%p %T@\n' | sort > times
sweep env > again.txt 2> again.err
cmp table.txt again.txt
find swept -name model.h5 -printf '%p %T@\n' | sort | cmp - times
cp swept/sweep.csv whole.csv
rm -rf "$trial" swept/sweep*.csv
sweep env > third.txt 2> third.err
cmp swept/sweep.csv whole.csv
find swept -name model.h5 -printf '%p %T@\n' | sort | comm -3 - times | grep -qvF "$trial" && fail "a finished trial was trained again"

# Results of another trial are not taken for this one's.
cp -r swept mixed
for file in results.h5 predictions.csv history.csv model.h5; do
    cp "mixed/optim.lr=0.01,model.hidden=[],train.seed=1/$file" "mixed/optim.lr=0.01,model.hidden=[],train.seed=2/"
done
expect 2 "optim.lr=0.01,model.hidden=[],train.seed=2 failed: holds a finished run of other settings (train.seed: 2, not 1)" \
    "$PULMO" sweep -c sweep.yaml --set train.run_dir=mixed

# Order and figures: from the runs' own history, by the best accuracy, ties by the lower loss.
sort -t, -k1,1n <(tail -n +2 swept/sweep.csv) | awk -F, '{ if (NR > 1 && ($8 > acc || ($8 == acc && $7 < loss))) bad = 1; acc = $8; loss = $7 } END { exit bad }' ||
    fail "not best first"
if /usr/bin/python3 -c 'import numpy' 2> /dev/null; then
    /usr/bin/python3 - << 'PYTHON'
import csv, numpy as np
rows = list(csv.DictReader(open("swept/sweep.csv")))
for row in rows:
    history = list(csv.DictReader(open(f"swept/{row['directory']}/history.csv")))
    best = max(range(len(history)), key=lambda i: (float(history[i]["val_accuracy"]), -float(history[i]["val_loss"])))
    assert int(row["best_epoch"]) == best + 1, row
    for name in "val_loss", "val_accuracy", "val_auc":
        assert abs(float(row[name]) - float(history[best][name])) < 1e-8, (row, name)
for group in csv.DictReader(open("swept/sweep_groups.csv")):
    mine = [r for r in rows if r["optim.lr"] == group["optim.lr"] and r["model.hidden"] == group["model.hidden"]]
    assert len(mine) == int(group["seeds"]) == 3
    for name in "val_loss", "val_accuracy", "val_auc", "test_accuracy", "test_auc":
        values = np.array([float(r[name]) for r in mine])
        assert abs(values.mean() - float(group[name + "_mean"])) < 1e-8 and abs(values.std(ddof=1) - float(group[name + "_sd"])) < 1e-8, (group, name)
PYTHON
else
    echo "no numpy: figures are not recomputed"
fi

# Side by side on groups of ranks is what the first sweep did; one after the other on all of them, and in two parts, as two jobs
# would, it is the same.
grep -q "11 trials on 2 groups of ranks" table.err || { cat table.err; fail "ranks are not divided"; }
ranks 2 "$PULMO" sweep -c sweep.yaml --at-once 1 --set train.run_dir=inturn > inturn.txt 2> inturn.err
"$PULMO" sweep -c sweep.yaml --part 1/2 --set train.run_dir=parts > part1.txt 2> part1.err
[ "$(grep -c ,finished, parts/sweep.csv)" = 6 ] && [ "$(grep -c ,waiting, parts/sweep.csv)" = 6 ] || fail "a part is half of it"
ranks 3 "$PULMO" sweep -c sweep.yaml --part 0/2 --set train.run_dir=parts > part0.txt 2> part0.err
for other in inturn parts; do cmp swept/sweep.csv $other/sweep.csv; done
expect 2 "must be K/N" "$PULMO" sweep -c sweep.yaml --part 2/2

# A trial that cannot be trained is reported, the others are done, and the status is its own; wherever it ran.
for way in env "ranks 3"; do
rm -rf some && mkdir some && touch "some/optim.clip_norm=0,optim.weight_decay=0" "some/optim.clip_norm=1,optim.weight_decay=0"
status=0
$way "$PULMO" sweep --set data.path=packed --set train.run_dir=some --set train.epochs=1 --set train.features=bank --set bank.seed=0 --set bank.views=2 \
    --set train.patience=0 --grid optim.clip_norm=0,1 --grid optim.weight_decay=0,0.1 > some.txt 2> some.err || status=$?
[ "$status" = 74 ] || { cat some.err; fail "status $status, not 74"; }
[ "$(grep -c ,failed, some/sweep.csv)" = 2 ] && [ "$(grep -c ,finished, some/sweep.csv)" = 2 ] || fail "half of 4 trials fail"
grep failed some/sweep.csv | head -1 | grep -q "is not a directory" || fail "the table does not say why"
done

# Refused before anything is trained.
expect 2 "optim.lr" "$PULMO" sweep --set data.path=packed --set train.run_dir=no --grid optim.lr=fast
expect 2 "did you mean" "$PULMO" sweep --set data.path=packed --set train.run_dir=no --grid optim.lrr=1
expect 2 "pack.seed: means nothing to training" "$PULMO" sweep --set data.path=packed --set train.run_dir=no --grid pack.seed=1,2
# Also by the data: with the rule, before the first trial begins; the value may be the last of many.
refused() { # WORD OPTIONS...: on one rank and on several
    expect 2 "$1" "$PULMO" sweep --set data.path=packed --set train.run_dir=no --grid optim.lr=0.1,0.01 "${@:2}"
    grep -q "(no trial was begun)" out.txt && ! grep -q "the same command" out.txt || { cat out.txt; fail "advice that cannot help"; }
    expect 2 "$1" ranks 3 "$PULMO" sweep --set data.path=packed --set train.run_dir=no --grid optim.lr=0.1,0.01 "${@:2}"
}
refused "grid: optim.lr=0.1,data.fold=0: data.fold: 0: packed was packed without folds" --grid data.fold=-1,0
refused "2 classes" --grid optim.class_weights='none,[1, 2, 3]'
refused "model.positive_class" --grid model.positive_class=PNEUMONIA,COVID
refused "must not fall" --grid train.unfreeze_epochs='[],[3, 1]'
expect 65 "absent is not a packed data set" "$PULMO" sweep --set train.run_dir=no --grid data.path=packed,absent
expect 2 "no grid" "$PULMO" sweep --set data.path=packed --set train.run_dir=no
expect 2 "pulmo sweep" "$PULMO" train -c sweep.yaml
expect 2 "given twice" "$PULMO" sweep -c sweep.yaml --grid optim.lr=1,2
[ ! -e no ] || fail "a refused sweep left something"
expect 2 "other settings" "$PULMO" sweep -c sweep.yaml --set train.epochs=3

# Trials of other weights or another arithmetic are not ranked beside one another; tiers and OpenBLAS's kernels are all one.
one_trial() { "$PULMO" sweep --set data.path=packed --set train.run_dir=made --set train.epochs=1 --set train.patience=0 \
    --set train.batch=8 --set train.microbatch=2 --set model.hidden='[12]' --grid train.seed=0 "$@"; }
PULMO_ISA=ref one_trial --set optim.class_weights='[1,2]' > made.txt 2> made.err
OPENBLAS_CORETYPE=Prescott one_trial --set optim.class_weights='[1,2]' 2> again.err | cmp - made.txt
grep -q ,finished, made/sweep.csv || { cat again.err; fail "the same sweep does not know its own trial"; }
"$TOOLS/make_weights" others.safetensors 2
PULMO_WEIGHTS=$WORK/others.safetensors expect 2 "with other weights" one_trial --set optim.class_weights='[1,2]'
PULMO_WEIGHTS=$WORK/none expect 0 "made with these weights is not known" one_trial --set optim.class_weights='[1,2]'
echo "12 trials, kept, reported and recomputed"
