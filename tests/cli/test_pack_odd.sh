#!/usr/bin/env bash
# Damaged and odd JPEGs, each alone and all among good ones: the right word for what is refused, Pillow's pixels for
# what is not, and the others packed.
. "$(dirname "$0")/common.sh"
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL, numpy, h5py' 2> /dev/null || { echo "skipped: needs python3-pil, python3-numpy, python3-h5py"; exit 77; }
"$PYTHON" "$PULMO_SOURCE/tests/tools/odd_jpegs.py" make odd
[ "$(wc -l < odd/expected.txt)" -ge 50 ] || fail "only $(wc -l < odd/expected.txt) kinds"
"$PULMO" demo-data demo --train 8 --val 0 --test 0 --seed 5 -q
mkdir -p all/odd && cp -r demo/train/NORMAL demo/train/PNEUMONIA all

# check FILE WORD REPORT: what a pack said of the file
check() {
    local line
    line=$(grep "^refused: .*/$1: " "$3" || true)
    if [ "$2" = ok ]; then [ -z "$line" ] || fail "refused: $line"
    else [[ $line == *"$2"* ]] || fail "$1: \"$2\" is not in: ${line:-nothing}"; fi
}

while read -r file word; do
    cp "odd/$file" all/odd/
    rm -rf alone alone-packed && mkdir -p alone/odd alone/good && cp "odd/$file" alone/odd/
    cp "$(ls demo/train/NORMAL/* | head -1)" alone/good/ && cp "$(ls demo/train/PNEUMONIA/* | head -1)" alone/odd/
    "$PULMO" pack alone alone-packed --size 48 > /dev/null 2> alone.txt || { cat alone.txt; fail "$file: status $?"; }
    check "$file" "$word" alone.txt
    [ "$word" = ok ] && expected=3 || expected=2
    grep -q "packed $expected images" alone.txt || { cat alone.txt; fail "$file: not $expected images packed"; }
done < odd/expected.txt

for decode in exact fast; do
    "$PULMO" pack all "packed-$decode" --size 48 --decode "$decode" > /dev/null 2> all.txt
    while read -r file word; do check "$file" "$word" all.txt; done < odd/expected.txt
done
good=$(grep -c ' ok$' odd/expected.txt)
[ "$("$PYTHON" "$PULMO_SOURCE/tests/tools/odd_jpegs.py" compare all packed-exact)" = $((good + 8)) ] || fail "not all good ones were packed with Pillow's pixels"
expect 65 "cannot be used and pack.on_bad is fail" "$PULMO" pack all other --size 48 --on-bad fail
echo "$(wc -l < odd/expected.txt) kinds, $good of them good"
