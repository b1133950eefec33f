#!/usr/bin/env bash
# pack --update: new files beside a finished pack. Old shards keep their bytes and every image its split; new images of known
# patients follow them, new patients are split at the same fractions; what changed or were removed is listed.
. "$(dirname "$0")/common.sh"
command -v h5dump > /dev/null || { echo "h5dump is not installed"; exit 77; }
"$PULMO" demo-data demo --train 200 --val 0 --test 0 --seed 5 -q
"$PULMO" demo-data more --train 80 --val 0 --test 0 --seed 6 -q
"$PULMO" demo-data other --train 40 --val 0 --test 0 --seed 7 -q
column() { # PACK SPLIT COLUMN
    h5dump -y -o col.txt -d "/splits/$2/$3" "$1/manifest.h5" > /dev/null && tr -d ' "' < col.txt | sed 's/\\000.*//; s/,$//' | grep -v '^$'
}
paths() { column "$1" "$2" paths; }
options="--size 48 --val-fraction 0.2 --test-fraction 0.2 --set pack.shard_images=40"
pack() { "$PULMO" pack source "$1" $options "${@:2}"; }
mkdir source && cp -rp demo/train/* source/
expect 0 "packed 200 images" pack packed --update # nothing is there: a pack like any other
cp -r packed before
expect 0 "nothing to do" pack packed --update

# ---- 80 patients more, of other names; and a new image of each of 30 known patients ----
for class in NORMAL PNEUMONIA; do
    for file in "more/train/$class"/*; do
        name=$(basename "$file")
        if [ $class = NORMAL ]; then cp "$file" "source/NORMAL/NEW-IM-${name#*IM-}"
        else cp "$file" "source/PNEUMONIA/person9${name#person}"; fi
    done
done
i=0
for s in train val test; do
    paths packed $s > in.$s
    for path in $(head -10 in.$s); do
        name=$(basename "$path" .jpeg)
        i=$((i + 1))
        from=$(ls other/train/*/* | sed -n "${i}p")
        cp "$from" "source/$(dirname "$path")/${name}0$i.jpeg"
        echo "$(dirname "$path")/${name}0$i.jpeg $s" >> follow.txt
    done
done
expect 2 "add new files by --update" pack packed
expect 0 "packed: 110 files are new" pack packed --update
grep -q "packed 310 images" out.txt || { cat out.txt; fail "not 310 images"; }
expect 0 "nothing to do" pack packed --update
expect 0 "nothing to do" pack packed
expect 0 "are what was packed" "$PULMO" pack --verify packed --source source
[ -z "$(find packed -name '.*' -not -name .files -mindepth 1)" ] || fail "something stayed behind"

# ---- what was packed stays: bytes of shards, place and split of every image ----
for s in train val test; do
    paths before $s > old && paths packed $s > new
    head -n "$(wc -l < old)" new | cmp - old || fail "$s: the old images are not where they were"
    for shard in before/$s-*.h5; do
        number=${shard#before/"$s"-}; number=${number%%-*}
        cmp "$shard" packed/"$s-$number"-of-*.h5 || fail "$shard has other bytes"
    done
done
shards=$(for s in train val test; do h5dump -a "/splits/$s/shards" packed/manifest.h5 | sed -n 's/.*(0): //p'; done | awk '{ n += $1 } END { print n }')
[ "$(ls packed/*.h5 | wc -l)" = $((1 + shards)) ] || fail "shards of other names are left"
for s in train val test; do paths packed $s > in.$s; done
while read -r path s; do grep -qxF "$path" "in.$s" || fail "$path is not in $s, where its patient is"; done < follow.txt
for s in train val test; do column packed $s groups | sort -u; done | sort | uniq -d > torn
[ ! -s torn ] || fail "patients stand in two splits: $(cat torn)"
for s in val test; do
    n=$(paths packed $s | wc -l)
    { [ "$n" -ge 56 ] && [ "$n" -le 68 ]; } || fail "$s has $n images; a fifth of 310 was asked for"
done

# ---- the same on three ranks ----
cp -rp before ranks3
ranks 3 "$PULMO" pack source ranks3 $options --update -q
for file in packed/*.h5; do cmp "$file" "ranks3/${file#packed/}" || fail "3 ranks gave other bytes"; done

# ---- again, one file; and a copy of a test image under a new patient's name goes to test ----
copied=$(sed -n 1p in.test)
cp "source/$copied" source/NORMAL/COPY-IM-7777-0001.jpeg
expect 0 "packed: 1 file is new" pack packed --update
paths packed test > in.test
grep -q COPY-IM-7777 in.test || fail "the copy of a test image is not in test"
expect 0 "are what was packed" "$PULMO" pack --verify packed --source source
"$PULMO" preview packed --split test --out sheet.png -q || fail "the pack cannot be read"

# ---- touched is not changed; changed and missing are listed ----
touch source/NORMAL/*.jpeg
expect 0 "0 files are new" pack packed --update
expect 0 "nothing to do" pack packed
victim=$(sed -n 2p in.test)
cp -p "source/$victim" kept.jpeg
printf x >> "source/$victim"
gone=$(sed -n 3p in.train)
mv "source/$gone" gone.jpeg
expect 65 "$victim: has another size than when it was packed" pack packed --update
grep -qF "$gone: is missing" out.txt || { cat out.txt; fail "the missing file is not listed"; }
grep -q "2 files that are packed there changed or were removed" out.txt || { cat out.txt; fail "not two files"; }
mv gone.jpeg "source/$gone" && mv kept.jpeg "source/$victim"
expect 0 "nothing to do" pack packed --update

# ---- what cannot be added ----
expect 2 "was packed with other options" "$PULMO" pack source packed --size 64 --val-fraction 0.2 --test-fraction 0.2 --update
differing() { # WORDS OPTION...: just these differ
    expect 2 "was packed with other options ($1); --update keeps" "$PULMO" pack source packed --update "${@:2}"
}
differing 'pack.size: 64, not 48; pack.shard_images: 1024, not 40' --size 64 --val-fraction 0.2 --test-fraction 0.2
differing 'pack.val_fraction: 0.1, not 0.2; pack.leaks: drop, not fail' $options --val-fraction 0.1 --drop-leaks
differing 'pack.test_fraction: 0, not 0.2; pack.group_pattern: "^([^,\"]*)", not ""; pack.patients_unknown: true, not false; pack.test_pattern: "_1|a,b", not ""' \
    --size 48 --val-fraction 0.2 --set pack.shard_images=40 --set 'pack.group_pattern=^([^,"]*)' --set 'pack.test_pattern=_1|a,b' --patients-unknown
mkdir source/OTHER && cp source/NORMAL/COPY-IM-7777-0001.jpeg source/OTHER/OTHER-IM-1-1.jpeg
expect 65 "is of class OTHER, which the pack in packed does not have" pack packed --update
rm -r source/OTHER
cp source/NORMAL/COPY-IM-7777-0001.jpeg "source/NORMAL/scan 7.jpeg"
expect 65 "--update keeps the options: rename them as the packed files are named" pack packed --update
expect 65 "Two ways out: pack.group_pattern" "$PULMO" pack source elsewhere $options --update # a pack like any other
rm "source/NORMAL/scan 7.jpeg"

# ---- folds ----
mkdir small && cp -rp demo/train/* small/
"$PULMO" pack small folds --size 48 --set pack.folds=4 -q
cp -r folds folds-before && for file in more/train/NORMAL/*; do cp "$file" "small/NORMAL/NEW-IM-${file##*IM-}"; done
expect 0 "files are new" "$PULMO" pack small folds --size 48 --set pack.folds=4 --update
h5dump -y -o old -d /splits/train/folds folds-before/manifest.h5 > /dev/null
h5dump -y -o new -d /splits/train/folds folds/manifest.h5 > /dev/null
numbers() { tr -s ' ,\n' '\n' < "$1" | grep .; }
[ "$(numbers old | wc -l)" = 200 ] && [ "$(numbers new | wc -l)" -gt 200 ] || fail "no folds for the new images"
numbers old > old.txt && numbers new | head -n 200 | cmp - old.txt || fail "an image changed its fold"

# ---- labels and folds that cannot be are damage ----
put() { # FILE DATASET HEX: over its first bytes
    local offset
    offset=$(h5dump -p -H -d "$2" "$1" | sed -n 's/.*OFFSET \([0-9]*\).*/\1/p')
    [ -n "$offset" ] || fail "no offset of $2"
    printf "$3" | dd of="$1" bs=1 seek="$offset" conv=notrunc status=none
}
touch small/NORMAL/* # or all of it would be packed again: nothing is new
cp -rp folds harmed
put harmed/manifest.h5 /splits/train/labels '\377\377\377\177'
expect 65 "not those that were written" "$PULMO" pack small harmed --size 48 --set pack.folds=4 --update
# ... also where the manifest has no digests that could tell.
if /usr/bin/python3 -c 'import h5py' 2> /dev/null; then
    /usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" harmed/manifest.h5
    expect 65 "/splits/train/labels: holds 2147483647, must be 0 to 1" "$PULMO" pack small harmed --size 48 --set pack.folds=4 --update
    cp folds/manifest.h5 harmed/ && put harmed/manifest.h5 /splits/train/folds '\004\000\000\000'
    /usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" harmed/manifest.h5
    expect 65 "/splits/train/folds: holds 4, must be 0 to 3" "$PULMO" pack small harmed --size 48 --set pack.folds=4 --update
else
    echo "skipped: a manifest without digests, which python3-h5py would write"
fi

# ---- what an update that failed decoded is not taken for parts of a whole pack ----
"$PULMO" demo-data third --train 160 --val 0 --test 0 --seed 8 -q
mkdir leaky && cp -rp demo/train leaky/
for class in NORMAL PNEUMONIA; do ls leaky/train/$class/* | tail -n +31 | xargs rm; done
mkdir -p leaky/test/NORMAL leaky/test/PNEUMONIA
for class in NORMAL PNEUMONIA; do for file in other/train/$class/*; do cp -p "$file" "leaky/test/$class/X${file##*/}"; done; done
"$PULMO" pack leaky leaky-packed --size 48 -q
for file in third/train/NORMAL/*; do cp -p "$file" "leaky/train/NORMAL/AAA-IM-${file##*IM-}"; done
for file in third/train/PNEUMONIA/*; do cp -p "$file" "leaky/train/PNEUMONIA/person7${file##*person}"; done
mkdir -p leaky-packed/train-00001-of-00002.h5/in-the-way
expect 74 "cannot be moved" "$PULMO" pack leaky leaky-packed --size 48 --update
rm -r leaky-packed/train-00001-of-00002.h5
expect 0 "packed " "$PULMO" pack leaky leaky-packed --size 48 --overwrite
expect 0 "are what was packed" "$PULMO" pack --verify leaky-packed --source leaky

# ---- nor are the shards of an update that could not be published ----
mkdir -p stale && cp -rp demo/train/* stale/
for class in NORMAL PNEUMONIA; do ls stale/$class/* | tail -n +21 | xargs rm; done
"$PULMO" pack stale stale-packed --size 48 --set pack.shard_images=40 -q
for file in more/train/NORMAL/*; do cp -p "$file" "stale/NORMAL/AAA-IM-${file##*IM-}"; done
for file in more/train/PNEUMONIA/*; do cp -p "$file" "stale/PNEUMONIA/person6${file##*person}"; done
mkdir -p stale-packed/train-00001-of-00003.h5/in-the-way
expect 74 "cannot be moved" "$PULMO" pack stale stale-packed --size 48 --set pack.shard_images=40 --update
[ -e stale-packed/.pack/out/train-00001-of-00003.h5 ] || fail "the update left no shard"
rm -r stale-packed/train-00001-of-00003.h5
expect 0 "packed 120 images" "$PULMO" pack stale stale-packed --size 48 --set pack.shard_images=40 --overwrite
expect 0 "are what was packed" "$PULMO" pack --verify stale-packed --source stale
# ---- a leak refuses an update, with ways out that an update has ----
first=$(ls leaky/train/NORMAL | head -1)
cp "leaky/train/NORMAL/$first" leaky/test/NORMAL/COPY-IM-8888-0001.jpeg
expect 65 "identical files: train/NORMAL/$first" "$PULMO" pack leaky leaky-packed --size 48 --update
[ ! -e leaky-packed/leaks.txt ] && [ ! -e leaky-packed/.pack ] || fail "the refused update left something"
grep -q "Ways out: take the new files of these leaks out of the source, or pack anew with --overwrite and --drop-leaks" out.txt || { cat out.txt; fail "no way out"; }
expect 0 "packed " "$PULMO" pack leaky leaky-packed --size 48 --overwrite --allow-leaks
echo "new files are added, old ones stay"
