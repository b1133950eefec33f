#!/usr/bin/env bash
# What pack says must be true of what was given: ways out that exist, files that are left out, names that are alike.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 40 --val 0 --test 0 --seed 5 -q
pack() { "$PULMO" pack "$@" --size 48; }
says() { grep -qF -e "$1" out.txt || { cat out.txt; fail "no \"$1\""; }; }
says_not() { ! grep -qF -e "$1" out.txt || { cat out.txt; fail "a wrong \"$1\""; }; }
ls demo/train/NORMAL/* > normal.txt
ls demo/train/PNEUMONIA/* > pneumonia.txt

# FOLDER: twelve pictures a class under names that tell nothing, ten in train and two in test, and a table of them.
make_source() {
    local i
    mkdir -p "$1"/{train,test}/{A,B}
    for i in $(seq 12); do
        local split=train
        [ "$i" -gt 10 ] && split=test
        cp "$(sed -n "${i}p" normal.txt)" "$1/$split/A/film_$i.jpg"
        cp "$(sed -n "${i}p" pneumonia.txt)" "$1/$split/B/film_$((20 + i)).jpg"
        echo "film_$i.jpg,A,P$i,$split"
        echo "film_$((20 + i)).jpg,B,P$((20 + i)),$split"
    done > rows.txt
    { echo file,class,who,part && cat rows.txt; } > "$1/labels.csv"
}

# ---- ways out of a leak: of rules that play a part ----
make_source leaky
by_patient="--set pack.table=labels.csv --set pack.table_path=file --set pack.table_patient=who"
sed -i 's/,P11,/,P3,/' leaky/labels.csv
# shellcheck disable=SC2086 # options are split on purpose
{
    expect 65 "patient P3: train/A/film_3.jpg and test/A/film_11.jpg" pack leaky packed $by_patient
    says "pack.table_patient names another column, or its cells are mended (it tells all patients here"
    says "class folders without train/ val/ test/"
    says_not "finds patients by another rule"
    expect 65 "without pack.table_split, --val-fraction" pack leaky packed $by_patient --set pack.table_split=part --set pack.table_label=class
    says_not "class folders without"
    mkdir flat && cp -r leaky/train/* flat/ && cp -r leaky/test/* flat/ && cp leaky/labels.csv flat/
    echo film_11 > flat/test.txt
    expect 65 "without the lists of splits, --val-fraction" pack flat packed $by_patient --set pack.test_list=test.txt
    expect 65 "without pack.val_pattern and pack.test_pattern, --val-fraction" pack flat packed $by_patient --set pack.test_pattern=_11
    sed 's/,P9,/,,/' leaky/labels.csv | tee flat/some.csv > leaky/some.csv
    expect 65 "(it comes before pack.group_pattern, which finds the patients of the other files)" \
        pack leaky packed ${by_patient/labels/some}
    awk -F, -v OFS=, 'NR > 1 { $3 = "P" NR % 3 } 1' leaky/labels.csv > leaky/one.csv # all of test are of train
    expect 65 "drop-leaks leaves no image in train" pack leaky packed ${by_patient/labels/one} --drop-leaks
    says "pack.table_patient names another column"

    # ---- a pattern that plays no part, or matches nothing of what is left to it ----
    expect 2 "plays no part: pack.table_patient comes before it and tells the patients of all files" \
        pack leaky packed $by_patient --set 'pack.group_pattern=film_([0-9]+)'
    expect 2 'pack.group_pattern: "x(y)": matches none of the 1 file in leaky whose patients pack.table_patient does not tell' \
        pack leaky packed ${by_patient/labels/some} --set 'pack.group_pattern=x(y)'
    says "such as train/A/film_9.jpg"
    expect 2 'matches none of the 24 files in leaky; it is matched' pack leaky packed --set 'pack.group_pattern=x(y)'

    # ---- patients that no rule tells ----
    expect 65 "Ways out: a patient in each cell of pack.table_patient; pack.group_pattern" \
        pack flat packed ${by_patient/labels/some} --val-fraction 0.2
    expect 65 "Ways out: pack.table_patient names a column of patients; pack.group_pattern" \
        pack flat packed --set pack.table=labels.csv --set pack.table_path=file --set pack.table_label=class --val-fraction 0.2
}

# ---- images that are left out for where they stand, or for their names ----
make_source left
expect 0 "packed 24 images" pack left left-packed
says_not "LEFT OUT"
cp left/train/A/film_1.jpg left/train/loose.jpg
cp left/train/A/film_2.jpg left/beside.JPEG
cp left/train/A/film_3.jpg left/train/A/.film_90.jpg
echo "Mac OS X" > left/test/B/._film_31.jpg
echo "Mac OS X" > left/train/._film_3.jpg
{ head -c 128 /dev/zero && printf DICM; } > left/DICOMDIR
touch left/train/A/.DS_Store left/train/README left/NOTES.txt
mkdir left/train/.git && cp left/train/A/film_4.jpg left/train/.git/
expect 0 "left: LEFT OUT: 2 loose images beside class folders, such as train/loose.jpg" pack left left-packed --overwrite
says "left: LEFT OUT: 3 hidden files named as images, such as train/._film_3.jpg"
says "packed 24 images"
rm left/train/loose.jpg left/train/._film_3.jpg left/test/B/._film_31.jpg
expect 0 "1 loose image beside class folders, such as beside.JPEG" pack left left-packed --overwrite
says "1 hidden file named as images, such as train/A/.film_90.jpg"
cp leaky/train/A/film_1.jpg flat/loose.jpg
expect 0 "1 loose image beside class folders, such as loose.jpg" pack flat flat-packed
expect 0 "packed 24 images" pack flat flat-labelled --set pack.table=labels.csv --set pack.table_path=file --set pack.table_label=class
says_not "loose image" # of a table it is a file as others are

# ---- names that are probably one ----
make_source alike
expect 0 "packed 24 images" pack alike alike-packed --set pack.table=labels.csv --set pack.table_path=file --set pack.table_label=class \
    --set pack.table_patient=who --set pack.table_split=part
says_not ALIKE
sed -i 's/,P11,test/,p1,test/; s/,P2,/,"P22 ",/; s/,P4,/,P3\xc2\xa0,/; s/,P5,/,7,/; s/,P6,/,7.0,/; s/film_1.jpg,A/film_1.jpg,a/' alike/labels.csv
alike() {
    "$PULMO" pack alike alike-packed --size 48 --set pack.table=labels.csv --set pack.table_path=file --set pack.table_label=class \
        --set pack.table_patient=who --set pack.table_split=part --overwrite "$@"
}
expect 0 'warning: CLASSES ALIKE: "A" and "a" differ only by case' alike
says "2 names are so in all"
says 'warning: PATIENTS ALIKE: "7" and "7.0" differ only by case, blanks around them, a no-break space or ".0", and count as two patients; 8 names are so in all.'
says "1 patient would then stand in several splits" # p1, of test, and P1
[ "$(grep -c "warning: .* ALIKE" out.txt)" = 2 ] || { cat out.txt; fail "not one line a kind"; }
expect 0 "packed 24 images" ranks 3 "$PULMO" pack alike alike-ranks --size 48 --set pack.table=labels.csv --set pack.table_path=file \
    --set pack.table_label=class --set pack.table_patient=who --set pack.table_split=part
diff -r alike-packed alike-ranks || fail "other bytes on three ranks"
expect 0 '8 names are so in all' alike --set pack.pseudonyms=on # the terminal has names, by the order of pseudonyms
grep -E 'PATIENTS ALIKE: "(7|[Pp]1|P22|P3)' out.txt | grep -qvE '[0-9a-f]{32}' || { cat out.txt; fail "pseudonyms on the terminal"; }
says "1 patient would then stand in several splits"
! grep -qaF '7.0"' alike-packed/manifest.h5 || fail "a name in a pack of pseudonyms"
mv flat/A flat/Case && cp -r flat/Case flat/cAse && rm flat/*.jpg
for file in flat/cAse/*; do mv "$file" "${file/film/other}"; done
expect 0 'CLASSES ALIKE: "Case" and "cAse"' pack flat flat-packed --overwrite

# ---- a column that tells no patients apart ----
make_source column
by() { "$PULMO" pack column column-packed --set pack.table=labels.csv --set pack.table_path=file --set pack.table_patient="$1"; }
expect 2 'pack.table_patient: "class": makes 2 patients of 24 files, and 12 of them "A"' by class
sed -i '2,$s/,P[0-9]*,/,unknown,/' column/labels.csv
expect 2 'pack.table_patient: "who": makes 1 patient of 24 files, and 24 of them "unknown"; name the column' by who
sed -i 's/,unknown,/,,/' column/labels.csv
expect 0 "PATIENTS UNKNOWN" by who

# ---- slips of the pen are answered with what was probably meant ----
expect 2 "unknown key pack.groop; did you mean pack.group_pattern?" pack alike nothing --set pack.groop=x
expect 2 'unknown key pack.sunglasses; "pulmo pack --help" lists the keys of pack' pack alike nothing --set pack.sunglasses=x
expect 2 'unknown key optim.sunglasses; "pulmo train --help" lists all' pack alike nothing --set optim.sunglasses=x
hint='pack.label_map names "a", and the label is "A": case, blanks and ".0" count; name it as it is written'
expect 65 "has one class only (ill); two or more are needed: left out: 12 files" pack left nothing --set 'pack.label_map=a: well, B: ill'
says "$hint"
expect 65 "$hint" pack left nothing --set pack.table=labels.csv --set pack.table_path=file --set pack.table_label=class \
    --set 'pack.label_map=a: well, B: ill'
expect 2 'as PatientAge; "Foo" is none)' pack left nothing --set 'pack.keep=[PatientAge, Foo]'
expect 2 'pack.keep: "Foo": left/labels.csv has no such column; its columns are: file, class, who, part' pack left nothing \
    --set pack.table=labels.csv --set pack.table_path=file --set 'pack.keep=[part, Foo]'
[ ! -e nothing ] || fail "a refused pack left something"

# ---- one is no plural ----
mkdir -p one/{train,test}/{A,B}
cp alike/train/A/film_1.jpg alike/train/B/film_22.jpg one/train/A/
cp alike/train/B/film_21.jpg one/train/B/
cp alike/test/B/film_31.jpg one/test/B/
{ echo file,who && echo film_21,P21; } > one/row.csv
echo film_77.jpg > one/list.txt
expect 0 "packed 4 images" pack one one-packed
grep -qE "^test +1 image +A 0  B 1" out.txt || { cat out.txt; fail "one image is images"; }
expect 0 "one-packed: 4 images are what was packed" "$PULMO" pack --verify one-packed
expect 65 "1 row of labels in one/row.csv, 1 of them of a file" pack one nothing --set pack.table=row.csv --set pack.table_path=file
expect 65 "none of its 1 name is of any of the 4 files" pack one nothing --set pack.test_list=list.txt
echo film_21 >> one/row.csv
expect 65 "has 1 field, the header has 2" pack one nothing --set pack.table=row.csv --set pack.table_path=file
echo "what pack says is so"
