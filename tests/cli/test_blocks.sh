#!/usr/bin/env bash
# Trained convolutions: one seed, one model at 1 to 4 ranks, with everything switched on, and after kill
# and resume; the model file, evaluation, prediction and export know them; views and ensembles.
. "$(dirname "$0")/common.sh"
make_small

same_at_ranks() {
    local name=$1 n
    EXTRA=$2 small_train "$name" ranks 1 > "$name.txt" 2> "$name.err" || { cat "$name.err"; fail "$name"; }
    wanted=$(head_of "$name.txt")
    [ -n "$wanted" ] || fail "$name: no Head SHA-256"
    for n in $3; do
        EXTRA="$2 --set train.threads=$((n % 2 + 1))" small_train "$name$n" ranks "$n" > "$name$n.txt" 2> "$name$n.err" || { cat "$name$n.err"; fail "$name: $n ranks"; }
        [ "$(head_of "$name$n.txt")" = "$wanted" ] || fail "$name: $n ranks gave another model"
        cmp "$name/history.csv" "$name$n/history.csv"
        cmp "$name/predictions.csv" "$name$n/predictions.csv"
    done
}
block5="--set model.trainable=block5"
full="--set model.trainable=block4 --set train.unfreeze_epochs=[0,1] --set optim.clip_norm=0.5 --set optim.ema=0.9 --set optim.trunk_lr_scale=0.3 --set eval.tta=3 --set model.pool=avgmax --set eval.threshold=youden"
same_at_ranks block5 "$block5" "2 3 4"
same_at_ranks full "$full" "2 4"
same_at_ranks all "--set model.trainable=all" "3"
same_at_ranks averages "$block5 --set model.pool=avg --set model.pool_blocks=[4,5]" "2 3"
same_at_ranks averages4 "--set model.trainable=block4 --set model.pool=avg --set model.pool_blocks=[4,5] --set eval.tta=3" "2 4"
for wrong in "[4,5]:model.pool=flatten:outputs of several blocks are averaged" "[4]:model.pool=avg:the last must be 5" "[3,5]:model.pool=avg:block 3 is below the frozen block 4"; do
    IFS=: read -r blocks pool word <<< "$wrong"
    EXTRA="$block5 --set $pool --set model.pool_blocks=$blocks" expect 2 "$word" small_train wrong ranks 2
done
# A head of other blocks does not begin here.
EXTRA="$block5 --set model.pool=avg --set model.pool_blocks=[4,5] --set train.init=averages" small_train begun env > begun.txt 2>&1 || { cat begun.txt; fail "train.init"; }
EXTRA="$block5 --set model.pool=avg --set train.init=averages" expect 2 "model.pool_blocks" small_train unlike env

# What is below the cut, and what is not unfrozen yet, keeps its pretrained values; the rest has moved.
moved() { "$PULMO" inspect "$1/model.h5" | sed -n "s,^  /trunk/features.$2.weight.* mean \([^ ]*\) .*,\1,p"; }
[ -n "$(moved block5 16)" ] || fail "block5: features.16 is not in the model"
for n in 11 13 16; do [ -n "$(moved full $n)" ] || fail "block4: features.$n is not in the model"; done
[ -z "$(moved block5 13)" ] || fail "block5 has trained block 4"
EXTRA="$block5 --set train.unfreeze_epochs=[3]" small_train late env > late.txt 2> /dev/null
EXTRA="$block5 --set optim.trunk_lr_scale=0" small_train still env > still.txt 2> /dev/null
[ "$(moved late 16)" = "$(moved still 16)" ] || fail "a frozen block has moved"
[ "$(moved late 16)" != "$(moved block5 16)" ] || fail "a trained block has not moved"
block4="--set model.trainable=block4"
EXTRA="$block4 --set optim.trunk_lr_decay=0" small_train decayed env > decayed.txt 2> /dev/null
EXTRA="$block4 --set optim.trunk_lr_scale=0" small_train still4 env > still4.txt 2> /dev/null
[ "$(moved decayed 13)" = "$(moved still4 13)" ] || fail "a block has learned at a rate that is 0 below the topmost"
[ "$(moved decayed 16)" != "$(moved still4 16)" ] || fail "the topmost block has not learned"
small_train head env > head.txt 2> /dev/null
[ "$(head_of head.txt)" != "$(head_of late.txt)" ] || fail "the digest leaves out the convolutions"
cut -d, -f1-4 head/history.csv > a.csv && cut -d, -f1-4 late/history.csv > b.csv
python3 - a.csv b.csv <<'PY' || fail "a tail that is not trained is not the frozen trunk"
import sys
a, b = ([list(map(float, line.split(","))) for line in open(f).read().split("\n")[1:] if line] for f in sys.argv[1:])
sys.exit(any(abs(x - y) > 1e-4 for p, q in zip(a, b) for x, y in zip(p, q)))
PY

# Killed and resumed, on other numbers of ranks.
long="$full --set train.epochs=30 --set train.checkpoint_batches=1"
EXTRA=$long small_train whole ranks 2 > whole.txt 2> whole.err
EXTRA=$long small_train stopped env > stopped.txt 2>&1 &
started=$!
for _ in $(seq 400); do grep -q "^Epoch 3/" stopped.txt && break; sleep 0.02; done
kill -KILL $(pgrep -P "$started" -f "pulmo train" || echo "$started")
wait "$started" && fail "was not killed"
EXTRA=$long small_train stopped ranks 3 > resumed.txt 2> resumed.err || { cat resumed.err; fail "resume"; }
grep -q "resuming from" resumed.err || fail "did not resume"
[ "$(head_of resumed.txt)" = "$(head_of whole.txt)" ] || fail "the resumed run gave another model"
cmp whole/history.csv stopped/history.csv

# The same with block5, killed at 1 rank, resumed at 4.
more="$block5 --set train.epochs=30 --set train.checkpoint_batches=1"
EXTRA=$more small_train whole5 ranks 4 > whole5.txt 2> whole5.err
EXTRA=$more small_train stopped5 env > stopped5.txt 2>&1 &
started=$!
for _ in $(seq 400); do grep -q "^Epoch 3/" stopped5.txt && break; sleep 0.02; done
kill -KILL $(pgrep -P "$started" -f "pulmo train" || echo "$started")
wait "$started" && fail "was not killed"
EXTRA=$more small_train stopped5 ranks 4 > resumed5.txt 2> resumed5.err || { cat resumed5.err; fail "resume"; }
grep -q "resuming from" resumed5.err || fail "block5 did not resume"
[ "$(head_of resumed5.txt)" = "$(head_of whole5.txt)" ] || fail "block5: the resumed run gave another model"

# An export holds the trained blocks as the model does, and what is below the cut as the weight file does.
"$PULMO" export full --format safetensors --out full.safetensors -q
"$PULMO" inspect full/model.h5 > model.txt
python3 - weights.safetensors full.safetensors model.txt <<'PY' || fail "export: other convolutions"
import array, json, re, struct, sys
def read(name):
    with open(name, "rb") as f:
        head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {k: array.array("f", data[e["data_offsets"][0]:e["data_offsets"][1]]) for k, e in head.items() if k != "__metadata__"}
given, exported = read(sys.argv[1]), read(sys.argv[2])
means = dict(re.findall(r"/trunk/(features\S+) .* mean (\S+)", open(sys.argv[3]).read()))
for name in given:
    if not name.startswith("features."): continue
    n = int(name.split(".")[1])
    assert (exported[name] == given[name]) == (n < 11), name
    if n >= 11: assert abs(sum(exported[name]) / len(exported[name]) - float(means[name])) < 1e-5 * (1 + abs(float(means[name]))), name
PY
image=$(ls demo/test/*/*.jpeg | head -1)
"$PULMO" explain full "$image" --out looks -q > looks.csv || fail "explain"
"$PULMO" explain head "$image" --out looks-head -q > looks-head.csv || fail "explain"
cmp -s looks/*.png looks-head/*.png && fail "explain does not know the trained blocks"
grep -q "its last 3 convolutions and head trained" full/report.html || fail "the report does not know the trained blocks"
grep -q "all but the last 3 frozen" full/MODEL_CARD.md || fail "the card does not know the trained blocks"

# Evaluation and prediction give the run's own probabilities, to the bit.
for run in block5 block4 full all; do
    [ -d $run ] || continue
    "$PULMO" evaluate $run --data packed --out "scored-$run" > evaluated.txt 2> err.txt || { cat err.txt; fail "evaluate $run"; }
    "$PULMO" predict $run demo/test > predicted.csv 2> err.txt || { cat err.txt; fail "predict $run"; }
    { head -n 1 $run/predictions.csv; grep '^test,' $run/predictions.csv; } > of-the-run.csv
    [ "$(wc -l < of-the-run.csv)" = 10 ] || fail "$run: not 9 test images"
    cmp of-the-run.csv "scored-$run/predictions.csv" || fail "$run: evaluation differs from the run"
    python3 - of-the-run.csv predicted.csv <<'PY' || fail "$run: prediction differs from the run"
import csv, sys
def read(name):
    rows = list(csv.DictReader(open(name)))
    return {r["path"].replace("demo/", ""): [r[k] for k in r if k.startswith("p_")] for r in rows}
sys.exit(read(sys.argv[1]) != read(sys.argv[2]))
PY
done

EXTRA="--set model.trainable=block4 --set train.unfreeze_epochs=[2,1]" expect 2 "train.unfreeze_epochs: 1 after 2: must not fall" small_train falls

# An ensemble: the mean of its members' probabilities, the same at any number of ranks.
"$PULMO" evaluate block5 full all --data packed --out mean > mean.txt 2> err.txt || { cat err.txt; fail "ensemble"; }
ranks 3 "$PULMO" evaluate block5 full all --data packed 2> /dev/null | grep -vE "^(Results|Report)" > mean3.txt
grep -q "The mean of 3 models" mean/report.html && grep -q "mean of the 3 models' own" mean/report.html || fail "the page of an ensemble does not say so"
"$PULMO" evaluate block5 full all --data packed --out numbered --set eval.threshold=0.25 > numbered.txt 2> err.txt || { cat err.txt; fail "ensemble"; }
grep -q "from probability 0.2500 on (0.25)$" numbered.txt && grep -q "threshold was set beforehand" numbered/report.html \
    || { cat numbered.txt; fail "a threshold given to an ensemble is not told as given"; }
grep -q 'models, each with its own head' mean/MODEL_CARD.md || fail "the card of an ensemble does not say so"
grep -vE "^(Results|Report)" mean.txt | cmp - mean3.txt || fail "an ensemble depends on ranks"
python3 - mean/predictions.csv scored-{block5,full,all}/predictions.csv <<'PY' || fail "an ensemble is not the mean"
import csv, sys
tables = [[float(r["p_PNEUMONIA"]) for r in csv.DictReader(open(name))] for name in sys.argv[1:]]
sys.exit(not all(abs(m - sum(p) / 3) < 1e-6 for m, *p in zip(*tables)))
PY

# What cannot be.
EXTRA="--set model.trainable=block6" expect 2 "block5" small_train none env
"$TOOLS/make_weights" other.safetensors 9
expect 65 "trained on other frozen weights" "$PULMO" evaluate block5 --data packed --weights other.safetensors
EXTRA="--set model.trainable=all --set optim.name=sgd --set optim.lr=1000 --set optim.trunk_lr_scale=1000" expect 1 "not finite" small_train blown env
EXTRA="--set model.trainable=all --set optim.name=sgd --set optim.lr=1000 --set optim.trunk_lr_scale=1000" expect 1 "not finite" small_train blown2 ranks 3

EXTRA="--set model.trainable=all --set train.batch=65536" expect 1 "a smaller train.batch, a higher model.trainable" small_train vast env
[ ! -e vast/checkpoint.h5 ] || fail "a refused run left a checkpoint"

# PyTorch takes the same step: loss and every gradient.
python=${PULMO_PYTHON:-python3}
if "$python" -c 'import torch' 2> /dev/null; then
    "$python" "$PULMO_SOURCE/bench/peers/finetune.py" --tool "$TOOLS/finetune_step" --weights weights.safetensors --check \
        --trainable block5 block3 all --batch 11 || fail "PyTorch's gradients are others"
else
    echo "(no PyTorch: its gradients were not compared)"
fi
echo "trained blocks: bits, resume, model, evaluation, prediction, ensembles"
