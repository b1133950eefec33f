#!/usr/bin/env bash
# Damaged files: found, named, and never a crash. A few random changes here; tests/fuzz/damage.sh makes two thousand.
. "$(dirname "$0")/common.sh"
make_small
small_train run env > run.txt 2> run.err

# What differs is named, by verify and by what reads it.
expect 0 "run: 3 files are what was written" "$PULMO" verify run
expect 0 "run/model.h5: 1 file is what was written" "$PULMO" verify run/model.h5
mkdir one && cp run/model.h5 one/ && printf 'pulmo' | dd of=one/model.h5 bs=1 seek=300 conv=notrunc status=none
expect 65 "one: 1 thing is not what was written" "$PULMO" verify one
expect 0 "46 images are what was packed" "$PULMO" verify packed
expect 0 "46 images are what was packed" ranks 2 "$PULMO" verify packed
expect 65 "holds no .h5 file; verify takes" "$PULMO" verify demo
echo "train: {seed: 3}" > settings.yaml
expect 74 "missing.h5: cannot be opened: No such file or directory; verify takes a .h5 file" "$PULMO" verify missing.h5
expect 74 "missing: cannot be opened: No such file or directory; --verify takes a packed" "$PULMO" pack --verify missing
expect 65 "weights.safetensors: is not an HDF5 file; verify takes a .h5 file" "$PULMO" verify weights.safetensors
expect 65 "settings.yaml: is not an HDF5 file; verify takes" "$PULMO" verify settings.yaml
! grep -q "not what was written" out.txt || { cat out.txt; fail "a YAML file is called damaged"; }
expect 65 "settings.yaml: is a file; --verify takes a packed data set" "$PULMO" pack --verify settings.yaml
cp settings.yaml torn.h5
expect 65 "torn.h5: 1 thing is not what was written" "$PULMO" verify torn.h5
expect 0 "run/model.h5: 1 file is what was written" "$PULMO" verify run/model.h5
# Each of a run's files may be what was written, and one of them by another run.
EXTRA="--set train.seed=9" small_train second env > /dev/null 2>&1
mkdir mixed && cp run/results.h5 second/model.h5 mixed/
expect 65 "mixed: results.h5 is of another model than model.h5" "$PULMO" verify mixed

# Links are followed, to directories and to files; one to nothing is told, and so are shards that no manifest lists.
ln -s run linked && ln -s packed linked-pack && mkdir -p links/below && ln -s ../../one/model.h5 links/below/model.h5
expect 0 "linked: 3 files are what was written" "$PULMO" verify linked
expect 0 "46 images are what was packed" "$PULMO" verify linked-pack
cp run/results.h5 links/
expect 65 "links/below/model.h5: its bytes are not those" "$PULMO" verify links
ln -s . links/around && rm links/below/model.h5 && cp run/model.h5 links/below/
expect 0 "links: 2 files are what was written" "$PULMO" verify links
ln -s nowhere links/checkpoint.h5
expect 74 "links/checkpoint.h5: cannot be opened: No such file or directory" "$PULMO" verify links
cp -r packed lost && rm lost/manifest.h5
expect 65 "lost: holds shards of a packed data set, but no manifest.h5" "$PULMO" verify lost

if /usr/bin/python3 -c 'import h5py' 2> /dev/null; then
    for file in run/model.h5 run/checkpoint.h5 packed/manifest.h5 packed/train-00000-of-00001.h5; do
        /usr/bin/python3 "$PULMO_SOURCE/tests/tools/content_digests.py" "$file" || fail "h5py finds other digests"
    done
    cp run/model.h5 edited.h5
    /usr/bin/python3 -c 'import h5py; f = h5py.File("edited.h5", "r+"); f.attrs.modify("threshold", 0.9); f["mean"][0] = 7'
    expect 65 "edited.h5: /@threshold is not what was written, /mean is not what was written (2 differ in all)" "$PULMO" verify edited.h5
    expect 65 "/@threshold is not what was written" "$PULMO" predict edited.h5 demo/test/NORMAL
    # No number, no class; here in a file without digests.
    cp run/model.h5 nan.h5
    /usr/bin/python3 -c 'import h5py; f = h5py.File("nan.h5", "r+"); f["head/classifier.0.weight"][0, 0] = float("nan")'
    /usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" nan.h5
    expect 65 "/head/classifier.0.weight: value 0 is nan, must be a number" "$PULMO" predict nan.h5 demo/test/NORMAL
    # A row that its sum does not fit, where other tools dropped the seal.
    cp -r packed edited
    /usr/bin/python3 -c 'import h5py; h5py.File("edited/test-00000-of-00001.h5", "r+")["images"][3, 5, 5, 0] ^= 1'
    expect 65 "edited/test-00000-of-00001.h5: /images: row 3 is not what was written" "$PULMO" verify edited
    expect 65 "cannot be read (restore its shard" "$PULMO" evaluate run --data edited
else
    echo "skipped: files that python3-h5py would edit"
fi

command -v python3 > /dev/null || { echo "skipped: random changes, which python3 makes"; exit 0; }
bash "$PULMO_SOURCE/tests/fuzz/damage.sh" 30 7 "$PULMO"
echo "damage is found"
