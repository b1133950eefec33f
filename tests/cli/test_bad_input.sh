#!/usr/bin/env bash
# Wrong input of each kind: one clear error, the documented status on every rank, nothing half-written.
. "$(dirname "$0")/common.sh"
make_small
base=(--set data.path=packed --set train.run_dir=run --set train.epochs=1 --set train.batch=8 --set model.hidden='[8]' --set train.patience=0)

# ---- usage and configuration: 2 ----
expect 2 "no command" "$PULMO" nonsense
expect 2 "did you mean train?" "$PULMO" tran
expect 2 "Usage: pulmo COMMAND" "$PULMO"
expect 2 "SOURCE and DEST" "$PULMO" pack demo
expect 2 "takes no configuration" "$PULMO" bench step --set model.trainable=block5
expect 2 "data.path is not set" "$PULMO" train
expect 2 "train.run_dir is not set" "$PULMO" train --set data.path=packed
expect 2 "did you mean optim.lr" "$PULMO" train "${base[@]}" --set optim.lrr=1
expect 2 "must be a number" "$PULMO" train "${base[@]}" --set optim.lr=0.1x
expect 2 "must be between" "$PULMO" train "${base[@]}" --set train.batch=0
expect 2 "must be one of" "$PULMO" train "${base[@]}" --set optim.name=adamm
printf 'optim:\n  lr: 0.1\n  momentun: 0.9\n' > typo.yaml
expect 2 "typo.yaml:3" "$PULMO" train -c typo.yaml "${base[@]}"
expect 2 "cannot open" "$PULMO" train -c missing.yaml "${base[@]}"
expect 2 "no such tier" env PULMO_ISA=avx9 "$PULMO" train "${base[@]}"
expect 2 "must be between" ranks 3 "$PULMO" train "${base[@]}" --set model.dropout=2

# ---- bad data and weights: 65, on every rank ----
expect 65 "not a packed data set" "$PULMO" train "${base[@]}" --set data.path=nowhere
expect 65 "no VGG16 weights" env -u PULMO_WEIGHTS XDG_CACHE_HOME="$WORK/none" "$PULMO" train "${base[@]}"
head -c 5000 weights.safetensors > short.safetensors
expect 65 "short.safetensors" ranks 2 "$PULMO" train "${base[@]}" --weights short.safetensors
cp -r packed damaged
truncate -s 3000 damaged/train-00000-of-00001.h5
expect 65 "damaged/train-00000-of-00001.h5" ranks 2 "$PULMO" train "${base[@]}" --set data.path=damaged
rm damaged/train-00000-of-00001.h5
expect 65 "missing" "$PULMO" train "${base[@]}" --set data.path=damaged
expect 65 "not an HDF5 file" "$PULMO" inspect weights.safetensors
# libhdf5 1.10.8 is ended by SIGSEGV where it walks through this one's attributes.
expect 65 "attributes-never-read.h5" "$PULMO" inspect "$PULMO_SOURCE/tests/fuzz/regressions/h5/attributes-never-read.h5"
mkdir -p single/A && cp demo/train/NORMAL/*.jpeg single/A
expect 65 "one class" "$PULMO" pack single single-packed
mkdir -p empty/A empty/B
expect 65 "no files" "$PULMO" pack empty empty-packed
mkdir -p novalue/train && cp -r demo/train/NORMAL demo/train/PNEUMONIA novalue/train
"$PULMO" pack novalue novalue-packed --size 64 -q
expect 2 "no val split" "$PULMO" train "${base[@]}" --set data.path=novalue-packed --set train.patience=3

# ---- input and output: 74 ----
expect 74 "cannot" "$PULMO" pack missing-source missing-packed
touch occupied
expect 74 "not a directory" "$PULMO" train "${base[@]}" --set train.run_dir=occupied/run
expect 74 "cannot be opened" "$PULMO" inspect missing.h5

# ---- one bad file among good ones is named, the rest is done ----
mkdir -p mixed && cp -r demo/train/NORMAL demo/train/PNEUMONIA mixed
first=$(ls mixed/NORMAL | head -1)
head -c 2000 "mixed/NORMAL/$first" > mixed/NORMAL/truncated.jpeg
: > mixed/NORMAL/zero.jpeg
echo "no image" > mixed/PNEUMONIA/text.jpeg
expect 0 "refused: NORMAL/truncated.jpeg" "$PULMO" pack mixed mixed-packed --size 64
grep -qF "refused: NORMAL/zero.jpeg: is empty" out.txt || fail "zero.jpeg"
grep -qF "refused: PNEUMONIA/text.jpeg: is not a JPEG" out.txt || fail "text.jpeg"
expect 0 "nothing to do" "$PULMO" pack mixed mixed-packed --size 64
expect 2 "--overwrite" "$PULMO" pack mixed mixed-packed --size 48
expect 65 "pack.on_bad is fail" "$PULMO" pack mixed strict-packed --size 64 --on-bad fail
[ ! -e strict-packed/manifest.h5 ] || fail "a failed pack left a manifest"
"$PULMO" train "${base[@]}" > /dev/null 2>&1
expect 65 "2 of 3 images could not be used" "$PULMO" predict run mixed/NORMAL/zero.jpeg "mixed/NORMAL/$first" absent.jpeg
grep -q "^mixed/NORMAL/$first," out.txt || fail "the good image was not scored"
"$TOOLS/make_weights" other.safetensors 2
expect 65 "other frozen weights" "$PULMO" evaluate run --data packed --weights other.safetensors
ls run | grep -q tmp && fail "a temporary file stayed behind"
# A head that no machine here can hold is refused before it is allocated.
expect 1 "parameters on 1 rank needs" "$PULMO" train --set data.path=packed --set train.run_dir=large --set 'model.hidden=[65536,65536,65536,65536]'

echo "every wrong input was refused with its status"
