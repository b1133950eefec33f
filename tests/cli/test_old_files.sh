#!/usr/bin/env bash
# Files of earlier releases are read for ever: packs, models and checkpoints of version 0.1.0, and of the last commit that wrote
# none of the digests that files have now. They say that they are not verified; damage that can be told is. Banks are made anew.
# tests/data/old/make.sh made them.
. "$(dirname "$0")/common.sh"
old=$PULMO_SOURCE/tests/data/old
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors PULMO_ISA=ref OPENBLAS_CORETYPE=Prescott
"$PULMO" demo-data demo --train 8 --val 4 --test 4 --seed 5 -q
train() {
    "$PULMO" train --set data.path=packed --set model.pool=avg --set model.hidden=[4] --set train.batch=4 --set train.patience=0 \
        --set train.threads=1 "$@"
}

for release in 0.1.0 unsealed; do
    rm -rf packed run stopped bank again results
    cp -r "$old/$release"/* .
    chmod -R u+w .

    # A model: the classes and probabilities that its own release gave, and a word.
    "$PULMO" predict run demo/test/*/* 2> said.txt | cut -d, -f2-4 > now.csv
    awk -F, 'NR == FNR { class[FNR] = $1; normal[FNR] = $2; next } # 0.1.0 gave six digits
        FNR > 1 && ($1 != class[FNR] || $2 - normal[FNR] > 1e-6 || normal[FNR] - $2 > 1e-6) { exit 1 }' predicted.csv now.csv ||
        { cat predicted.csv now.csv; fail "$release: other probabilities than its release gave"; }
    [ "$(wc -l < now.csv)" = 5 ] || fail "$release: not four predictions"
    grep -q "run/model.h5: written without digests; not verified" said.txt || { cat said.txt; fail "$release: no word on its model"; }

    # A pack: its pixels are told by the manifest's digests, which these releases wrote already.
    expect 0 "packed: test: written without digests; not verified, but for pixels" "$PULMO" evaluate run --data packed
    expect 0 "nothing is verified: " "$PULMO" verify run
    expect 0 "16 images are what was packed" "$PULMO" verify packed
    expect 0 "16 images are what was packed" "$PULMO" pack --verify packed
    expect 0 "pulmo manifest" "$PULMO" inspect packed/manifest.h5
    expect 2 "packed/manifest.h5: was packed by a pulmo that had no --update" "$PULMO" pack demo packed --size 32 --update

    # A checkpoint: resumed, though the pack's digest covers more now.
    expect 0 "stopped/checkpoint.h5: written without digests; not verified" \
        train --set train.run_dir=stopped --set train.epochs=300 --set train.checkpoint_batches=1
    grep -q "resuming from stopped/checkpoint.h5: epoch" out.txt || { cat out.txt; fail "$release: not resumed"; }
    grep -q "stopped/checkpoint.h5: was written by a pulmo whose arithmetic differs" out.txt ||
        { cat out.txt; fail "$release: no word on its arithmetic"; }

    # A bank: its features are of another arithmetic, so that another is made beside it.
    (cd bank && sha256sum */*) > before
    expect 0 "feature bank: " train --set train.run_dir=again --set train.epochs=2 --set train.features=bank --set bank.path=bank \
        --set bank.views=1
    [ "$(find bank -type f | wc -l)" -gt "$(wc -l < before)" ] || fail "$release: features of another arithmetic were taken"
    (cd bank && sha256sum -c --quiet ../before) || fail "$release: its bank was changed"

    # Results: a report says what its release had computed of them.
    "$PULMO" inspect results/results.h5 > inspected.txt 2>&1
    auc=$(awk '$1 == "/test" { of_test = 1 } of_test && $1 == "@auc" { printf "%.4f", $2; exit }' inspected.txt)
    expect 0 "results/results.h5: written without digests; not verified" "$PULMO" report results --no-overlays
    grep -q "| AUC | $auc " results/MODEL_CARD.md || { cat results/MODEL_CARD.md; fail "$release: not the AUC of its results, $auc"; }

    # A changed pixel, a changed feature, a chunk that the index does not find.
    shard=packed/test-00000-of-00001.h5
    cp $shard kept.h5
    python3 - "$shard" << 'PY'
import struct, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.index(struct.pack("<II5Q", 32 * 32 + 4, 0, 2, 0, 0, 0, 0))  # row 2 in the chunks' index
data[at + 8] = 1
open(sys.argv[1], "wb").write(data)
PY
    expect 65 "test-00000-of-00001.h5: " "$PULMO" evaluate run --data packed
    grep -q "image .* cannot be read" out.txt || { cat out.txt; fail "$release: the image is not named"; }
    cp kept.h5 $shard
done
echo "files of 0.1.0, and of the last commit without digests, are read"
