#!/usr/bin/env bash
# Packing: the same bytes at any number of threads and ranks, splits by patient and class with
# duplicates on one side, classes from names, and every finding told.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 90 --val 8 --test 10 --seed 5 -q
"$PULMO" demo-data again --train 90 --val 8 --test 10 --seed 5 --threads 3 -q
diff -r demo again > /dev/null || fail "the same seed drew another demo"
expect 0 "nothing to do" "$PULMO" demo-data demo --train 90 --val 8 --test 10 --seed 5
expect 2 "not empty" "$PULMO" demo-data demo --seed 6

# ---- the same bytes ----
small="--size 48 --set pack.shard_images=16 --val-fraction 0.2"
"$PULMO" pack demo one $small --threads 1 > /dev/null 2> one.txt
"$PULMO" pack demo threads $small --threads 3 -q
diff -r one threads || fail "3 threads gave other bytes"
for n in 2 3; do
    ranks "$n" "$PULMO" pack demo "ranks$n" $small -q
    diff -r one "ranks$n" || fail "$n ranks gave other bytes"
done
[ "$(find one -mindepth 1 -name '.*')" = one/.files ] || fail "spools stayed behind"
cp -r demo copied # other times, the same images
"$PULMO" pack copied of-copy $small -q
for file in one/*.h5; do cmp "$file" "of-copy/${file#one/}" || fail "a copy of the source gave other bytes"; done
expect 0 "nothing to do" "$PULMO" pack copied of-copy $small
touch "$(find copied/train -name '*.jpeg' | head -1)"
expect 2 "touched since" "$PULMO" pack copied of-copy $small
grep -q "warning: val: the 8 images given are too few" one.txt || { cat one.txt; fail "the small val was not split anew"; }
grep -q "^test *10 images" one.txt || fail "test was given and must be kept"

# ---- splits by patient and class ----
mkdir source && cp -r demo/train/NORMAL demo/train/PNEUMONIA source
first=$(ls source/NORMAL | head -1)
cp "source/NORMAL/$first" source/NORMAL/copy-of-another-name.jpeg
expect 65 "1 of the files to split have names that tell none, such as NORMAL/copy-of-another-name.jpeg" \
    "$PULMO" pack source split --size 48 --val-fraction 0.25 --test-fraction 0.25
"$PULMO" pack source split --size 48 --val-fraction 0.25 --test-fraction 0.25 --patients-unknown 2> split.txt
grep -q "byte-identical files: 1" split.txt || { cat split.txt; fail "the copy was not found"; }
command -v h5dump > /dev/null || { echo "h5dump is not installed: the rest is skipped"; exit 77; }
column() { h5dump -y -o col.txt -d "/splits/$1/$2" split/manifest.h5 > /dev/null && tr -d ' "' < col.txt | sed 's/\\000.*//; s/,$//' | grep -v '^$'; }
for s in train val test; do column "$s" groups | sort -u > "$s.groups"; column "$s" paths > "$s.paths"; done
[ -z "$(sort train.groups val.groups test.groups | uniq -d)" ] || fail "a patient stands in two splits"
[ "$(cat train.paths val.paths test.paths | wc -l)" = 91 ] || fail "91 images were expected"
for s in train val test; do
    both=$(grep -cE "NORMAL/($first|copy-of)" "$s.paths" || true)
    [ "$both" = 0 ] || [ "$both" = 2 ] || fail "a copy was split from its original"
done
for class in NORMAL PNEUMONIA; do
    for s in val test; do
        n=$(grep -c "^$class/" "$s.paths") || true
        { [ "$n" -ge 9 ] && [ "$n" -le 14 ]; } || fail "$s has $n of class $class; a quarter of 45 was asked for"
    done
done

# ---- classes from names ----
"$PULMO" pack source three --size 48 --set 'pack.label_pattern=_(bacteria|virus)_' 2> three.txt
grep -qE "^train .*NORMAL 46 +bacteria [0-9]+ +virus [0-9]+" three.txt || { cat three.txt; fail "no three classes"; }
"$PULMO" pack source named --size 48 --set 'pack.group_pattern=(IM-[0-9]+|person[0-9]+)' -q
expect 2 "regular expression" "$PULMO" pack source bad --set 'pack.group_pattern=('
expect 2 "must have a group" "$PULMO" pack source bad --set 'pack.group_pattern=abc'

# ---- patterns that tell nothing ----
expect 2 'pack.group_pattern: "nothing-like-it(x)": matches none of the 91 files' "$PULMO" pack source bad --set 'pack.group_pattern=nothing-like-it(x)'
expect 2 'makes 1 patient of 91 files' "$PULMO" pack source bad --set 'pack.group_pattern=([.]jpeg)'
expect 2 'makes 2 patients of 91 files' "$PULMO" pack source bad --set 'pack.group_pattern=^([A-Z]+)/'
expect 2 'pack.label_pattern: "_(fungus)_": matches none of the 91 files' "$PULMO" pack source bad --set 'pack.label_pattern=_(fungus)_'

# ---- splits by name ----
"$PULMO" pack source held --size 48 --val-fraction 0.2 --patients-unknown --set 'pack.test_pattern=_virus_' --allow-leaks 2> held.txt
viral=$(find source -name '*_virus_*' | wc -l)
grep -qE "^test +$viral images +NORMAL 0 +PNEUMONIA $viral" held.txt || { cat held.txt; fail "test is not what the pattern names"; }
"$PULMO" pack source without --size 48 --set 'pack.exclude_pattern=_virus_' 2> without.txt
grep -qE "^train +$((91 - viral)) images" without.txt || { cat without.txt; fail "excluded files were packed"; }
expect 2 "nothing-like-it" "$PULMO" pack source bad --set 'pack.test_pattern=nothing-like-it'
expect 2 "test_pattern" "$PULMO" pack source bad --test-fraction 0.2 --set 'pack.test_pattern=_virus_'

# ---- how splits were made stands in the manifest, all of it ----
class=10
for file in $(find demo/train -name '*.jpeg' | head -20); do
    mkdir -p many/a_class_of_one_patient_$class && cp "$file" many/a_class_of_one_patient_$class/IM-$class-0001.jpeg
    class=$((class + 1))
done
"$PULMO" pack many many-packed --size 48 --val-fraction 0.2 --test-fraction 0.2 -q
[ "$(grep -ao 'no image of class a_class_of_one_patient_' many-packed/manifest.h5 | wc -l)" = 40 ] || fail "notes on splits are missing"

# ---- places ----
for inside in source/packed source/NORMAL/a/b source; do expect 2 "inside the source" "$PULMO" pack source "$inside"; done
[ ! -e source/packed ] && [ ! -e source/NORMAL/a ] || fail "folders were made within the source"

# ---- odd folders ----
mkdir -p "o dd/Ä b" "o dd/c" && cp demo/train/NORMAL/* "o dd/Ä b" && cp demo/train/PNEUMONIA/* "o dd/c" && ln -s "o dd" link
for name in JPG JPEG; do mv "$(ls -d "$PWD/o dd/c"/*.jpeg | head -1)" "o dd/c/é x.$name"; done
expect 0 "packed 90 images" "$PULMO" pack link/ "zi el/ö" --size 48
expect 0 "are what was packed" "$PULMO" pack --verify "zi el/ö" --source "o dd/"
printf '\x89PNG\r\n\x1a\n' > "o dd/c/picture.png" && ln -s nowhere "o dd/c/dangling.jpeg" && mkdir "o dd/d"
expect 0 "refused: c/picture.png: is truncated" "$PULMO" pack "o dd" odd --size 48
grep -q "refused: c/dangling.jpeg: cannot be opened" out.txt || { cat out.txt; fail "a link that leads nowhere was not refused"; }
grep -q "o dd/d: is an empty folder" out.txt || { cat out.txt; fail "the empty folder was not named"; }
echo nothing > "o dd/d/a.jpeg"
expect 65 "class d has no usable image" "$PULMO" pack "o dd" bad --size 48
printf GIF89a > "o dd/d/b.jpeg" && echo nothing > "o dd/d/held.jpeg" && mkdir "o dd/d/e"
cp "$(ls demo/train/NORMAL/* | head -1)" "o dd/d/e/held.jpeg"
expect 65 "Files of the class: 4: 2 refused: is not a JPEG, a PNG or a DICOM file but something else (the first: d/a.jpeg); 1 refused: is not a JPEG, a PNG or a DICOM file but a GIF (the first: d/b.jpeg); 1 in test" \
    "$PULMO" pack "o dd" bad --size 48 --set pack.test_pattern=e/held
for class in NORMAL PNEUMONIA; do for s in train test; do mkdir -p turned/$class && cp -r demo/$s/$class turned/$class/$s; done; done
expect 65 "turned: its class folders hold train, val or test; a source is train|val|test/CLASS: turn them round, as in mkdir -p test && mv NORMAL/test test/NORMAL" \
    "$PULMO" pack turned bad --size 48
mkdir lone && cp -r demo/train/NORMAL lone
expect 65 "has one class only (NORMAL)" "$PULMO" pack lone bad
expect 65 "has no class folders" "$PULMO" pack demo/train/NORMAL bad
cp -r demo named-splits && mkdir named-splits/more
expect 0 "named-splits/more: stands beside train, val or test and is left out" "$PULMO" pack named-splits beside --size 48
mv named-splits/val named-splits/Validation
expect 65 "named-splits/Validation: looks like a split" "$PULMO" pack named-splits bad
mv named-splits/Validation named-splits/dev
expect 65 "named-splits/dev: looks like a split" "$PULMO" pack named-splits bad
mv named-splits/dev named-splits/Validation
expect 74 "not a directory" "$PULMO" pack demo named-splits/val/../../demo/DEMO
expect 0 "manifest" "$PULMO" inspect split/manifest.h5

# ---- masks beside images are no images ----
for class in NORMAL PNEUMONIA; do
    mkdir -p radiography/$class && cp -r demo/train/$class radiography/$class/images && cp -r demo/test/$class radiography/$class/Masks
done
mkdir radiography/NORMAL/masks-of-mine radiography/images radiography/masks
mv "$(ls radiography/NORMAL/images/* | head -1)" radiography/NORMAL/masks-of-mine/
mv "$(ls radiography/NORMAL/images/* | head -1)" radiography/images/IM-9001-0001.jpeg && cp radiography/images/* radiography/masks/
all=$(find demo/train -name '*.jpeg' | wc -l) masks=$(($(find demo/test -name '*.jpeg' | wc -l) + 1))
expect 0 "warning: radiography: LEFT OUT: $masks files in folders named masks beside images" "$PULMO" pack radiography radiography-packed --size 48
grep -q "packed $all images" out.txt || { cat out.txt; fail "masks were packed"; }
"$PULMO" inspect radiography-packed/manifest.h5 | grep -q "classes  *NORMAL, PNEUMONIA, images\$" || fail "masks are a class"
rm -r radiography/images radiography/masks
expect 0 "packed $((all - 1)) images" "$PULMO" pack radiography radiography-named --size 48 --set 'pack.exclude_pattern=^[Mm]asks/'
! grep -q "LEFT OUT" out.txt || fail "what the configuration excludes was warned of"

# ---- what is there is left alone, what is not there is made again ----
mkdir shared && touch shared/model-00001-of-00002.h5 shared/manifest.h5.mine
"$PULMO" pack demo shared $small -q
[ -e shared/model-00001-of-00002.h5 ] && [ -e shared/manifest.h5.mine ] || fail "files of others were removed"
# A manifest whose counts do not fit its columns is told of, and not read beyond them.
if /usr/bin/python3 -c 'import h5py' 2> /dev/null; then
    cp -r shared lying && /usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" lying/manifest.h5
    /usr/bin/python3 - lying/manifest.h5 << 'PY'
import sys, h5py, numpy
split = h5py.File(sys.argv[1], "r+")["splits/test"]
split.attrs["count"] = numpy.int64(0)
for name in ["paths", "groups", "digests", "pixel_digests"]:
    kind = split[name].dtype
    del split[name]
    split.create_dataset(name, shape=(0,), dtype=kind)
del split["labels"]
split.create_dataset("labels", data=numpy.zeros(100000, "i4"))
PY
    expect 65 "lying/manifest.h5: /splits/test/labels" "$PULMO" pack --verify lying
else
    echo "skipped: a lying manifest, which python3-h5py would write"
fi
rm shared/train-00001-*
expect 65 "pack again" "$PULMO" preview shared --out sheet.png
expect 0 "packing again" "$PULMO" pack demo shared $small
diff one/train-00001-of-*.h5 shared/train-00001-of-*.h5 || fail "the shard that was missing is another one now"

# ---- a pipe is no image, and what is dropped on request is no bad file ----
cp -r demo piped && mkfifo piped/train/NORMAL/IM-7777-0001.jpeg
expect 0 "is a pipe, must be a file" timeout 60 "$PULMO" pack piped of-piped $small
cp -r demo leaking && cp "leaking/test/NORMAL/$(ls leaking/test/NORMAL | head -1)" leaking/train/NORMAL/
expect 0 "left out: its patient or picture stands in test" "$PULMO" pack leaking of-leaking $small --drop-leaks --on-bad fail
expect 2 "leave nothing to train on" "$PULMO" pack demo nothing --val-fraction 0.6 --test-fraction 0.6
[ ! -e nothing ] || fail "a refused pack left something behind"
printf 'pack:\n  size: 64\n---\npack:\n  sizes: oops\n' > two.yaml
expect 2 "two.yaml:3: a second document" "$PULMO" pack -c two.yaml demo nothing
echo "packed alike at 1 to 3 threads and ranks; patients and copies on one side"
