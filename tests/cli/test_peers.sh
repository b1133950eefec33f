#!/usr/bin/env bash
# Other libraries and pulmo agree on each other's files: weights that PyTorch and onnx write are the same
# values here; models exported from here give the same probabilities in PyTorch and ONNX Runtime; Grad-CAM is
# PyTorch's. Needs a Python with torch, onnx, onnxruntime, safetensors, h5py and Pillow: $PULMO_PYTHON or
# python3. The real weights and images take part where $PULMO_WEIGHTS and $PULMO_TEST_DATA name them.
real_weights=${PULMO_WEIGHTS:-}
. "$(dirname "$0")/common.sh"
python=${PULMO_PYTHON:-python3}
peers=$PULMO_SOURCE/tests/tools/peers.py
if ! "$python" -c 'import torch, onnx, onnxruntime, safetensors, h5py, PIL' 2> missing.txt; then
    echo "SKIPPED: $python: $(tail -1 missing.txt); PULMO_PYTHON may name another"
    exit 77
fi
make_small

values() { "$PULMO" weights check "$1" | sed -n 's/^  values *SHA-256 \([0-9a-f]*\).*/\1/p'; }
wanted=$(values weights.safetensors)
mkdir made
"$python" "$peers" make weights.safetensors made 2> make.txt || { cat make.txt; fail "peers.py make"; }
for file in made/[!b]*.*; do
    [ "$file" = made/keras.h5 ] && continue # its first layer takes BGR: other values
    [ "$(values "$file")" = "$wanted" ] || { "$PULMO" weights check "$file"; fail "$file: other values"; }
done
for file in made/bad-*; do expect 65 "$file" "$PULMO" weights check "$file"; done
expect 65 "is not run here" "$PULMO" weights check made/bad-whole-module.pth

# compare RUN IMAGE...: everything that leaves a run, against the others.
compare() {
    local run=$1
    shift
    mkdir "out-$run"
    "$PULMO" predict "$run" --format json "$@" > "out-$run/predicted.json" 2> err.txt || { cat err.txt; fail "predict $run"; }
    "$PULMO" explain "$run" "$@" --out "out-$run/maps" > lines.csv 2> err.txt || { cat err.txt; fail "explain $run"; }
    for class in NORMAL PNEUMONIA; do "$PULMO" explain "$run" "$@" --class $class --out "out-$run/maps-$class" -q > /dev/null; done
    [ "$(wc -l < lines.csv)" = $(($# + 1)) ] || fail "explain: not one line an image"
    "$PULMO" export "$run" --format onnx --out "out-$run/model.onnx" -q
    "$PULMO" export "$run" --format onnx --with-normalization --out "out-$run/normalised.onnx" -q
    "$PULMO" export "$run" --format safetensors --out "out-$run/model.safetensors" -q
    "$python" "$peers" model "$run" "out-$run" "$@" || fail "$run: the others disagree"
    [ "$(values "out-$run/model.onnx")" = "$(values "out-$run/model.safetensors")" ] || fail "exports do not read back as the same weights"
}
images=$(find demo/test -name '*.jpeg' | sort | head -4)
for pool in flatten avg max avgmax; do
    hidden='[12]'
    [ "$pool" = avg ] && hidden='[]'
    [ "$pool" = max ] && hidden='[12, 5]'
    EXTRA="--set model.pool=$pool --set train.seed=5 --set model.hidden=${hidden// /} --set train.epochs=2" small_train "$pool" env > train.txt 2>&1 || { cat train.txt; fail "train $pool"; }
    compare "$pool" $images
done

# Convolutions that were trained too, and a temperature, are part of what leaves.
EXTRA="--set model.pool=avg --set train.epochs=2 --set model.trainable=block5 --set eval.calibration=temperature" small_train block5 env > train.txt 2>&1 || { cat train.txt; fail "train block5"; }
compare block5 $images

# The averages of several blocks, from a frozen network and from trained ones.
for trained in head block5 block4; do
    EXTRA="--set model.pool=avg --set model.pool_blocks=[4,5] --set train.seed=5 --set train.epochs=2 --set model.trainable=$trained" small_train "blocks-$trained" env > train.txt 2>&1 || { cat train.txt; fail "train blocks-$trained"; }
    compare "blocks-$trained" $images
done

# The same weights in another file: the same model, to the last bit; and predictions take either.
EXTRA="--set train.epochs=2 --weights made/legacy.pth" small_train pth env > pth.txt 2>&1
EXTRA="--set train.epochs=2" small_train st env > st.txt 2>&1
[ -n "$(head_of pth.txt)" ] && [ "$(head_of pth.txt)" = "$(head_of st.txt)" ] || fail "another head from the same weights as .pth"
"$PULMO" predict st $images --weights made/raw.onnx > /dev/null 2>&1 || fail "predict with the same weights as ONNX"

# Keras' file: the same command trains, predicts, explains and exports; images in colour tell BGR from RGB.
expect 0 "caffe: BGR 0..255" "$PULMO" weights check made/keras.h5
EXTRA="--set train.epochs=2 --weights made/keras.h5" small_train keras env > keras.txt 2>&1 || { cat keras.txt; fail "train on Keras' weights"; }
mkdir colour
"$python" -c 'import sys, numpy, PIL.Image as I
for n, path in enumerate(sys.argv[1:]):
    grey = numpy.asarray(I.open(path).convert("L"), float)
    I.fromarray(numpy.stack([grey, grey[::-1], 255 - grey], 2).astype("uint8")).save(f"colour/{n}.jpeg", quality=95)' $images
export PULMO_WEIGHTS=$WORK/made/keras.h5
compare keras $images
"$PULMO" predict keras --format json colour > out-keras/predicted.json 2> /dev/null
"$python" "$peers" keras weights.safetensors out-keras colour/0.jpeg colour/1.jpeg colour/2.jpeg colour/3.jpeg || fail "Keras' preprocessing"
"$PULMO" predict keras $images --weights weights.safetensors > again.csv 2> /dev/null # the same numbers, read as the model was
"$PULMO" predict keras $images 2> /dev/null | cmp - again.csv || fail "the same weights as safetensors predict otherwise"
"$TOOLS/make_weights" other.safetensors 2
expect 65 "was trained on other frozen weights" "$PULMO" predict keras $images --weights other.safetensors

if [ -n "$real_weights" ] && [ -n "${PULMO_TEST_DATA:-}" ]; then
    export PULMO_WEIGHTS=$real_weights
    originals=$(find "$PULMO_TEST_DATA/data/chest_xray_originals" -name '*.jpeg' | sort | awk 'NR % 28 == 1')
    "$PULMO" pack demo packed224 --size 224 -q
    "$PULMO" train --set data.path=packed224 --set train.run_dir=real --set train.epochs=1 --set train.batch=8 --set train.microbatch=2 \
        --set model.hidden='[16]' --set train.patience=0 > train.txt 2>&1 || { cat train.txt; fail "train on the real weights"; }
    compare real $originals
else
    echo "without the real weights and images: PULMO_WEIGHTS or PULMO_TEST_DATA is unset"
fi
echo "PyTorch, onnx and ONNX Runtime agree"
