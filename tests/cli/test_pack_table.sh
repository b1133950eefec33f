#!/usr/bin/env bash
# Labels from tables, by the whole program: the same bytes on any number of ranks, what was packed is
# known again, kept columns reach predictions.csv, folders are renamed, and refusals name the line.
. "$(dirname "$0")/common.sh"
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 40 --val 10 --test 12 --seed 3 -q

# One folder of images named by number, and what was known of them in a table.
mkdir -p flat/images
echo 'name;diagnosis;patient;part;age' > flat/labels.csv
number=0
find demo -name '*.jpeg' | sort > names.txt
while read -r file; do
    number=$((number + 1))
    part=$(cut -d/ -f2 <<< "$file") class=$(cut -d/ -f3 <<< "$file")
    cp "$file" "flat/images/$number.jpg"
    printf '%s.png;%s;P%s;%s;%s\r\n' "$number" "$class" "$(basename "$file" .jpeg)" "$part" $((number % 90)) >> flat/labels.csv
done < names.txt
table="--set pack.table=labels.csv --set pack.table_path=name --set pack.table_label=diagnosis --size 64"
more="--set pack.table_patient=patient --set pack.table_split=part --set pack.keep=[age,part]"

# shellcheck disable=SC2086 # options are split on purpose
{
    "$PULMO" pack flat one $table $more > /dev/null 2> one.txt
    grep -q "62 rows of labels in flat/labels.csv, 62 of them of a file" one.txt || { cat one.txt; fail "no count of rows"; }
    grep -q "told by pack.table_patient: 62 images" one.txt || { cat one.txt; fail "patients are not the table's"; }
    grep -qE "^train +40 images" one.txt && grep -qE "^val +10 images" one.txt && grep -qE "^test +12 images" one.txt ||
        { cat one.txt; fail "splits are not the table's"; }
    for n in 2 3; do
        ranks "$n" "$PULMO" pack flat "ranks$n" $table $more -q
        diff -r one "ranks$n" || fail "$n ranks gave other bytes"
    done
    expect 0 "nothing to do" "$PULMO" pack flat one $table $more
    expect 0 "and their source files are what was packed" "$PULMO" pack --verify one --source flat
    gzip -k flat/labels.csv && mv flat/labels.csv plain.csv
    expect 0 "nothing to do" "$PULMO" pack flat one $table $more
    mv plain.csv flat/labels.csv && rm flat/labels.csv.gz
    sed '2s/NORMAL/PNEUMONIA/' flat/labels.csv > other.csv
    expect 2 "other files or options" "$PULMO" pack flat one ${table/labels.csv/other.csv} $more
}

# ---- to predictions.csv ----
"$PULMO" train --set data.path=one --set train.run_dir=run --set train.epochs=1 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden='[8]' -q > train.txt 2>&1 || { cat train.txt; fail "training failed"; }
head -1 run/predictions.csv | grep -q ",rule,age,part$" || { head -1 run/predictions.csv; fail "kept columns are not in predictions.csv"; }
while IFS=, read -r path age part; do
    grep -qE "^$(basename "$path" .jpg)\.png;.*;$part;$age"$'\r' flat/labels.csv || fail "predictions.csv: $path $age $part is not of the table"
done < <(tail -n +2 run/predictions.csv | awk -F, '{ print $2 "," $(NF - 1) "," $NF }')

# ---- what does not fit ----
# shellcheck disable=SC2086
{
    printf '1.png;PNEUMONIA;Q;train;1\r\n' >> flat/labels.csv
    expect 65 "flat/labels.csv:64: are both of images/1.jpg and disagree" "$PULMO" pack flat bad $table $more
    sed -i '$d' flat/labels.csv
    printf '1.png;NORMAL\r\n' >> flat/labels.csv
    expect 65 "flat/labels.csv:64: has 2 fields, the header has 5" "$PULMO" pack flat bad $table $more
    sed -i '$d' flat/labels.csv
    mkdir flat/copies && cp flat/images/7.jpg flat/copies/
    expect 65 '"7.png": may be copies/7.jpg or images/7.jpg' "$PULMO" pack flat bad $table $more
    expect 0 "packed 62 images" "$PULMO" pack flat excluded $table $more --set 'pack.exclude_pattern=^copies/'
    expect 2 "pack.table_split: \"split\"" "$PULMO" pack flat bad $table --set pack.table_split=split
    expect 2 "pack.table_patient: needs pack.table" "$PULMO" pack demo bad --set pack.table_patient=patient
    expect 2 "pack.label_pattern: the table says the classes" "$PULMO" pack flat bad $table --set 'pack.label_pattern=(x)'
    expect 2 "each says what test is" "$PULMO" pack flat bad $table $more --set 'pack.test_pattern=9'
    [ ! -e bad ] || fail "a refused pack left something behind"
}

# ---- folders: new names, and lists of splits ----
expect 0 "packed 62 images" "$PULMO" pack demo renamed --size 64 --set 'pack.label_map=NORMAL: healthy, PNEUMONIA: ill'
grep -qE "^train +40 images +healthy [0-9]+ +ill" out.txt || { cat out.txt; fail "folders have no new names"; }
expect 2 "(pack.label_map: \"NORMAL: fine, PNEUMONIA: ill\", not \"NORMAL: healthy, PNEUMONIA: ill\")" \
    "$PULMO" pack demo renamed --size 64 --set 'pack.label_map=NORMAL: fine, PNEUMONIA: ill' --update
cp -r demo three && mkdir three/train/OTHER && cp "$(ls -d three/train/NORMAL/* | head -1)" three/train/OTHER/other.jpeg
expect 0 "left out: 1 file of labels that pack.label_map does not name, as \"OTHER\"" \
    "$PULMO" pack three mapped --size 64 --set 'pack.label_map=NORMAL: healthy, PNEUMONIA: ill'
mkdir classes && cp -r demo/train/* classes/
find classes -name '*.jpeg' -printf '%f\n' | sort | head -9 > test.txt
expect 0 "packed 40 images" "$PULMO" pack classes listed --size 64 --set pack.test_list=test.txt --allow-leaks
grep -qE "^test +9 images" out.txt || { cat out.txt; fail "the test is not the list's"; }
# ---- rules that cannot be read are told of before anything is listed ----
early() { expect 2 "$1" "$PULMO" pack nowhere early --set pack.table=t.csv --set pack.table_path=x "${@:2}"; }
early 'pack.where: "ViewPosition": must be COLUMN=VALUE' --set pack.where=ViewPosition
early 'pack.where: "[ViewPosition=PA, Sex=F": begins with [ and does not end with ]' --set 'pack.where=[ViewPosition=PA, Sex=F'
early 'pack.label_map: "Pneumonia": must be LABEL: CLASS' --set pack.label_map=Pneumonia
early 'pack.label_map: "{a: b": begins with { and does not end with }' --set 'pack.label_map={a: b'
early 'pack.label_pattern: the table says the classes' --set 'pack.label_pattern=(x)' --set pack.table_label=y

echo "tables give the same pack on any number of ranks; kept columns reach predictions.csv"
