#!/usr/bin/env bash
# Patients: told by the names of public sets or by a pattern on the path, whole in one split, counted; or called unknown, in
# a loud line, an error where splits would tear them apart, and in what is written. Folders that are no classes are noticed.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 60 --val 0 --test 0 --seed 5 -q
ls "$PWD"/demo/train/*/* > pictures
pack() { "$PULMO" pack "$@" --size 48; }
# Names on stdin, one a line: each gets a picture of its own.
lay() { paste -d '|' pictures - | while IFS='|' read -r from to; do [ -n "$to" ] || break; mkdir -p "$(dirname "$to")" && cp "$from" "$to"; done; }
halves="--val-fraction 0.25 --test-fraction 0.25"
command -v h5dump > /dev/null || { echo "h5dump is not installed"; exit 77; }
# torn PACK EXPRESSION: patients (its match in the path) that stand in more than one split
torn() {
    local s
    for s in train val test; do
        h5dump -y -d "/splits/$s/paths" "$1/manifest.h5" | grep -oE "$2" | sort -u
    done | sort | uniq -d | wc -l
}
attribute() { h5dump -a "/$2" "$1/manifest.h5" | sed -n 's/^ *(0): "\(.*\)"$/\1/p'; }

# six patients a class of four images: SCHEME -> names
name_of() { # scheme class patient image
    local p=$3
    [ "$2" = NORMAL ] || p=$((p + 50))
    case $1 in
        nih) printf '%08d_%03d.jpg' "$p" "$4" ;;
        chexpert) printf 'patient%05d/study%d/view%d_frontal.jpg' "$p" $((1 + $4 / 2)) $((1 + $4 % 2)) ;;
        mimic) printf 'p10/p100000%02d/s5041426%d/%08x-bde0afdd.jpg' "$p" "$4" $((p * 7919 + $4)) ;;
        mendeley) printf '%s-%d-%04d.jpeg' "$([ "$2" = NORMAL ] && echo NORMAL || echo BACTERIA)" $((198200 + p)) "$4" ;;
    esac
}
check_scheme() { # scheme expression rule
    for class in NORMAL PNEUMONIA; do for p in 0 1 2 3 4 5; do for k in 0 1 2 3; do
        echo "$1/$class/$(name_of "$1" "$class" "$p" "$k")"
    done; done; done | lay
    expect 0 "patients: 12 (train 4, val 4, test 4), told by $3: 48 images" pack "$1" "$1-packed" $halves
    [ "$(torn "$1-packed" "$2")" = 0 ] || fail "$1: a patient stands in several splits"
    [ "$(attribute "$1-packed" patients)" = known ] || fail "$1: patients are not called known"
}
check_scheme nih '[0-9]{8}_' "names of NIH ChestX-ray14"
check_scheme chexpert 'patient[0-9]{5}' "names of CheXpert"
check_scheme mimic 'p[0-9]{8}' "names of MIMIC-CXR"
check_scheme mendeley '[A-Z]-[0-9]{6}-' "names of the Kermany set (Mendeley V3)"

# ---- one patient in two given splits, by such a name, is a leak ----
{ for i in 1 2 3 4; do for c in A B; do echo "given/train/$c/0000000$i$([ $c = A ] && echo 1 || echo 2)_000.jpg"; done; done
  echo "given/test/A/00000011_001.jpg"; echo "given/test/B/00000099_000.jpg"; } | sed 's/0000000\([0-9]\)\([0-9]\)_/000000\1\2_/' | lay
expect 65 "patient 00000011: train/A/00000011_000.jpg and test/A/00000011_001.jpg" pack given given-packed

# ---- a pattern on the path, where no scheme knows the names ----
for class in NORMAL PNEUMONIA; do for p in 0 1 2 3 4 5; do for k in 0 1 2 3; do
    echo "folders/$class/case_$class$p/$k.jpg"
done; done; done | lay
expect 65 "patients unknown: 48 of the files to split have names that tell none, such as NORMAL/case_NORMAL0/0.jpg" pack folders folders-packed $halves
for way in pack.group_pattern --patients-unknown; do grep -qF -e "$way" out.txt || { cat out.txt; fail "the error does not name $way"; }; done
[ ! -e folders-packed ] || fail "an error about names left something behind"
expect 0 "told by pack.group_pattern: 48 images" pack folders folders-packed $halves --set 'pack.group_pattern=/(case_[^/]+)/'
[ "$(torn folders-packed 'case_[A-Z]+[0-9]')" = 0 ] || fail "a patient stands in several splits"

# ---- unknown ----
expect 0 "patients unknown, as --patients-unknown says: 48 of 48 images count as a patient each" pack folders unknown-packed $halves --patients-unknown
[ "$(grep -ci "patients.unknown:" out.txt)" = 0 ] && ! grep -q "warning" out.txt || { cat out.txt; fail "what was said is warned of"; }
[ "$(attribute unknown-packed patients)" = unknown ] || fail "patients are not called unknown"
! grep -q "by patient" out.txt || { cat out.txt; fail "split by patient, though nobody knows them"; }
expect 0 "PATIENTS UNKNOWN" pack folders whole-packed # nothing is split: a warning alone
mkdir some && cp -r nih/NORMAL some/ && mkdir some/PNEUMONIA && cp folders/PNEUMONIA/case_PNEUMONIA0/* some/PNEUMONIA/
expect 65 "4 of the files to split have names that tell none" pack some some-packed $halves
expect 0 "4 of 28 images count as a patient each" pack some some-packed $halves --patients-unknown
[ "$(attribute some-packed patients)" = some ] || fail "patients are not called known in part"
[ "$(attribute some-packed patients_by)" = "names of NIH ChestX-ray14: 24 images, unknown: 4 images" ] || fail "rules: $(attribute some-packed patients_by)"

# ---- files of one base name, and of the name of a known patient, are patients of their own ----
mkdir -p own/{NORMAL,PNEUMONIA}
for class in NORMAL PNEUMONIA; do for k in 0 1 2; do cp "folders/$class/case_${class}0/$k.jpg" "own/$class/$k.jpg"; done; done
mkdir own/NORMAL/case_2 && cp folders/NORMAL/case_NORMAL1/0.jpg own/NORMAL/case_2/a.jpg
groups() { h5dump -y -d /splits/train/groups "$1/manifest.h5" | sed '1,/DATA {/d' | grep -oE '"[^"]*"' | tr -d ' "' | sed 's/\\000.*//' | sort; }
expect 0 "pack.group_pattern: 1 image, unknown: 6 images" pack own own-packed --set 'pack.group_pattern=/case_([0-9]+)/'
groups own-packed > groups.txt
printf '%s\n' 2 file:NORMAL/{0,1,2}.jpg file:PNEUMONIA/{0,1,2}.jpg | cmp - groups.txt || { cat groups.txt; fail "unknown patients share a name"; }
expect 0 "packed 7 images" pack own own-hidden --set 'pack.group_pattern=/case_([0-9]+)/' --set pack.pseudonyms=on
[ "$(groups own-hidden | grep -cxE '[0-9a-f]{32}')" = 7 ] || { groups own-hidden; fail "unknown patients are no pseudonyms"; }
[ "$(groups own-hidden | sort -u | wc -l)" = 7 ] || fail "pseudonyms of unknown patients are shared"
cp folders/NORMAL/case_NORMAL2/0.jpg own/NORMAL/3.jpg
expect 0 "1 file is new" pack own own-packed --set 'pack.group_pattern=/case_([0-9]+)/' --update
expect 0 "1 file is new" pack own own-hidden --set 'pack.group_pattern=/case_([0-9]+)/' --set pack.pseudonyms=on --update

# ---- names of a viewer that look like a public set's ----
n=0
for file in nih/*/*; do
    n=$((n + 1))
    class=$(basename "$(dirname "$file")")
    mkdir -p "viewer/$class/case$n" && cp "$file" "viewer/$class/case$n/IM-0001-0001.jpeg"
done
expect 2 "have names of one patient, \"IM-0001\"" pack viewer viewer-packed --val-fraction 0.25
expect 0 "told by pack.group_pattern" pack viewer viewer-packed --val-fraction 0.25 --set 'pack.group_pattern=([^/]*)/[^/]*$'

# ---- folders that are no classes ----
mkdir -p sets/OCT/train sets/chest_xray/{train,test}
cp -r demo/train/* sets/OCT/train/ && cp -r demo/train/* sets/chest_xray/train/ && cp -r nih/* sets/chest_xray/test/
expect 65 "Pack one of them: sets/OCT or sets/chest_xray" pack sets sets-packed
mkdir -p nested/archive && cp -r sets/chest_xray nested/archive/
expect 65 "the data set looks like nested/archive/chest_xray" pack nested nested-packed
mkdir -p level && cp -r nih level/
expect 65 "the data set looks like level/nih" pack level level-packed
expect 0 "packed" pack level/nih level-packed
echo "patients are told by name, or called unknown"
