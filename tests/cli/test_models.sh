#!/usr/bin/env bash
# predict, explain, export and weights check as a user meets them: what they print and write, one bad file among
# good ones, wrong usage. tests/cli/test_peers.sh checks the numbers against other libraries.
real_weights=${PULMO_WEIGHTS:-}
. "$(dirname "$0")/common.sh"
make_small
small_train run env > train.txt 2>&1 || { cat train.txt; fail train; }
values() { "$PULMO" weights check "$1" | sed -n 's/^  values *SHA-256 \([0-9a-f]*\).*/\1/p'; }
lines() { [ "$(wc -l < "$1")" = "$2" ] || { cat "$1"; fail "$1: not $2 lines"; }; }

# One bad file is reported and the rest done, in order; the status tells. Lists come from stdin too.
image=$(find demo/test -name '*.jpeg' | sort | head -1)
head -c 700 "$image" > cut.jpeg
echo text > text.jpeg
status=0
"$PULMO" predict run "$image" cut.jpeg nothing.jpeg text.jpeg demo/test > all.csv 2> all.err || status=$?
[ "$status" = 65 ] || fail "a bad file: status $status"
lines all.csv 11
for bad in cut.jpeg nothing.jpeg text.jpeg; do grep -q "$bad" all.err || fail "$bad is not reported"; done
grep -q "3 of 13 images could not be used" all.err || { cat all.err; fail "no count of bad files"; }
[ "$(sed -n 2p all.csv)" = "$(grep -F "$image" all.csv | tail -1)" ] || fail "an image scores otherwise in other company"
printf '%s\n\n%s\r\n' "$image" "$image" | "$PULMO" predict run - --format json 2> /dev/null > two.json
lines two.json 2
expect 65 "could not be used" "$PULMO" predict run text.jpeg
mkdir empty
expect 2 "no images given" "$PULMO" predict run empty
# A list from stdin may be empty, as find's: the header alone, and no error.
"$PULMO" predict run - < /dev/null > none.csv || fail "an empty list: status $?"
cmp none.csv <(head -1 all.csv) || fail "an empty list: not the header alone"
"$PULMO" predict run - --format json < /dev/null > none.json || fail "an empty list, JSON: status $?"
lines none.json 0
"$PULMO" explain run - --out none < /dev/null > none.csv || fail "explain, an empty list: status $?"
lines none.csv 1
expect 2 "RUN and at least one image" "$PULMO" predict run

# Overlays and maps.
status=0
"$PULMO" explain run "$image" text.jpeg "$image" --out maps > maps.csv 2> maps.err || status=$?
[ "$status" = 65 ] || { cat maps.err; fail "explain with a bad file: status $status"; }
lines maps.csv 3
name=$(basename "$image" .jpeg)
for file in "maps/$name.png" "maps/$name-2.png"; do
    [ "$(head -c 8 "$file" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "$file is no PNG"
    for key in Class Probability Source Disclaimer; do grep -qa "iTXt$key" "$file" || fail "$file: no text $key"; done
done
"$PULMO" inspect maps/maps.h5 > maps.txt
grep -q "/maps/$name-2 *4 x 4 float32" maps.txt || { cat maps.txt; fail "no map of the second image"; }
expect 2 "is not a class of the model; it has NORMAL, PNEUMONIA" "$PULMO" explain run "$image" --out maps --class COVID
expect 2 "--out DIR is needed" "$PULMO" explain run "$image"
"$PULMO" explain run "$image" --out again --class PNEUMONIA -q > again.csv
[ "$(tail -1 again.csv | cut -d, -f2)" = PNEUMONIA ] || fail "--class was not taken"
"$PULMO" explain run "$image" --out twice --class PNEUMONIA -q > /dev/null
cmp "again/$name.png" "twice/$name.png" || fail "two equal explanations differ"

# Exports hold the frozen weights as they were, and appear whole or not at all.
wanted=$(values weights.safetensors)
"$PULMO" export run --format safetensors --out model.safetensors -q
"$PULMO" export run --format onnx --out model.onnx -q
"$PULMO" export run --format onnx --with-normalization --out normalised.onnx -q || fail "export with normalisation"
[ "$(values model.safetensors)" = "$wanted" ] || fail "safetensors: other frozen weights"
[ "$(values model.onnx)" = "$wanted" ] || fail "ONNX: other frozen weights"
grep -qa '"classifier.3.weight":{"dtype":"F32","shape":\[2,12\]' model.safetensors || fail "safetensors: no head"
sha=$(head_of train.txt)
for file in model.safetensors model.onnx; do grep -qa "$sha" "$file" || fail "$file: the head's digest is not in its metadata"; done
expect 74 "nowhere/model.onnx" "$PULMO" export run --format onnx --out nowhere/model.onnx
expect 2 "must be onnx or safetensors" "$PULMO" export run --format pickle --out model
"$TOOLS/make_weights" other.safetensors 2
expect 65 "was trained on other frozen weights" "$PULMO" export run --format onnx --out other.onnx --weights other.safetensors
[ ! -e other.onnx ] || fail "a refused export left a file"

# What a file of weights is.
expect 0 "not a VGG16" "$PULMO" weights check weights.safetensors
expect 0 "caffe-rgb: RGB 0..255" "$PULMO" weights check weights.safetensors --set model.preprocessing=caffe-rgb
expect 65 "cannot open the weights" "$PULMO" weights check missing.pth
expect 65 "text.jpeg" "$PULMO" weights check text.jpeg
expect 2 "must be fetch or check" "$PULMO" weights guess

if [ -n "$real_weights" ]; then
    expect 0 "known answer   right" "$PULMO" weights check "$real_weights"
    cp "$real_weights" wrong.safetensors
    chmod u+w wrong.safetensors
    head -c 4000 /dev/zero | dd of=wrong.safetensors bs=1 seek=40000 conv=notrunc status=none
    expect 65 "model.weights_check=false" "$PULMO" weights check wrong.safetensors
    expect 65 "model.weights_check=false" small_train refused env PULMO_WEIGHTS=wrong.safetensors
    expect 0 "proved         no" "$PULMO" weights check wrong.safetensors --set model.weights_check=false
fi
echo "predict, explain, export and weights check"
