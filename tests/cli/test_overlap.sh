#!/usr/bin/env bash
# `pulmo evaluate` says how many of the images that it judges a model by were trained on, by what the run keeps of them, and refuses
# more than 1 % of them.
. "$(dirname "$0")/common.sh"
make_small
small_train run env > run.txt 2>&1 || { cat run.txt; fail train; }

# ---- the run's own splits ----
expect 0 "warning: run was trained on 26 of the 26 images of the train split of packed" "$PULMO" evaluate run --data packed --split train -q
expect 0 "run/model.h5 had its epoch and threshold chosen on 11 of the 11 images of the val split" \
    ranks 2 "$PULMO" evaluate run/model.h5 --data packed --split val -q
[ "$(grep -c "had its epoch" out.txt)" = 1 ] || { cat out.txt; fail "each rank says it"; }
expect 0 "run was trained on none of the 9 images of the test split of packed" "$PULMO" evaluate run --data packed
! grep -q "warning" out.txt || { cat out.txt; fail "a warning of images that were not trained on"; }

# ---- another pack, under other names, which shares five images with training ----
mkdir other.source && cp -r demo/test other.source/test
for file in $(ls -d demo/train/NORMAL/* | head -3) $(ls -d demo/val/NORMAL/* | head -2); do
    cp "$file" "other.source/test/NORMAL/of-another-hospital-$(basename "$file")"
done
"$PULMO" pack other.source other --size 64 -q
expect 65 "the test split of other: 5 of the 14 images (35.7 %) are images or patients that run was made of" \
    ranks 2 "$PULMO" evaluate run --data other --out refused
! grep -q "Total correct" out.txt || { cat out.txt; fail "judged though refused"; }
[ "$(grep -c ': the same file, in ' out.txt)" = 5 ] || { cat out.txt; fail "leaks are not named"; }
[ "$(grep -c 'of-another-hospital-.*,the same file,run' refused/overlap.csv)" = 5 ] || { cat refused/overlap.csv; fail "overlap.csv"; }
expect 0 "warning: run was trained on 3 of the 14 images of the test split of other" "$PULMO" evaluate run --data other -q --overlap allow
# What was allowed is said wherever the figures stand.
"$PULMO" evaluate run --data other -q --overlap allow --out allowed > /dev/null 2>&1 || fail "--overlap allow --out"
grep -q "was made of 5 of these" allowed/report.html || fail "the page does not say that figures are too good"
grep -q "had been made of 5 of these" allowed/report.html || fail "the paper's words do not say it"
grep -q '"overlap_images": 5' allowed/metrics.json || fail "metrics.json does not say it"
grep -q "warning: run had its epoch and threshold chosen on 2 of the 14 images" out.txt || { cat out.txt; fail "val is not told"; }

# ---- the same pixels in other files: a comment behind the first marker gives other bytes ----
mkdir -p saved.source/test && cp -r demo/test/* saved.source/test
for file in $(ls -d demo/train/NORMAL/* | head -4) $(ls -d demo/val/NORMAL/* | head -2); do
    { printf '\xff\xd8\xff\xfe\x00\x0asaved it'; tail -c +3 "$file"; } > "saved.source/test/NORMAL/saved-$(basename "$file")"
done
cp "$(ls -d demo/train/NORMAL/* | tail -1)" saved.source/test/NORMAL/as-it-was.jpeg
"$PULMO" pack saved.source saved --size 64 -q
expect 0 "warning: run was trained on 5 of the 16 images of the test split of saved (4 by the same pixels in another file): the figures" \
    "$PULMO" evaluate run --data saved -q --overlap allow
grep -q "chosen on 2 of the 16 images of the test split of saved (2 by the same pixels" out.txt || { cat out.txt; fail "val's pixels"; }
# Framed otherwise, only files can tell, and that is said.
"$PULMO" pack demo cropped --size 64 --set pack.fit=crop --set pack.aspect=kept -q
expect 0 "none of the 9 images of the test split of cropped, as far as files tell" "$PULMO" evaluate run --data cropped

# ---- pictures that only look the same: in half the pixels, saved again; and other images of patients ----
mkdir -p looks.source/test && cp -r demo/test/* looks.source/test
for file in $(ls -d demo/train/PNEUMONIA/* | head -3); do
    "$TOOLS/make_jpeg" "$file" "looks.source/test/PNEUMONIA/again-$(basename "$file")" grey 90 90 0 || fail make_jpeg
done
patient=$(basename "$(ls -d demo/train/PNEUMONIA/person*_bacteria_* | head -1)")
cp "$(ls -d demo/test/PNEUMONIA/* | head -1)" "looks.source/test/PNEUMONIA/${patient%_*}_999.jpeg"
printf 'x' >> "looks.source/test/PNEUMONIA/${patient%_*}_999.jpeg"
"$PULMO" pack looks.source looks --size 64 -q --allow-leaks
expect 0 "warning: run was trained on 3 of the 13 images of the test split of looks (3 as nearly the same picture): the figures" \
    "$PULMO" evaluate run --data looks --overlap allow
[ "$(grep -c 'again-.*: nearly the same picture, in train' out.txt)" = 3 ] || { cat out.txt; fail "near pictures are not named"; }
grep -q "run was trained on other images of the patients of 1 image of the test split of looks, such as ${patient%_*}:" out.txt ||
    { cat out.txt; fail "the patient is not named"; }
# Up to 1 % is said, and judged.
mkdir -p hundred/test/NORMAL hundred/test/PNEUMONIA
"$PULMO" demo-data many --train 2 --val 0 --test 120 --seed 77 -q
for class in NORMAL PNEUMONIA; do
    for file in many/test/$class/*; do cp "$file" "hundred/test/$class/other-hospital-$(basename "$file" | tr _ -)"; done
done
cp "$(ls -d demo/train/NORMAL/* | head -1)" hundred/test/NORMAL/
"$PULMO" pack hundred one.in.hundred --size 64 -q 2> /dev/null
expect 0 "warning: run was trained on 1 of the 121 images of the test split of one.in.hundred: the figures" "$PULMO" evaluate run --data one.in.hundred

# ---- a fold trains on a part of the packed train ----
"$PULMO" pack demo folded --size 64 --set pack.folds=3 -q
EXTRA="--set data.path=folded --set data.fold=1" small_train fold env > fold.txt 2>&1 || { cat fold.txt; fail "a fold"; }
counts=$(grep -oE "[0-9]+ train, [0-9]+ val, [0-9]+ test images" fold.txt) || { cat fold.txt; fail "no counts"; }
read -r trained _ chosen _ tested _ <<< "$counts"
all=$((trained + chosen + tested))
expect 0 "warning: fold was trained on $trained of the $all images of the train split of folded" "$PULMO" evaluate fold --data folded --split train -q
grep -q "warning: fold had its epoch and threshold chosen on $chosen of the $all images" out.txt || { cat out.txt; fail "the fold's val"; }

# ---- where nothing can be compared, that is said ----
cp run/model.h5 alone.h5
expect 0 "alone.h5: whether it was trained on images of the test split of packed was not checked: results.h5" "$PULMO" evaluate alone.h5 --data packed
EXTRA="--set train.seed=9" small_train second env > second.txt 2>&1
mkdir mixed && cp run/results.h5 mixed/ && cp second/model.h5 mixed/
expect 0 "packed was not checked: mixed/results.h5: is of another model than the one beside it" "$PULMO" evaluate mixed --data packed
# A run keeps what tells its images again: its packed data is not needed, nor is what stands in its place.
mv packed moved
expect 0 "run was trained on none of the 9 images of the test split of moved" "$PULMO" evaluate run --data moved
expect 65 "the test split of other: 5 of the 14 images" "$PULMO" evaluate run --data other
cp -r demo again && rm "$(ls -d again/train/NORMAL/* | head -1)"
"$PULMO" pack again packed --size 64 -q
expect 65 "the test split of other: 5 of the 14 images" "$PULMO" evaluate run --data other
rm -r packed && mv moved packed

# ---- runs that keep nothing, as those of earlier versions: the packed data tells, as long as it is there ----
/usr/bin/python3 -c 'import h5py' 2> /dev/null || { echo "no h5py: a run that keeps nothing is not tried"; exit 0; }
/usr/bin/python3 -c 'import h5py; del h5py.File("run/results.h5", "r+")["seen"]'
expect 65 "does not keep which images it was made of, as runs do by now: its packed data, $PWD/packed, was looked at" "$PULMO" evaluate run --data other
mv packed moved
expect 0 "run: whether it was trained on images of the test split of moved was not checked" "$PULMO" evaluate run --data moved
"$PULMO" pack again packed --size 64 -q
expect 0 "packed was packed anew since" "$PULMO" evaluate run --data other
