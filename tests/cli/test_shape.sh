#!/usr/bin/env bash
# pack.fit, pack.border, pack.decode: predict does to a file what pack did, to the bit; the same image as grey and as RGB,
# beside colour or not, gives the same bits at every number of views; squares count as squashed.
. "$(dirname "$0")/common.sh"
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$TOOLS/make_weights" weights.safetensors
"$PULMO" demo-data drawn --train 8 --val 4 --test 6 --seed 4 -q

# redraw FOLDER KIND HEIGHT WIDTH FRAME: the drawn images in another shape, every third the other way round.
redraw() {
    local n=0 file to
    while read -r file; do
        to=$1/${file#drawn/}
        mkdir -p "$(dirname "$to")"
        n=$((n + 1))
        if [ $((n % 3)) = 0 ]; then set -- "$1" "$2" "$4" "$3" "$5"; fi
        "$TOOLS/make_jpeg" "$file" "$to" "$2" "$3" "$4" "$5" || fail "make_jpeg"
    done < <(find drawn -name '*.jpeg' | LC_ALL=C sort)
}
train() { # train PACK RUN [SETTINGS...]
    local pack=$1 run=$2
    shift 2
    "$PULMO" train --set data.path="$pack" --set train.run_dir="$run" --set train.epochs=1 --set train.batch=8 \
        --set train.microbatch=2 --set model.hidden='[6]' --set augment.noise=0.05 --set augment.rotate_deg=25 "$@" -q > train.txt 2>&1 \
        || { cat train.txt; fail "train $run"; }
}
# rows FILE FOLDER: path and probabilities of a list of predictions, in order.
rows() {
    python3 - "$1" "$2" <<'PY'
import csv, sys
for row in sorted(csv.DictReader(open(sys.argv[1])), key=lambda r: r["path"]):
    if row.get("split", "test") == "test":
        print(row["path"].removeprefix(sys.argv[2] + "/"), *[row[k] for k in row if k.startswith("p_")])
PY
}
# same_rows RUN PACK FOLDER: evaluate and predict, and explain, agree on the test images.
same_rows() {
    local views
    for views in 1 4; do
        "$PULMO" evaluate "$1" --data "$2" --set eval.tta=$views --out scored -q > /dev/null 2> err.txt || { cat err.txt; fail "evaluate $1"; }
        "$PULMO" predict "$1" "$3/test" --set eval.tta=$views -q > predicted.csv 2> err.txt || { cat err.txt; fail "predict $1"; }
        rows scored/predictions.csv "$3" > wanted.txt
        rows predicted.csv "$3" > got.txt
        [ "$(wc -l < wanted.txt)" = 6 ] || fail "$1: not 6 test images"
        cmp wanted.txt got.txt || fail "$1: predict differs from evaluate at $views views"
        rm -r scored
        cp got.txt "rows-$views.txt"
    done
}

# ---- every framing: predict is evaluate, to the bit ----
redraw source grey 130 201 12
settings=("--fit squash" "--fit crop" "--fit pad" "--fit crop --border crop" "--fit pad --border crop" "--border crop" "--decode fast --fit pad")
n=0
for how in "${settings[@]}"; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    "$PULMO" pack source "p$n" --size 48 $how -q || fail "pack $how"
    train "p$n" "run$n"
    same_rows "run$n" "p$n" source
    cp rows-1.txt "of-$n.txt"
done
for k in 2 3 4 5 6 7; do cmp -s of-1.txt "of-$k.txt" && fail "${settings[$((k - 1))]} changes nothing"; done
cmp -s of-3.txt of-7.txt && fail "decoding fast changes nothing"
# explain gives predict's own probability of the class that is predicted, and shows what was looked at.
for k in 2 5 7; do
    "$PULMO" predict "run$k" source/test --set eval.tta=1 -q > predicted.csv
    "$PULMO" explain "run$k" source/test --out "looks$k" -q > explained.csv || fail "explain"
    python3 - explained.csv predicted.csv <<'PY' || fail "run$k: explain looks at another image than predict"
import csv, struct, sys
explained, predicted = (list(csv.DictReader(open(name))) for name in sys.argv[1:])
assert len(explained) == len(predicted) == 6
for e, p in zip(explained, predicted):
    assert e["path"] == p["path"] and e["probability"] == p["p_" + e["class"]], (e, p)
    width, height = struct.unpack(">II", open(e["overlay"], "rb").read()[16:24])
    assert width == height, (width, height)
PY
done
"$PULMO" pack source p1 --size 48 2>&1 | grep -q "nothing to do" || fail "squash and keep are not what is meant by default"
expect 2 "holds a pack of other files or options" "$PULMO" pack source p1 --size 48 --fit crop
expect 2 "packed with other options" "$PULMO" pack source p1 --size 48 --border crop --update

# Another framing than the model's is scored, and said.
"$PULMO" evaluate run2 --data p3 2> err.txt > /dev/null
grep -q "p3: was packed with fit pad, the model was trained on images with fit crop" err.txt || { cat err.txt; fail "another fit is not said"; }
"$PULMO" evaluate run2 --data p2 2> err.txt > /dev/null
grep -q "was packed with" err.txt && fail "the same fit is called another"
"$PULMO" export run5 --format onnx --out run5.onnx -q
LC_ALL=C grep -aq "image without uniform borders, its aspect kept, on a black square of size_px x size_px" run5.onnx || fail "the export does not say how images are padded"
grep -q "^Input: the image without uniform borders, its aspect kept, on a black square of 48 x 48 px" run5/MODEL_CARD.md || fail "the card does not say it"
grep -q "^Input: the whole image, resized to 48 x 48 px" run1/MODEL_CARD.md || fail "the card of squashed images says something else"
grep -q "8-bit, as Pillow, of the central part of that aspect" run2/report.html || fail "the report does not say it"

# ---- one image, one result: grey, RGB of the same pixels, and beside colour ----
mkdir -p many && redraw grey grey 130 201 0 && redraw rgb rgb 130 201 0
cp -r grey beside
coloured=$(find beside/train -name '*.jpeg' | LC_ALL=C sort | head -1)
"$TOOLS/make_jpeg" "drawn/${coloured#beside/}" "$coloured" colour 130 201 0
cmp -s "grey/${coloured#beside/}" "rgb/${coloured#beside/}" && fail "the RGB files are grey"
for kind in grey rgb beside; do "$PULMO" pack $kind p-$kind --size 48 --fit pad -q; done
train p-grey run-grey --set augment.contrast='[0.5, 1.5]' --set augment.sharpness='[0.5, 2]'
for kind in grey rgb beside; do
    same_rows run-grey p-$kind $kind
    for views in 1 4; do
        [ $kind = grey ] && cp rows-$views.txt grey-$views.txt
        cmp grey-$views.txt rows-$views.txt || fail "$kind: other bits than grey at $views views"
    done
done
cmp -s grey-1.txt grey-4.txt && fail "views change nothing"

# ---- squares have no aspect left ----
redraw squares grey 90 90 0
"$PULMO" pack squares q --size 48 --fit crop > /dev/null 2> square.txt
[ "$(grep -c "all images are square: recorded as squashed, not by pack.fit crop" square.txt)" = 1 ] || { cat square.txt; fail "squares are not said"; }
"$PULMO" pack squares q-squash --size 48 > /dev/null 2> square.txt
grep -q "all images are square" square.txt && fail "what was asked for is done: there is nothing to say"
"$PULMO" pack squares q-kept --size 48 --fit crop --set pack.aspect=kept > /dev/null 2> square.txt
grep -q "all images are square" square.txt && fail "pack.aspect kept is not believed"
for q in q q-squash q-kept; do train $q run-$q; done
# An original is squashed by a model of squares, as they were; cut by one whose images are square by themselves.
for q in q q-squash q-kept; do "$PULMO" predict run-$q source/test -q > $q.csv; done
cmp q.csv q-squash.csv || fail "a model of squares does not squash"
cmp -s q.csv q-kept.csv && fail "pack.aspect kept does not cut"
expect 2 "give pack.fit squash with pack.border crop, or pack.aspect kept" "$PULMO" pack squares q-border --size 48 --fit crop --border crop
one=$(find drawn/train -name '*.jpeg' | LC_ALL=C sort | tail -1)
"$TOOLS/make_jpeg" "$one" "squares/${one#drawn/}-x.jpeg" grey 90 91 0
"$TOOLS/make_jpeg" "$one" "squares/$(dirname "${one#drawn/}")/person900_virus_1.jpeg" grey 90 90 0
rm "squares/${one#drawn/}-x.jpeg"
"$PULMO" pack squares q --size 48 --fit crop --update > /dev/null 2> update.txt || { cat update.txt; fail "a square more"; }
"$TOOLS/make_jpeg" "$one" "squares/$(dirname "${one#drawn/}")/person901_virus_1.jpeg" grey 90 91 0
expect 2 "was packed of square images only" "$PULMO" pack squares q --size 48 --fit crop --update
"$PULMO" pack squares q-one --size 48 --fit crop > /dev/null 2> square.txt
grep -q "all images are square" square.txt && fail "one that is not square shows that aspects are there"

command -v h5dump > /dev/null || { echo "h5dump is not installed: what files state is not looked at"; exit 77; }
stated() { h5dump -a "$2" "$1" | sed -n 's/.*(0): "\([^"\\]*\).*/\1/p'; }
is() { [ "$(stated "$1" "$2")" = "$3" ] || fail "$1: $2 is \"$(stated "$1" "$2")\", not $3"; }
for file in p5/manifest.h5 run5/model.h5; do
    is $file fit pad
    is $file border crop
    is $file decoding exact
done
is p7/manifest.h5 decoding fast
is run7/model.h5 decoding fast
is run5/results.h5 data/fit pad
is run5/results.h5 data/border crop
is q/manifest.h5 fit squash
is q-kept/manifest.h5 fit crop
is q-one/manifest.h5 fit crop
echo "fit and border: ${#settings[@]} framings, predict is evaluate to the bit; grey, RGB and beside colour the same bits; squares are squashed"
