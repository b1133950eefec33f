#!/usr/bin/env bash
# Damaged and odd JPEGs and PNGs, each alone and all among good ones: the right word for what is refused, Pillow's
# pixels for what is not, the others packed, and not a word of a library's own.
. "$(dirname "$0")/common.sh"
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL, numpy, h5py' 2> /dev/null || { echo "skipped: needs python3-pil, python3-numpy, python3-h5py"; exit 77; }
"$PULMO" demo-data demo --train 8 --val 0 --test 0 --seed 5 -q

# check FILE WORD REPORT: what a pack said of the file
check() {
    local line
    line=$(grep "^refused: .*/$1: " "$3" || true)
    if [ "$2" = ok ]; then [ -z "$line" ] || fail "refused: $line"
    else [[ $line == *"$2"* ]] || fail "$1: \"$2\" is not in: ${line:-nothing}"; fi
    ! grep -qi "^libpng" "$3" || { cat "$3"; fail "$1: libpng prints of its own"; }
}

# check_alone FILE WORD: packed beside two good ones
check_alone() {
    local expected=2
    rm -rf alone alone-packed && mkdir -p alone/odd alone/good && cp "odd/$1" alone/odd/
    cp "$(ls demo/train/NORMAL/* | head -1)" alone/good/ && cp "$(ls demo/train/PNEUMONIA/* | head -1)" alone/odd/
    "$PULMO" pack alone alone-packed --size 48 > /dev/null 2> alone.txt || { cat alone.txt; fail "$1: status $?"; }
    check "$1" "$2" alone.txt
    [ "$2" = ok ] && expected=3
    grep -q "packed $expected images" alone.txt || { cat alone.txt; fail "$1: not $expected images packed"; }
}

# odd TOOL LEAST PROFILES: the tool's files, of at least so many kinds; so many have a profile or a gamma
odd() {
    local tool=$PULMO_SOURCE/tests/tools/$1 good decode file word
    rm -rf odd all packed-*
    "$PYTHON" "$tool" make odd
    [ "$(wc -l < odd/expected.txt)" -ge "$2" ] || fail "only $(wc -l < odd/expected.txt) kinds"
    mkdir -p all/odd && cp -r demo/train/NORMAL demo/train/PNEUMONIA all
    while read -r file word; do
        cp "odd/$file" all/odd/
        check_alone "$file" "$word"
    done < odd/expected.txt
    for decode in exact fast; do
        "$PULMO" pack all "packed-$decode" --size 48 --decode "$decode" > /dev/null 2> all.txt
        while read -r file word; do check "$file" "$word" all.txt; done < odd/expected.txt
        grep -q "ignored; images that have one: $3\$" all.txt || { cat all.txt; fail "not $3 profiles are told of"; }
    done
    good=$(grep -c ' ok$' odd/expected.txt)
    [ "$("$PYTHON" "$tool" compare all packed-exact)" = $((good + 8)) ] || fail "not all good ones were packed with the right pixels"
    expect 65 "cannot be used and pack.on_bad is fail" "$PULMO" pack all other --size 48 --on-bad fail
    echo "$1: $(wc -l < odd/expected.txt) kinds, $good of them good"
}

odd odd_jpegs.py 50 1
odd odd_pngs.py 100 2
