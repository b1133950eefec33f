#!/usr/bin/env bash
# What `pulmo reproduce` finds: the epoch and the tensor that differ, other data and weights, another arithmetic, runs of releases
# that kept no digests of tensors.
. "$(dirname "$0")/common.sh"
make_small
small_train run env > run.txt 2> run.err
head=$(head_of run.txt)

# ---- refused before anything is trained ----
untrained() { ! grep -q "^Epoch" out.txt || { cat out.txt; fail "trained before it refused"; }; }
"$PULMO" demo-data others --train 26 --val 11 --test 9 --seed 4 -q
"$PULMO" pack others other --size 64 -q
expect 2 "run: was trained on other data than other (data_sha256 " "$PULMO" reproduce run --data other
untrained
expect 2 "give what it was trained on with --data" ranks 2 "$PULMO" reproduce run --data other
mv packed moved
expect 65 "run: its data cannot be opened (--data gives another place): " "$PULMO" reproduce run
expect 0 "reproduced: 3 epochs, Head SHA-256 $head" "$PULMO" reproduce run --data moved
cp -r other packed # in place of what it was trained on
expect 2 "run: was trained on other data than $WORK/packed" "$PULMO" reproduce run
rm -rf packed && mv moved packed
"$TOOLS/make_weights" others.safetensors 2
expect 2 "run: was trained with other weights (weights_sha256 " "$PULMO" reproduce run --weights others.safetensors
untrained
cp -r run edited && echo "model: {weights: [" > edited/config.yaml # which people may edit; the digests decide
expect 0 "reproduced: 1 of 3 epochs" "$PULMO" reproduce edited --epochs 1
grep -q "warning: edited/config.yaml:.*; weights and bank are looked for" out.txt || { cat out.txt; fail "no word on config.yaml"; }
mv weights.safetensors moved.safetensors
PULMO_WEIGHTS='' expect 0 "reproduced: 1 of 3 epochs" "$PULMO" reproduce run --weights moved.safetensors --epochs 1
mv moved.safetensors weights.safetensors
expect 2 "--epochs 9: run has 3 epochs; at most that" "$PULMO" reproduce run --epochs 9
expect 2 "lies in run, where nothing is written" "$PULMO" reproduce run --out run/again
expect 2 "missing: is no directory" "$PULMO" reproduce missing
expect 2 "--set optim.lr: means nothing to \"pulmo reproduce\"" "$PULMO" reproduce run --set optim.lr=1
[ -z "$(ls -d pulmo-reproduce-* 2> /dev/null)" ] || fail "a scratch directory stays"

/usr/bin/python3 -c 'import h5py' 2> /dev/null || { echo "no h5py: altered runs are not made, the rest is skipped"; exit 77; }
# altered NAME CODE: a run whose results CODE has changed, sealed again.
altered() {
    rm -rf "$1" && cp -r run "$1"
    /usr/bin/python3 -c "import h5py
with h5py.File('$1/results.h5', 'r+') as f:
    $2"
    /usr/bin/python3 "$PULMO_SOURCE/tests/tools/reseal.py" "$1/results.h5"
    expect 0 "is what was written" "$PULMO" verify "$1/results.h5"
}
a64=$(printf 'a%.0s' $(seq 64))

# ---- what differs is named ----
altered digest "f['digests/classifier.0.weight'][1] = b'$a64'"
made=$(/usr/bin/python3 -c 'import h5py; print(h5py.File("run/results.h5")["digests/classifier.0.weight"][1].decode()[:16])')
said="epoch 2: classifier.0.weight differs: digest has aaaaaaaaaaaaaaaa..., this machine made $made..."
expect 65 "pulmo: error: $said" "$PULMO" reproduce digest
grep -q "^Epoch 2" out.txt && ! grep -q "^Epoch 3" out.txt || { cat out.txt; fail "not found in the epoch itself"; }
! grep -q "reproduced" out.txt || fail "both reproduced and not"
expect 65 "$said" ranks 2 "$PULMO" reproduce digest
expect 0 "reproduced: 1 of 3 epochs" "$PULMO" reproduce digest --epochs 1
altered history "f['history/val_loss'][2] += 1e-9"
expect 65 "epoch 3: val_loss differs: history has " "$PULMO" reproduce history
altered model "f.attrs.modify('head_sha256', b'$a64')"
expect 65 "Head SHA-256 differs: model has aaaaaaaaaaaaaaaa..., this machine made ${head:0:16}..." "$PULMO" reproduce model
altered scores "f['test/logits'][4, 1] += 1e-3"
expect 65 "test: the logits of image 4 differ from those in scores" "$PULMO" reproduce scores

# ---- earlier releases ----
altered old "del f['digests']"
expect 0 "old: 3 of them are from a pulmo that kept no digests of tensors: there the history alone is compared" "$PULMO" reproduce old
grep -qx "reproduced: 3 epochs (3 by history alone), Head SHA-256 $head" out.txt || { cat out.txt; fail "no word on what was compared"; }
altered oldhead "del f['digests']; f.attrs.modify('head_sha256', b'$a64')"
expect 65 "Head SHA-256 differs: oldhead has aaaaaaaaaaaaaaaa" "$PULMO" reproduce oldhead
altered first "del f.attrs['arithmetic']"
expect 2 "first: was made by pulmo " "$PULMO" reproduce first
grep -q "with version 1 of the arithmetic" out.txt || { cat out.txt; fail "the arithmetic is not named"; }
untrained
altered mixed "f.attrs.modify('arithmetic', 0)"
expect 2 "mixed: was begun by one version of pulmo and resumed by another" "$PULMO" reproduce mixed

# A run that was resumed from a checkpoint without digests: history alone for the epochs before it.
cp -r run part && rm part/results.h5
/usr/bin/python3 - << 'PY'
import h5py
with h5py.File("part/checkpoint.h5", "r+") as f:
    del f["state/digests"]
PY
/usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" part/checkpoint.h5
small_train part env > part.txt 2>&1
grep -q "all epochs are done" part.txt || { cat part.txt; fail "not resumed"; }
[ "$(head_of part.txt)" = "$head" ] || fail "another head"
expect 0 "reproduced: 3 epochs (3 by history alone), Head SHA-256 $head" "$PULMO" reproduce part

# The digest of the best epoch is that of the model's tensors, by whoever computes it.
/usr/bin/python3 - << 'PY'
import h5py
results, model = h5py.File("run/results.h5"), h5py.File("run/model.h5")
tensors = sorted(name for name in model["head"])
assert sorted(results["digests"]) == tensors, (sorted(results["digests"]), tensors)
for name in tensors:
    column = results["digests"][name]
    assert column.shape == (3,) and column.dims[0][0].name == "/history/epoch", name
    assert all(len(digest) == 64 for digest in column[:]) and len(set(column[:])) == 3, name
PY
echo "what differs is named"
