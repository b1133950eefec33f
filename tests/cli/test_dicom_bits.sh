#!/usr/bin/env bash
# DICOM of a JPEG's decoded pixels (8 bits, full range, no window) gives the JPEG's bits: packed, evaluated, and predicted
# from the file, at 1 and 4 views. pack.window and pack.modalities go with the model: predict does what pack did.
. "$(dirname "$0")/common.sh"
names_as_they_are
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL, h5py' 2> /dev/null || { echo "skipped: needs python3-pil, python3-h5py"; exit 77; }
"$PULMO" --version | grep -q '^DICOM: not built in$' && { echo "skipped: pulmo was built without DCMTK"; exit 77; }
dicoms() { "$PYTHON" "$PULMO_SOURCE/tests/tools/dicoms.py" "$@"; }
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$TOOLS/make_weights" weights.safetensors
"$PULMO" demo-data jpeg --train 8 --val 4 --test 6 --seed 4 -q
dicoms copy jpeg dicom
dicoms copy jpeg ct CT

train() {
    "$PULMO" train --set data.path="$1" --set train.run_dir="$2" --set train.epochs=1 --set train.batch=8 \
        --set train.microbatch=2 --set model.hidden='[6]' -q > train.txt 2>&1 || { cat train.txt; fail "train $2"; }
}
# rows FILE FOLDER: paths without their endings, and probabilities.
rows() {
    "$PYTHON" - "$1" "$2" << 'END'
import csv, sys
for row in sorted(csv.DictReader(open(sys.argv[1])), key=lambda r: r["path"]):
    if row.get("split", "test") == "test":
        print(row["path"].removeprefix(sys.argv[2] + "/").rsplit(".", 1)[0], *[row[k] for k in row if k.startswith("p_")])
END
}
digests() { "$PYTHON" -c "
import h5py, sys
with h5py.File(sys.argv[1] + '/manifest.h5') as m:
    for name, split in sorted(m['splits'].items()):
        print(name, *sorted(d.decode() for d in split['pixel_digests'][:]), sep='\n')
" "$1"; }
# scored RUN PACK FOLDER VIEWS OUT: evaluate and predict of the test images, which must agree
scored() {
    rm -rf score
    "$PULMO" evaluate "$1" --data "$2" --set eval.tta="$4" --out score -q > /dev/null 2> err.txt || { cat err.txt; fail "evaluate $2"; }
    find "$3/test" -type f | LC_ALL=C sort | "$PULMO" predict "$1" - --set eval.tta="$4" -q > predicted.csv 2> err.txt ||
        { cat err.txt; fail "predict $3"; }
    rows score/predictions.csv "$3" > "$5"
    rows predicted.csv "$3" > predicted.txt
    [ "$(wc -l < "$5")" = 6 ] || fail "$2: not 6 test images"
    cmp "$5" predicted.txt || fail "$3: predict differs from evaluate at $4 views"
}

for kind in jpeg dicom; do "$PULMO" pack $kind packed-$kind --size 48 -q 2> pack.txt || { cat pack.txt; fail "pack $kind"; }; done
[ "$(digests packed-jpeg)" = "$(digests packed-dicom)" ] || fail "other pixels are packed"
train packed-jpeg run
for views in 1 4; do
    for kind in jpeg dicom; do scored run packed-$kind $kind $views $kind-$views.txt; done
    cmp jpeg-$views.txt dicom-$views.txt || fail "a DICOM gives other bits than a JPEG at $views views"
done
cmp -s jpeg-1.txt jpeg-4.txt && fail "views change nothing"

# What a pack was told of DICOM, its model knows.
"$PULMO" pack ct packed-ct --size 48 --set pack.modalities=any --set pack.window=1000,900 -q 2> pack.txt || { cat pack.txt; fail "pack ct"; }
train packed-ct run-ct
scored run-ct packed-ct ct 1 ct.txt
"$PULMO" pack ct packed-own --size 48 --set 'pack.modalities=[CT]' -q
[ "$(digests packed-own)" != "$(digests packed-ct)" ] || fail "pack.window changes nothing"
film=$(find ct/test -type f | head -1)
expect 65 "is of modality CT, and CR, DX are taken" "$PULMO" predict run "$film"
"$PULMO" explain run-ct "$film" --out look -q > /dev/null || fail "explain does not take what pack took"
truncate -s -100 "$film"
expect 65 "is truncated" "$PULMO" predict run-ct "$film"
echo "one image, the same bits as JPEG and as DICOM; window and modalities go with the model"
