#!/usr/bin/env bash
# pack --update where a table says of packed images what it did not say then: another split or kept value is an error that
# lists them, also where pulmo made the splits. Packs that do not say what was given are taken as they are.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 60 --val 0 --test 0 --seed 5 -q
mkdir -p flat/images
echo 'name,diagnosis,patient,part,age' > table.csv
number=100
while read -r file; do
    number=$((number + 1))
    cp "$file" "flat/images/$number.jpg"
    part=train
    [ $((number % 10)) = 3 ] && part=test
    echo "$number.jpg,$(cut -d/ -f3 <<< "$file"),P$number,$part,$((number % 90))" >> table.csv
done < <(find demo -name '*.jpeg' | sort)
cp table.csv flat/labels.csv
table="--set pack.table=labels.csv --set pack.table_path=name --set pack.table_label=diagnosis --set pack.table_patient=patient --size 48"
more="--set pack.table_split=part --set pack.keep=[age]"
pack() { "$PULMO" pack flat "$1" $table $more "${@:2}"; }

change() { # ROW FIELD VALUE: of the table as it was packed
    awk -F, -v OFS=, -v row="$1" -v field="$2" -v value="$3" '$1 == row { $field = value } { print }' table.csv > flat/labels.csv
}
as_it_was() {
    cp table.csv flat/labels.csv
    expect 0 "nothing to do" pack "$1" --update "${@:2}"
}

# ---- splits of the table; splits that pulmo carved out of the table's train; folds ----
for how in "" "--val-fraction 0.2" "--set pack.folds=3"; do
    # shellcheck disable=SC2086 # options are split on purpose
    {
        rm -rf packed
        cp table.csv flat/labels.csv
        expect 0 "packed 60 images" pack packed $how
        expect 0 "nothing to do" pack packed --update $how
        change 101.jpg 4 test
        expect 65 "images/101.jpg: is given as test, was given as train when it was packed" pack packed --update $how
        grep -q "1 file that is packed there changed or was removed" out.txt || { cat out.txt; fail "not one file"; }
        grep -q "restore them and what the table says of them, or pack anew" out.txt || { cat out.txt; fail "no way out"; }
        change 103.jpg 4 val
        expect 65 "images/103.jpg: is given as val, was given as test when it was packed" pack packed --update $how
        as_it_was packed $how
    }
done

# ---- kept values, class, patient; a row that is gone ----
change 102.jpg 5 77
expect 65 'images/102.jpg: has age "77", was packed with "12"' pack packed --update --set pack.folds=3
change 102.jpg 3 P7
expect 65 "images/102.jpg: is of patient P7, was packed as P102" pack packed --update --set pack.folds=3
grep -v '^102.jpg' table.csv > flat/labels.csv
expect 65 "images/102.jpg: is left out now: a table or a list takes it no more" pack packed --update --set pack.folds=3
as_it_was packed --set pack.folds=3

# ---- lists of splits ----
tail -n +2 table.csv | awk -F, '$4 == "test" { print $1 }' > flat/test.txt
listed() { "$PULMO" pack flat listed $table --set pack.test_list=test.txt --val-fraction 0.2 "$@"; }
expect 0 "packed 60 images" listed
sed -i 1d flat/test.txt
expect 65 "images/103.jpg: is given as train, was given as test" listed --update

# ---- new images beside: what was given stays known ----
cp table.csv flat/labels.csv
expect 0 "packed 60 images" pack grown --val-fraction 0.2
cp demo/train/NORMAL/"$(ls demo/train/NORMAL | head -1)" flat/images/200.jpg
printf x >> flat/images/200.jpg
echo "200.jpg,NORMAL,P200,train,5" >> table.csv
cp table.csv flat/labels.csv
expect 0 "packed 61 images" pack grown --update --val-fraction 0.2
change 101.jpg 4 test
expect 65 "images/101.jpg: is given as test, was given as train" pack grown --update --val-fraction 0.2
change 200.jpg 4 test
expect 65 "images/200.jpg: is given as test, was given as train" pack grown --update --val-fraction 0.2

# ---- packs of before ----
if /usr/bin/python3 -c 'import h5py' 2> /dev/null; then
    cp table.csv flat/labels.csv
    expect 0 "packed 61 images" pack before --val-fraction 0.2
    /usr/bin/python3 "$PULMO_SOURCE/tests/tools/unseal.py" before/manifest.h5
    /usr/bin/python3 -c '
import h5py
with h5py.File("before/manifest.h5", "a") as file:
    for split in file["splits"].values():
        del split["given"]'
    change 101.jpg 4 test
    expect 0 "nothing to do" pack before --update --val-fraction 0.2
else
    echo "skipped: a pack that does not say what was given, which python3-h5py would make"
fi
echo "what a table says of packed images stays, or is told"
