#!/usr/bin/env bash
# The program for AArch64, under qemu, draws, packs, trains, predicts and explains as this machine's does, to the bit: where
# PULMO_AARCH64 names a build of `cmake --preset aarch64`. tests/aarch64/run.sh makes one, and does more.
if [ -z "${PULMO_AARCH64:-}" ]; then
    echo "skipped: PULMO_AARCH64 names no build for AArch64 (tests/aarch64/run.sh makes one)"
    exit 77
fi
. "$(dirname "$0")/common.sh"
there=$PULMO_AARCH64/emulated/bin/pulmo
"$there" --version > version.txt || fail "$there does not start; is qemu-user installed, and the sysroot where it was?"

"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 10 --val 4 --test 3 --seed 3 -q
"$PULMO" pack demo packed --size 32 -q
"$there" pack demo packed-there --size 32 -q
few=(--train 2 --val 1 --test 1 --seed 3 -q)
"$PULMO" demo-data few "${few[@]}"
"$there" demo-data few-there "${few[@]}"
diff -r few few-there || fail "other images are drawn"

# trained RUN PACK COMMAND...: a run of two batches an epoch, the second one short.
trained() {
    local run=$1 pack=$2
    shift 2
    "$@" train --set data.path="$pack" --set train.run_dir="$run" --set train.epochs=2 --set train.batch=8 --set train.microbatch=2 \
        --set model.hidden='[20]' --set train.patience=0 "${network[@]}" > "$run.txt" 2>&1 || { cat "$run.txt"; fail "$run: no model"; }
}
same() { # RUN: its bits are those of `here`
    for file in history.csv predictions.csv; do cmp "here/$file" "$1/$file" || fail "$1/$file: ${network[*]}"; done
    [ "$(head_of here.txt)" = "$(head_of "$1.txt")" ] && [ -n "$(head_of here.txt)" ] || fail "$1: another head: ${network[*]}"
}
for trainable in head block5; do
    network=(--set model.trainable=$trainable --set 'train.unfreeze_epochs=[1]')
    [ $trainable = block5 ] || network=(--set model.trainable=head)
    rm -rf here neon ref ranks
    trained here packed "$PULMO"
    trained neon packed-there "$there"
    trained ref packed env PULMO_ISA=ref "$there"
    trained ranks packed-there ranks 2 "$there"
    grep -q ' neon kernels' neon.txt && grep -q ' ref kernels' ref.txt || fail "other kernels ran"
    for run in neon ref ranks; do same $run; done
done

# What a trained model says of images, and where it looks.
for run in here neon; do
    program=$PULMO
    [ $run = here ] || program=$there
    "$program" predict here demo/test -q > "predicted-$run.csv"
    "$program" explain here demo/test --out "explained-$run" -q > /dev/null
done
cmp predicted-here.csv predicted-neon.csv || fail "other probabilities"
diff -r explained-here explained-neon || fail "other heat maps"
echo "one model on both, of two networks: $(head_of here.txt)"
