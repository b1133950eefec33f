#!/usr/bin/env bash
# A run is trained again, on other tiers and numbers of ranks, and found the same after every epoch: also one that was interrupted
# and resumed, stopped early, fine-tuned, averaged, trained from a bank, or is not finished.
. "$(dirname "$0")/common.sh"
make_small

# As another machine would have trained it: the portable tier, or AVX2 where there is any.
other=ref
! PULMO_ISA=avx2 "$PULMO" bench conv --size 32 --seconds 1 --batch 1 > /dev/null 2>&1 || other=avx2
PULMO_ISA=$other small_train run env > run.txt 2> run.err
head=$(head_of run.txt)
sums_of() { (cd "$1" && sha256sum ./* | sort); }
sums_of run > before

expect 0 "reproducing 3 epochs of run" "$PULMO" reproduce run
grep -qx "reproduced: 3 epochs, Head SHA-256 $head" out.txt || { cat out.txt; fail "not reproduced"; }
PULMO_ISA=ref "$PULMO" reproduce run -q > out.txt 2> err.txt || { cat err.txt; fail "not reproduced by the portable tier"; }
[ "$(cat out.txt)" = "reproduced: 3 epochs, Head SHA-256 $head" ] || { cat out.txt; fail "more than the verdict on stdout"; }
expect 0 "reproduced: 3 epochs, Head SHA-256 $head" ranks 2 "$PULMO" reproduce run --set train.threads=1
sums_of run | cmp before - || fail "reproduce wrote to the run"
[ -z "$(ls -d pulmo-reproduce-* 2> /dev/null)" ] || fail "the scratch directory stays"

# The first epochs alone; kept, it is resumed from there.
best=$(sed -n 's/.*(epoch \([0-9]*\)).*/\1/p' run.txt)
expect 0 "reproduced: 2 of 3 epochs" "$PULMO" reproduce run --epochs 2 --out kept
[ "$best" = 3 ] || grep -q "reproduced: 2 of 3 epochs, Head SHA-256 $head" out.txt || { cat out.txt; fail "the best epoch's head is not compared"; }
expect 0 "reproduced: 3 epochs, Head SHA-256 $head" "$PULMO" reproduce run --out kept
grep -q "resuming from kept/checkpoint.h5: epoch 3" out.txt || { cat out.txt; fail "what was kept is not resumed"; }
cmp run/history.csv kept/history.csv
cmp run/predictions.csv kept/predictions.csv
expect 2 "kept: holds a finished run; give another directory with --out" "$PULMO" reproduce run --out kept

# Interrupted in the middle and resumed on other ranks: the digests of the epochs before are kept, and the same.
long="--set train.epochs=12 --set train.checkpoint_batches=1"
EXTRA=$long small_train whole env > whole.txt 2>&1
EXTRA=$long small_train stopped env > stopped.txt 2>&1 &
started=$!
for _ in $(seq 400); do grep -q "^Epoch 2" stopped.txt && break; sleep 0.02; done
kill -TERM "$(pgrep -P "$started" -f "pulmo train" || echo "$started")" || true
wait "$started" && fail "not interrupted" || [ $? = 75 ]
expect 0 " epochs of a run that has not finished" "$PULMO" reproduce stopped --epochs 1
provenance() { "$PULMO" inspect "$1" | sed -n "/^  .provenance/,/^  [/]/s/^ *@$2 *//p"; }
before_s=$(provenance stopped/checkpoint.h5 wall_seconds) began=$(provenance stopped/checkpoint.h5 started)
EXTRA=$long small_train stopped ranks 2 > resumed.txt 2>&1
[ "$(provenance stopped/results.h5 started)" = "$began" ] || fail "a resumed run began when it was resumed"
[ "$(provenance stopped/results.h5 sessions)" = 2 ] && [ "$(provenance whole/results.h5 sessions)" = 1 ] || fail "sessions are not counted"
awk -v a="$before_s" -v b="$(provenance stopped/results.h5 wall_seconds)" 'BEGIN { exit !(a > 0 && b > a) }' || fail "wall times are not added up"
expect 0 "reproduced: 12 epochs, Head SHA-256 $(head_of whole.txt)" "$PULMO" reproduce stopped
"$PULMO" reproduce whole > stopped.txt 2>&1 &
started=$!
for _ in $(seq 400); do grep -q "^Epoch 2" stopped.txt && break; sleep 0.02; done
written=$(ls pulmo-reproduce-*/*.h5 2> /dev/null) || true
kill -TERM "$started"
[ -z "$written" ] || fail "writes what nobody will read, while mpirun's Ctrl-C gives it a second: $written"
wait "$started" && fail "not interrupted" || [ $? = 75 ]
grep -q "with --out DIR it is kept, and the same command resumes" stopped.txt || { cat stopped.txt; fail "no word on how to resume"; }
[ -z "$(ls -d pulmo-reproduce-* 2> /dev/null)" ] || fail "the scratch directory stays after an interruption"
expect 2 "kept2: is not of this run; give another directory with --out" sh -c \
    "'$PULMO' reproduce run --epochs 1 --out kept2 && '$PULMO' reproduce whole --out kept2"
if command -v h5diff > /dev/null; then
    h5diff --exclude-path /provenance whole/results.h5 stopped/results.h5 || fail "digests depend on ranks or interruptions"
fi
mkdir begun && cp stopped/checkpoint.h5 stopped/config.yaml begun
expect 2 "begun: the run was interrupted before its first epoch ended" "$PULMO" reproduce begun

# Stopped early; fine-tuned, with an average of the weights and a schedule over all epochs.
EXTRA="--set train.patience=1 --set train.epochs=30 --set optim.lr=0.3" small_train early env > early.txt 2>&1
grep -q "stopping early" early.txt || fail "not stopped early"
expect 0 ", Head SHA-256 $(head_of early.txt)" "$PULMO" reproduce early
EXTRA="--set model.trainable=block5 --set optim.ema=0.5 --set optim.schedule=cosine --set eval.calibration=temperature" \
    PULMO_ISA=$other small_train fine env > fine.txt 2>&1
expect 0 "reproduced: 3 epochs, Head SHA-256 $(head_of fine.txt)" ranks 2 "$PULMO" reproduce fine

# Folds from a bank, trials of a sweep; the sweep itself, what joins its folds, and an evaluation are no runs.
"$PULMO" pack demo folded --size 64 --set pack.folds=3 -q
"$PULMO" sweep --set data.path=folded --set train.run_dir=sweep --set train.epochs=2 --set train.batch=8 --set train.patience=0 \
    --set train.features=bank --set bank.views=2 --grid data.fold=0,1,2 -q > sweep.txt
expect 0 "reproduced: 2 epochs, Head SHA-256" "$PULMO" reproduce sweep/data.fold=1
expect 2 "sweep: is a sweep, of many runs" "$PULMO" reproduce sweep
expect 2 "sweep/folds: joins the folds of a cross-validation" "$PULMO" reproduce sweep/folds
"$PULMO" evaluate run --data packed --out evaluated -q > /dev/null
expect 2 "nowhere: is no directory" "$PULMO" reproduce nowhere
expect 2 "run/results.h5: is no directory" "$PULMO" reproduce run/results.h5
ln -s loop loop
expect 74 "loop/results.h5: cannot be looked at" "$PULMO" reproduce loop
expect 2 "evaluated: holds an evaluation, nothing was trained there" "$PULMO" reproduce evaluated
echo "runs are reproduced"
