#!/usr/bin/env bash
# `pulmo evaluate` says how many of the images that it judges a model by were trained on.
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
expect 0 "warning: run was trained on 3 of the 14 images of the test split of other" "$PULMO" evaluate run --data other -q
grep -q "warning: run had its epoch and threshold chosen on 2 of the 14 images" out.txt || { cat out.txt; fail "val is not told"; }

# ---- the same pixels in other files: a comment behind the first marker gives other bytes ----
mkdir -p saved.source/test && cp -r demo/test/* saved.source/test
for file in $(ls -d demo/train/NORMAL/* | head -4) $(ls -d demo/val/NORMAL/* | head -2); do
    { printf '\xff\xd8\xff\xfe\x00\x0asaved it'; tail -c +3 "$file"; } > "saved.source/test/NORMAL/saved-$(basename "$file")"
done
cp "$(ls -d demo/train/NORMAL/* | tail -1)" saved.source/test/NORMAL/as-it-was.jpeg
"$PULMO" pack saved.source saved --size 64 -q
expect 0 "warning: run was trained on 5 of the 16 images of the test split of saved (4 by the same pixels in another file): the figures" \
    "$PULMO" evaluate run --data saved -q
grep -q "chosen on 2 of the 16 images of the test split of saved (2 by the same pixels" out.txt || { cat out.txt; fail "val's pixels"; }
# Framed otherwise, only files can tell, and that is said.
"$PULMO" pack demo padded --size 64 --set pack.fit=pad -q
expect 0 "none of the 9 images of the test split of padded, as far as files tell" "$PULMO" evaluate run --data padded

# ---- another hospital's names of classes ----
"$PULMO" pack demo named --size 64 --set 'pack.label_map=NORMAL: NORMAL, PNEUMONIA: Pneumonia' -q
expect 65 'named: its 2 classes are not the 2 of the model run: by name, the first that differs is "Pneumonia" here and "PNEUMONIA" there; pack the set with pack.label_map' \
    "$PULMO" evaluate run --data named

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
mv packed moved
expect 0 "run: whether it was trained on images of the test split of moved was not checked" "$PULMO" evaluate run --data moved
cp -r demo again && rm "$(ls -d again/train/NORMAL/* | head -1)"
"$PULMO" pack again packed --size 64 -q
expect 0 "packed was packed anew since" "$PULMO" evaluate run --data other
