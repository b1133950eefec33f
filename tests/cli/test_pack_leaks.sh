#!/usr/bin/env bash
# The leak audit: a picture or a patient on both sides of a split is an error that tells the ways on; what only looks like
# a leak is none.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 60 --val 0 --test 0 --seed 5 -q
normal() { ls demo/train/NORMAL/* | sed -n "$1p"; }
pneumonia() { ls demo/train/PNEUMONIA/* | sed -n "$1p"; }

# Ten pictures a class in train and four in test, named as the Kermany set names them: bacterial and viral cases
# are numbered apart, so person1 in train and person1 in test are two children.
make_kaggle() {
    mkdir -p "$1"/{train,test}/{NORMAL,PNEUMONIA}
    for i in $(seq 10); do
        cp "$(normal "$i")" "$1/train/NORMAL/IM-$((100 + i))-0001.jpeg"
        cp "$(pneumonia "$i")" "$1/train/PNEUMONIA/person${i}_bacteria_$i.jpeg"
    done
    for i in $(seq 4); do
        cp "$(normal $((10 + i)))" "$1/test/NORMAL/IM-$((i))-0001.jpeg"
        cp "$(pneumonia $((10 + i)))" "$1/test/PNEUMONIA/person${i}_virus_$((20 + i)).jpeg"
    done
}
pack() { "$PULMO" pack "$@" --size 64; }

make_kaggle plain
expect 0 "person1: in splits train test (by cases that are numbered apart" pack plain plain-packed
! grep -q "leak between" out.txt || fail "a leak was seen where there is none"

# ---- the same names without a rule mean nothing ----
mkdir -p named/{train,test}/{a,b}
for i in 1 2 3; do
    cp "$(normal "$i")" "named/train/a/000$i.jpeg"; cp "$(pneumonia "$i")" "named/train/b/000$i.jpeg"
    cp "$(normal $((i + 5)))" "named/test/a/000$i.jpeg"; cp "$(pneumonia $((i + 5)))" "named/test/b/000$i.jpeg"
done
expect 0 "packed 12 images" pack named named-packed
expect 65 "patient 0001" pack named named-by-rule --set 'pack.group_pattern=^([0-9]+)'

# ---- patients ----
make_kaggle patient
cp "$(pneumonia 20)" patient/test/PNEUMONIA/person3_bacteria_77.jpeg
expect 65 "patient person3_bacteria: train/PNEUMONIA/person3_bacteria_3.jpeg and test/PNEUMONIA/person3_bacteria_77.jpeg" pack patient patient-packed
[ ! -e patient-packed/manifest.h5 ] || fail "a manifest in spite of a leak"
grep -q "^patient person3_bacteria" patient-packed/leaks.txt || fail "no list of leaks"
for way in --drop-leaks --allow-leaks group_pattern --val-fraction; do grep -qF -e "$way" out.txt || fail "the error does not name $way"; done

# ---- pictures: the same bytes, the same pixels, the same picture saved again ----
make_kaggle bytes
cp bytes/train/NORMAL/IM-104-0001.jpeg bytes/test/NORMAL/IM-9-0001.jpeg
expect 65 "identical files: train/NORMAL/IM-104-0001.jpeg and test/NORMAL/IM-9-0001.jpeg" pack bytes bytes-packed
make_kaggle pixels
{ cat pixels/train/NORMAL/IM-104-0001.jpeg; echo "a comment behind the end"; } > pixels/test/NORMAL/IM-9-0001.jpeg
expect 65 "one picture: train/NORMAL/IM-104-0001.jpeg and test/NORMAL/IM-9-0001.jpeg" pack pixels pixels-packed
if /usr/bin/python3 -c 'import PIL' 2> /dev/null; then
    make_kaggle again
    /usr/bin/python3 - << 'PYTHON'
from PIL import Image
image = Image.open("again/train/PNEUMONIA/person5_bacteria_5.jpeg")
smaller = image.resize((image.width * 2 // 3, image.height * 2 // 3), Image.BICUBIC)
smaller.point([int(255 * (i / 255) ** 1.2) for i in range(256)]).save("again/test/PNEUMONIA/person99_virus_99.jpeg", quality=60)
PYTHON
    expect 65 "one picture: train/PNEUMONIA/person5_bacteria_5.jpeg and test/PNEUMONIA/person99_virus_99.jpeg" pack again again-packed
fi

# ---- the ways on ----
expect 0 "1 leak between splits is allowed" pack patient patient-packed --allow-leaks
grep -q "resuming an earlier pack: 29 of 29" out.txt || { cat out.txt; fail "decoded anew"; }
[ ! -e patient-packed/leaks.txt ] && [ ! -e patient-packed/.pack ] || fail "leaks.txt or .pack stayed behind"
expect 0 "person3_bacteria" "$PULMO" inspect patient-packed/manifest.h5
expect 0 "refused: train/PNEUMONIA/person3_bacteria_3.jpeg: left out: its patient or picture stands in test as well" pack patient dropped --drop-leaks
grep -qE "^train +19 images" out.txt && grep -qE "^test +9 images" out.txt || { cat out.txt; fail "not 19 and 9 images"; }
mkdir whole && cp -r patient/train whole/train && cp -r patient/train whole/test
expect 65 "--drop-leaks leaves no image in train: the patients or pictures of all 20 stand in val or test" pack whole emptied --drop-leaks
[ ! -e emptied/manifest.h5 ] || fail "a pack without train"
expect 0 "test " pack patient/train split --test-fraction 0.3
echo "leaks found and told; coincidences of names are none"
