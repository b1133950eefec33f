#!/usr/bin/env bash
# Names that are not UTF-8, and names that would command the terminal: told apart by programs, harmless to people.
. "$(dirname "$0")/common.sh"
PYTHON=$(command -v python3) || { echo "skipped: needs python3"; exit 77; }
make_small
escape=$'\e' # the class of folders that get a name to clear the screen by
for split in train val test; do mv "demo/$split/PNEUMONIA" "demo/$split/PNEU${escape}[2JMONIA"; done
"$PULMO" pack demo packed --size 64 --overwrite > pack.txt 2>&1 || { cat pack.txt; fail pack; }
small_train run env > train.txt 2>&1 || { cat train.txt; fail train; }

# harmless FILE WORD: what was said shows the class, and no byte of it commands anything
harmless() {
    grep -qF "$2" "$1" || { cat -v "$1"; fail "$1: no $2"; }
    ! grep -q "$escape" "$1" || { cat -v "$1"; fail "$1: an escape came through"; }
}
harmless pack.txt 'PNEU\x1b[2JMONIA'
harmless train.txt 'PNEU\x1b[2JMONIA'
"$PULMO" evaluate run --data packed > evaluate.txt 2>&1
harmless evaluate.txt 'PNEU\x1b[2JMONIA  '
for file in packed/manifest.h5 packed/train-*.h5 run/model.h5; do
    "$PULMO" inspect "$file" > inspect.txt 2>&1
    harmless inspect.txt 'PNEU\x1b[2JMONIA'
done

# ---- errors and warnings ----
printf 'no image' > "odd${escape}]0;title"$'\a.jpg'
printf 'no image' > $'two\nwarning: lines.jpg'
status=0
"$PULMO" predict run ./*.jpg > out.txt 2>&1 || status=$?
[ "$status" = 65 ] || fail "status $status"
harmless out.txt 'odd\x1b]0;title\x07.jpg'
harmless out.txt 'two\x0awarning: lines.jpg'
status=0
"$PULMO" evaluate "gone${escape}[31m" --data packed > out.txt 2>&1 || status=$?
harmless out.txt 'gone\x1b[31m'
rm ./*.jpg
cp -r demo leaky && cp "$(ls -d leaky/train/NORMAL/* | head -1)" "leaky/test/NORMAL/IM-0999-0001${escape}c"$'\nforged.jpeg'
"$PULMO" pack leaky leaky-packed --size 64 > out.txt 2>&1 && fail "a leak is not found"
harmless leaky-packed/leaks.txt 'IM-0999-0001\x1bc\x0aforged.jpeg'
cp -r packed "moved${escape}c" && printf 'pulmo' | dd of="moved${escape}c/manifest.h5" bs=1 seek=300 conv=notrunc status=none
"$PULMO" verify "moved${escape}c" > out.txt 2>&1 && fail "damage is not found"
harmless out.txt 'moved\x1bc/manifest.h5'

# ---- lines that programs read: no two names alike, each to be had back ----
mkdir names
image=$(ls -d demo/test/NORMAL/* | head -1)
for name in $'\xff' 'ÿ' '\xff' $'a\nb' 'plain, with a comma'; do cp "$image" "names/$name.jpg"; done
"$PULMO" predict run names -q > names.csv
"$PULMO" predict run names -q --format json > names.json
"$PULMO" explain run names --out maps -q > maps.csv
"$PYTHON" - <<'END'
import csv, json, os, re

def bytes_of(spelled):
    one = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")
    return one.sub(lambda m: bytes([int(m[1], 16)]) if m[1] else b"\\", spelled.encode())

there = sorted(b"names/" + name for name in os.listdir(b"names"))
assert len(there) == 5
of_json = [json.loads(line)["path"] for line in open("names.json", encoding="utf-8")]
for name in ("names.csv", "maps.csv"):
    with open(name, newline="", encoding="utf-8") as file:
        assert [row["path"] for row in csv.DictReader(file)] == of_json, name
assert sorted(map(bytes_of, of_json)) == there, of_json
assert r"names/\xff.jpg" in of_json and r"names/\\xff.jpg" in of_json and "names/ÿ.jpg" in of_json
END
# A class and a path of the test split, as predict spells them.
grep -qF ',PNEU\x1b[2JMONIA,' run/predictions.csv || fail "predictions.csv spells the class otherwise"
grep -qF ',p_PNEU\x1b[2JMONIA,' names.csv || { head -1 names.csv; fail "predict spells the class otherwise"; }
grep -qF '"PNEU\\x1b[2JMONIA":' names.json || { head -1 names.json; fail "JSON spells the class otherwise"; }
