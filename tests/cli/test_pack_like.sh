#!/usr/bin/env bash
# `pulmo pack EXTERNAL DEST --like RUN`: one test split in the shape and with the classes of a trained model.
. "$(dirname "$0")/common.sh"
make_small
"$PULMO" pack demo framed --size 96 --set pack.fit=pad --border crop --decode fast -q
"$PULMO" train --set data.path=framed --set train.run_dir=run --set train.epochs=1 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden='[12]' -q > run.txt 2>&1 || { cat run.txt; fail train; }

# ---- bare class folders, of other names ----
mkdir -p ext/Normal ext/Sick/deep
cp demo/val/NORMAL/* ext/Normal/ && cp demo/val/PNEUMONIA/* ext/Sick/deep/
expect 65 "ext: Normal, Sick are not among the classes of run, which are NORMAL, PNEUMONIA" "$PULMO" pack ext like --like run
grep -qF "'pack.label_map=Normal: NORMAL, Sick: CLASS'" out.txt || { cat out.txt; fail "no way out"; }
[ ! -e like/manifest.h5 ] || fail "a pack of foreign classes"
MAP='pack.label_map=Normal: NORMAL, Sick: PNEUMONIA'
images=$(find demo/val -name '*.jpeg' | wc -l)
expect 0 "packed $images images of 96 x 96 x 1 into like" ranks 2 "$PULMO" pack ext like --like run --set "$MAP"
grep -q "^test  *$images images" out.txt || { cat out.txt; fail "not all of it is test"; }
! grep -qE "^(train|val) " out.txt || { cat out.txt; fail "another split than test"; }
"$PULMO" inspect like --all > all.txt
for words in 'fit.*pad' 'border.*crop' 'decoding.*fast'; do grep -qE "$words" all.txt || { cat all.txt; fail "no $words"; }; done
expect 0 "Total correct" "$PULMO" evaluate run --data like --overlap allow --set eval.audit=false
! grep -q "was packed with" out.txt || { cat out.txt; fail "packed otherwise than the model"; }
expect 0 "packed already" "$PULMO" pack ext like --like run --set "$MAP"
expect 2 "holds a pack of other files or options" "$PULMO" pack ext like --size 96 --set pack.fit=pad --border crop --decode fast --set "$MAP"
"$PULMO" verify like -q || fail verify

# ---- given splits, and what a configuration says of splits ----
expect 0 "demo: with --like, its train, val and test together are the test split" "$PULMO" pack demo whole --like run --val-fraction 0.2 --set pack.folds=3
grep -q "^test  *46 images" out.txt || { cat out.txt; fail "not all of demo"; }
grep -qF -e "--like: all images are the test split; what was said of splits plays no part" out.txt || { cat out.txt; fail "fractions without a word"; }

# ---- one class: said, by pack and by evaluate; figures that need two are no numbers ----
mkdir -p alone/NORMAL/2024 alone/NORMAL/2025
cp $(ls demo/test/NORMAL/* | head -2) alone/NORMAL/2024/ && cp $(ls demo/test/NORMAL/* | tail -2) alone/NORMAL/2025/
expect 65 "one" "$PULMO" pack alone nothing --size 96
expect 0 "test: all 4 images are of class NORMAL" "$PULMO" pack alone single --like run
expect 0 "All images are of class NORMAL: accuracy is its specificity" "$PULMO" evaluate run --data single --overlap allow --out judged --set eval.audit=false
grep -q "sensitivity undefined  specificity .* AUC undefined" out.txt || { cat out.txt; fail "a figure of one class"; }
! grep -qE "precision +recall|Balanced accuracy" out.txt || { cat out.txt; fail "precision of one class"; }
grep -q "All images are of one class" judged/report.html || fail "the report does not say it"
! grep -qiw nan judged/report.html judged/MODEL_CARD.md || fail "nan in the report"

# ---- wrong usage ----
expect 2 "--like goes with packing" "$PULMO" pack --verify like --like run
expect 74 "absent" "$PULMO" pack ext other --like absent
