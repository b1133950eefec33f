#!/usr/bin/env bash
# The seven sets of configs/sets: drawn images laid out as each, with tables as they are published, are
# packed by its configuration. Classes, patients, splits, kept columns and counts must be those of a
# count of its own (tests/cli/sets.py, by pandas where PULMO_PYTHON has it), and no patient stands in
# several splits, or patients are said to be unknown.
. "$(dirname "$0")/common.sh"
python=${PULMO_PYTHON:-/usr/bin/python3}
"$python" -c 'import h5py, PIL' 2> /dev/null || { echo "skipped: $python has no h5py or Pillow"; exit 77; }
sets=$PULMO_SOURCE/tests/cli/sets.py
configs=$PULMO_SOURCE/configs/sets
"$python" "$sets" list > list.txt
[ "$(wc -l < list.txt)" = "$(ls "$configs" | wc -l)" ] || fail "configs/sets and sets.py differ"
if "$PULMO" --version | grep -q '^DICOM: not built in$'; then
    echo "rsna-pneumonia is left out: pulmo was built without DCMTK"
    sed -i '/^rsna-pneumonia/d' list.txt
fi

while read -r name options; do
    "$python" "$sets" draw "$name" "$name"
    # shellcheck disable=SC2086 # split on purpose
    "$PULMO" pack "$name" "$name.packed" -c "$configs/$name.yaml" --size 32 $options > "$name.txt" 2>&1 < /dev/null ||
        { cat "$name.txt"; fail "$name: pack failed"; }
    grep -q "images of 32 x 32 x 1 into" "$name.txt" || { cat "$name.txt"; fail "$name: grey images are not packed as grey"; }
    "$python" "$sets" check "$name" "$name" "$name.packed" > out.txt ||
        { cat "$name.txt" out.txt; fail "$name: not what its tables say"; }
    echo "$name: $(tail -1 out.txt)"
    case $options in
    *--patients-unknown*)
        grep -qi "patients.*unknown\|not.*known" "$name.txt" || { cat "$name.txt"; fail "$name: patients are unknown, which is not said"; }
        # shellcheck disable=SC2086
        expect 65 "--patients-unknown" "$PULMO" pack "$name" "$name.bad" -c "$configs/$name.yaml" --size 32 ${options/--patients-unknown/} < /dev/null
        ;;
    esac
done < list.txt
grep -q "val: the $(sed -n 's/^val *\([0-9]*\) images.*/\1/p' chexpert.txt) files that pack.val_pattern matches" chexpert.txt ||
    { cat chexpert.txt; fail "files without a class are counted as val"; }
echo "$(wc -l < list.txt) sets are packed as their tables say"
