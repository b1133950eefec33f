#!/usr/bin/env bash
# One seed, one model: the same bytes at 1 to 4 ranks, with other numbers of threads, and after an
# interruption that is resumed on another number of ranks.
. "$(dirname "$0")/common.sh"
make_small

small_train one ranks 1 > one.txt
wanted=$(head_of one.txt)
[ -n "$wanted" ] || fail "no Head SHA-256"
for n in 2 3 4; do
    EXTRA="-v --set train.threads=$((n % 2 + 1))" small_train "run$n" ranks "$n" > "run$n.txt" 2> "run$n.err"
    [ "$(head_of "run$n.txt")" = "$wanted" ] || fail "$n ranks gave another head"
    cmp one/history.csv "run$n/history.csv"
    cmp one/predictions.csv "run$n/predictions.csv"
done

# 11 val and 9 test images over 4 ranks: each once. What the frozen part makes of val is computed once in the three epochs.
[ "$(tail -n +2 run4/predictions.csv | cut -d, -f1,2 | sort -u | wc -l)" = 20 ] || fail "not every image counts once"
[ "$(wc -l < run4/predictions.csv)" = 21 ] || fail "an image counts twice"
[ "$(grep -c "val features of 11 images computed" run4.err)" = 1 ] || { cat run4.err; fail "val features are not computed once"; }

# Four microbatches a batch: of three ranks one has two, so that the others wait for it. A rank without any is a warning.
grep -q "of 3 ranks the busiest has 2, and 33 % of the ranks' time is idle" run3.err || { cat run3.err; fail "says nothing of idle time"; }
for n in 2 4; do
    if grep -q "idle" "run$n.err"; then fail "$n ranks are said to idle"; fi
done
EXTRA="--set train.microbatch=4 --set train.epochs=1" expect 0 "has 2 microbatches of 4: 1 of the 3 ranks have no part in it" small_train wide ranks 3

# Stopped twice in the middle, by SIGTERM (status 75 after a checkpoint) and by SIGKILL, and resumed
# on other numbers of ranks: the bytes of the run that was never stopped.
long="--set train.epochs=40 --set train.checkpoint_batches=1"
EXTRA=$long small_train whole ranks 2 > whole.txt 2> whole.err
stop_after_checkpoint() {
    EXTRA=$long small_train stopped env > stopped.txt 2>&1 &
    local started=$! child status=0
    for _ in $(seq 200); do
        [ "$1" = TERM ] && [ -s stopped/checkpoint.h5 ] && break
        [ "$1" = KILL ] && grep -q "^Epoch" stopped.txt && break
        sleep 0.02
    done
    child=$(pgrep -P "$started" -f "pulmo train" || echo "$started")
    kill "-$1" $child
    wait "$started" || status=$?
    echo "$status"
}
status=$(stop_after_checkpoint TERM)
[ "$status" = 75 ] || { cat stopped.txt; fail "SIGTERM: status $status, not 75"; }
status=$(stop_after_checkpoint KILL)
[ "$status" = 137 ] || { cat stopped.txt; fail "SIGKILL: status $status, not 137"; }
EXTRA=$long small_train stopped ranks 3 > resumed.txt 2> resumed.err
grep -q "resuming from" resumed.err || fail "did not resume"
[ "$(head_of resumed.txt)" = "$(head_of whole.txt)" ] || fail "the resumed run gave another head"
cmp whole/history.csv stopped/history.csv
cmp whole/predictions.csv stopped/predictions.csv

# The same command resumes however its settings are spelled: what is stored reads back as another text.
for setting in 'optim.class_weights=[1,2]' optim.lr=1e-3 augment.strength=0; do
    rm -rf spelled
    EXTRA="--set $setting --set train.time_limit_seconds=0.001" expect 75 "checkpoint written" small_train spelled env
    EXTRA="--set $setting" expect 0 "resuming from spelled/checkpoint.h5" small_train spelled env
done

# The moving average is a vector of parameters more, which the memory announced counts.
megabytes() {
    EXTRA="--overwrite --set train.epochs=1 --set model.hidden=[20000] --set optim.ema=$1" small_train average env \
        2>&1 > average.txt | sed -n 's/^memory: .* and \([0-9]*\) MB per rank; .*/\1/p'
}
without=$(megabytes 0)
with=$(megabytes 0.9)
[ $((with - without)) -ge 14 ] || fail "$with MB per rank with an average of 15 MB, $without MB without"

# Another configuration does not resume from a checkpoint, and says what differs.
cp -r stopped changed && rm changed/results.h5
EXTRA="$long --set optim.lr=0.5" expect 2 "optim.lr: 0.5, not 0.001" small_train changed env

grep -q 'lr: 0.001$' changed/config.yaml || fail "a refused resume changed config.yaml"
# What is to be overwritten goes only once nothing stands against the new run.
EXTRA="--overwrite --set model.weights=$WORK/none" expect 65 "$WORK/none" small_train changed env
[ -s changed/checkpoint.h5 ] || fail "a run that could not begin removed the one it was to replace"

# Not when the refusal comes late, as that of a range of gamma does, nor when the new run is killed before its first checkpoint.
cp -r one replaced
digest_of() { (cd "$1" && sha256sum -- *.*); } # without the lease, "owner"
digest_of replaced > before
EXTRA="--overwrite --set augment.gamma=1" expect 2 "augment.gamma" small_train replaced env
digest_of replaced | diff before - || fail "a run that was refused changed the one it was to replace"
"$PULMO" train --set data.path=packed --set train.run_dir=replaced --set train.epochs=1000 --set model.trainable=block2 --overwrite \
    2> killed.err > /dev/null &
started=$!
until grep -q "^memory" killed.err; do sleep 0.02; done
kill -KILL "$started"
wait "$started" || true
digest_of replaced | diff before - || fail "a run without a checkpoint changed the one it was to replace"
"$PULMO" evaluate replaced --data packed > /dev/null 2>&1 || fail "what was to be replaced is not a run any more"

# With its first checkpoint it stands alone, without the other's report, and resumes by the command without --overwrite.
stopped() {
    "$PULMO" train --set data.path=packed --set train.run_dir=replaced --set train.epochs=2 --set train.batch=8 --set train.microbatch=2 \
        --set train.time_limit_seconds="$1" --set model.hidden='[9]' "${@:2}"
}
"$PULMO" report replaced --share > /dev/null 2>&1 && [ -s replaced/share.html ] || fail "no page to share"
ls replaced > files && grep -q report.html files && grep -q MODEL_CARD.md files || fail "there was no report to begin with"
expect 75 "run the same command again without --overwrite to resume" stopped 0.001 --overwrite
(cd replaced && ls -- *.*) | tr '\n' ' ' > files
[ "$(cat files)" = "checkpoint.h5 config.yaml events.jsonl " ] || fail "beside a checkpoint: $(cat files)"
grep -q 'hidden: \[9\]' replaced/config.yaml || fail "config.yaml is the other run's"
stopped 0 > /dev/null 2> resumed.err || { cat resumed.err; fail "the run that replaced another did not resume"; }
grep -q "resuming from" resumed.err || fail "did not resume"

# Results that cannot be read may be a finished run's: with its checkpoint they are written again, to the same bytes; without it,
# nothing is trained over what is left. A checkpoint that cannot be looked at is not taken for none.
cp -r one torn && cp one/results.h5 . && truncate -s -2000 torn/results.h5
EXTRA='' expect 0 "torn/results.h5: " small_train torn env
grep -q "it is written anew from the checkpoint" out.txt || { cat out.txt; fail "nobody says that results are made again"; }
cmp torn/model.h5 one/model.h5 && cmp torn/predictions.csv one/predictions.csv || fail "made again, results are others"
truncate -s -2000 torn/results.h5 && rm torn/checkpoint.h5
digest_of torn > before
expect 65 "torn holds a run whose results cannot be read, and no checkpoint" small_train torn env
digest_of torn | diff before - || fail "a run whose results are damaged was trained anew"
rm torn/results.h5 && ln -s results.h5 torn/results.h5 # a link to itself
expect 74 "torn/results.h5: cannot be looked at" small_train torn env
rm torn/results.h5 && ln -s checkpoint.h5 torn/checkpoint.h5
expect 74 "torn/checkpoint.h5: cannot be looked at" small_train torn env

# The epoch of the best AUC cannot be told from images of one class.
cp -r demo healthy && rm -r healthy/val/PNEUMONIA/*
"$PULMO" pack healthy healthy-packed --size 64 -q
EXTRA="--set train.monitor=auc --set data.path=healthy-packed" expect 2 "needs val images of two classes" small_train never env

# The best epoch is named by what it was chosen by.
for by in accuracy auc loss; do
    EXTRA="--set train.monitor=$by" small_train "by-$by" env > by.txt 2> by.err
    value=$(sed -n "s/^Best val $by: \([0-9.]*\) (epoch \([0-9]*\)).*/\1 \2/p" by.txt)
    awk -F, -v by="val_$by" -v want="$value" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == by) at = i }
        NR > 1 { v = $at; if (by == "val_loss") v = -v; if (best == "" || v > best) best = v }
        END { sub(/^-/, "", best); split(want, said, " "); d = best - said[1]; exit !(d < 6e-5 && d > -6e-5) }' "by-$by/history.csv" ||
        { cat by.txt; fail "the best $by is not in history.csv"; }
    grep -q "best $by $(echo "$value" | cut -d' ' -f1)" by.err || { cat by.err; fail "an epoch's line does not name $by"; }
done

# A finished run is refused unless overwritten; other settings do not resume from a checkpoint.
expect 2 "--overwrite" small_train one env
"$PULMO" train --set data.path=packed --set train.run_dir=one --set train.epochs=3 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden='[12]' --set train.patience=0 --overwrite > again.txt 2>/dev/null
[ "$(head_of again.txt)" = "$wanted" ] || fail "--overwrite gave another head"

# Evaluation of the model gives the run's own numbers; every sample counts once at any number of ranks.
grep "^Test accuracy" one.txt > wanted.txt
for n in 1 3; do
    ranks "$n" "$PULMO" evaluate one --data packed > "evaluate$n.txt" 2>/dev/null
    grep "^Test accuracy" "evaluate$n.txt" | cmp - wanted.txt
done
"$PULMO" evaluate one --data packed --split val --out scored > /dev/null 2>&1
[ "$(grep -c '^val,' scored/predictions.csv)" = 11 ] || fail "val has 11 images"

# Prediction from the JPEGs agrees with the scores of the packed images.
"$PULMO" predict one demo/test > predicted.csv 2>/dev/null
[ "$(wc -l < predicted.csv)" = 10 ] || fail "9 images and a header were expected"
"$PULMO" predict one demo/test --format json 2>/dev/null | head -1 | grep -q '"probabilities"' || fail "no JSON"
cp "$(find demo/test -name '*.jpeg' | head -1)" $'r\xf6ntgen.jpeg'
"$PULMO" predict one $'r\xf6ntgen.jpeg' --format json 2>/dev/null | grep -qF '"path":"r\\xf6ntgen.jpeg"' || fail "a name that is no UTF-8 is left out of JSON"
find demo/test -name '*.jpeg' | "$PULMO" predict one - 2>/dev/null | wc -l | grep -qx 10 || fail "list on stdin"
join -t, <(grep '^test,' one/predictions.csv | cut -d, -f2,7 | sort) <(tail -n +2 predicted.csv | sed 's,^demo/,,' | cut -d, -f1,4 | sort) |
    awk -F, '{ d = $2 - $3; if (d < 0) d = -d; if (d > 1e-5) bad = 1; n++ } END { exit bad || n != 9 }' || fail "predict and train disagree"

# A full disk is an error, and evaluation leaves a run's own results alone.
expect 74 "cannot write to standard output" bash -c '"$1" predict one demo/test > /dev/full' - "$PULMO"
expect 2 "holds results of a run" "$PULMO" evaluate one --data packed --out one

# A rank whose node lacks the configuration says so, though it is not the first.
expect 2 "rank 1: error: missing.yaml" mpirun --oversubscribe --bind-to none -n 1 sleep 20 : -n 1 env OMPI_COMM_WORLD_LOCAL_RANK=0 "$PULMO" train -c missing.yaml

# The files are ordinary HDF5.
for file in one/results.h5 one/model.h5 one/checkpoint.h5 packed/manifest.h5 packed/train-00000-of-00001.h5; do
    "$PULMO" inspect "$file" > /dev/null || fail "inspect $file"
    if command -v h5dump > /dev/null; then h5dump -H "$file" > /dev/null || fail "h5dump $file"; fi
done
if command -v h5diff > /dev/null; then h5diff one/model.h5 run3/model.h5 || fail "models differ"; fi
echo "1 to 4 ranks, resumed, evaluated and predicted: $wanted"
