#!/usr/bin/env bash
# Odd DICOM files, each alone and all among good ones: the right word for what is refused, the grey of the standard's
# formulas and Pillow's resize for what is not, and the others packed. Patients and kept columns by their headers.
. "$(dirname "$0")/common.sh"
names_as_they_are
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL, numpy, h5py' 2> /dev/null || { echo "skipped: needs python3-pil, python3-numpy, python3-h5py"; exit 77; }
dicoms() { "$PYTHON" "$PULMO_SOURCE/tests/tools/dicoms.py" "$@"; }
"$PULMO" demo-data demo --train 8 --val 0 --test 0 --seed 5 -q
if "$PULMO" --version | grep -q '^DICOM: not built in$'; then
    mkdir -p none/A none/B && cp "$(ls demo/train/NORMAL/* | head -1)" none/A && cp "$(ls demo/train/PNEUMONIA/* | head -1)" none/B
    dicoms of none/A/*.jpeg none/A/film.dcm
    "$PULMO" pack none packed --size 48 > said.txt 2>&1
    grep -q 'film.dcm: is a DICOM file, and this pulmo was built without DCMTK: build it where' said.txt || { cat said.txt; fail "no way out"; }
    echo "skipped: pulmo was built without DCMTK, and says so"
    exit 77
fi
dicoms make odd
mkdir -p all/odd && cp -r demo/train/NORMAL demo/train/PNEUMONIA all

# check FILE WORDS REPORT: what a pack said of the file
check() {
    local line
    line=$(grep "^refused: .*/$1: " "$3" || true)
    if [ "$2" = ok ]; then [ -z "$line" ] || fail "refused: $line"
    else [[ $line == *"$2"* ]] || fail "$1: \"$2\" is not in: ${line:-nothing}"; fi
}

while read -r file words; do
    cp "odd/$file" all/odd/
    rm -rf alone alone-packed && mkdir -p alone/odd alone/good && cp "odd/$file" alone/odd/
    cp "$(ls demo/train/NORMAL/* | head -1)" alone/good/ && cp "$(ls demo/train/PNEUMONIA/* | head -1)" alone/odd/
    "$PULMO" pack alone alone-packed --size 48 > /dev/null 2> alone.txt || { cat alone.txt; fail "$file: status $?"; }
    check "$file" "$words" alone.txt
    grep -q "^[WE]: " alone.txt && { cat alone.txt; fail "DCMTK's log is heard"; }
    [ "$words" = ok ] && expected=3 || expected=2
    grep -q "packed $expected images" alone.txt || { cat alone.txt; fail "$file: not $expected images packed"; }
done < odd/expected.txt
"$PULMO" pack all packed --size 48 > /dev/null 2> all.txt || { cat all.txt; fail "status $?"; }
while read -r file words; do check "$file" "$words" all.txt; done < odd/expected.txt
good=$(grep -c ' ok$' odd/expected.txt)
[ "$(dicoms compare odd packed)" = "$good" ] || fail "not all good ones were packed with the grey of the formulas"

# ---- keys ----
expect 65 "cannot be used and pack.on_bad is fail" "$PULMO" pack all other --size 48 --on-bad fail
expect 2 'pack.window: "12": must be CENTER,WIDTH' "$PULMO" pack all other --size 48 --set pack.window=12
mkdir -p two/CT two/DX && cp odd/ct.dcm odd/no-modality.dcm two/CT && cp odd/cr.dcm odd/window.dcm two/DX
"$PULMO" pack two two.packed --size 48 --set pack.modalities=any 2> two.txt || { cat two.txt; fail "any modality"; }
grep -q 'packed 4 images' two.txt || { cat two.txt; fail "not any modality is taken"; }
"$PULMO" pack two two.packed --size 48 --set 'pack.modalities=[CR, CT]' --overwrite 2> two.txt
grep -q 'packed 2 images' two.txt && grep -q 'is of modality DX, and .*CR, CT' two.txt || { cat two.txt; fail "other modalities"; }
shown() { "$PYTHON" -c "
import h5py, sys
with h5py.File(sys.argv[1] + '/manifest.h5') as m:
    for split in m['splits'].values():
        kept = [split['kept/%d' % k][:] for k in range(len(split['kept']))] if 'kept' in split else []
        names = [n.decode() if isinstance(n, bytes) else n for n in split.attrs.get('kept', [])]
        for i, path in enumerate(split['paths'][:]):
            print(path.decode(), split['groups'][i].decode(), *[n + '=' + k[i].decode() for n, k in zip(names, kept)])
" "$1" | sort; }
digests() { "$PYTHON" -c "
import h5py, sys
with h5py.File(sys.argv[1] + '/manifest.h5') as m:
    print(*sorted(d.decode() for split in m['splits'].values() for d in split['pixel_digests'][:]), sep='\n')
" "$1"; }
"$PULMO" pack two window.packed --size 48 --set pack.modalities=any --set pack.window=2048,100 -q 2> /dev/null
[ "$(digests window.packed)" != "$(digests two.packed)" ] || fail "pack.window changes nothing"

# ---- patients and kept columns ----
mkdir -p people/A people/B
for i in 1 2 3 4 5 6 7 8; do
    "$PYTHON" - "$i" "$PULMO_SOURCE/tests/tools" << 'END'
import random, sys
sys.path.insert(0, sys.argv[2])
import dicoms
i = int(sys.argv[1])
values = dicoms.film(random.Random(100 + i), 0, 4095)
extra = [(0x00101010, "AS", f"0{i}0Y"), (0x00185101, "CS", "PA" if i % 2 else "AP"), (0x00100010, "PN", "SECRET^NAME")]
if i != 3:
    extra.append((0x00100040, "CS", "F"))
patient = " " if i == 8 else f"MRN-{i // 2}"
dicoms.save(f"people/{'AB'[i // 5]}/{i}", dicoms.dicom(values, dicoms.ROWS, dicoms.COLUMNS, patient=patient, extra=extra))
END
done
"$PULMO" pack people people.packed --size 32 --set 'pack.keep=[PatientSex, ViewPosition, PatientAge]' 2> people.txt ||
    { cat people.txt; fail "patients"; }
grep -q 'told by PatientID of DICOM headers: 7 images, unknown: 1 image' people.txt || { cat people.txt; fail "who told patients"; }
grep -q '1 DICOM file without a PatientID' people.txt || { cat people.txt; fail "an empty PatientID is not told"; }
shown people.packed > shown.txt
for line in 'A/1 MRN-0 PatientSex=F ViewPosition=PA PatientAge=010Y' 'A/3 MRN-1 PatientSex= ViewPosition=PA PatientAge=030Y' \
    'B/8 file:B/8 PatientSex=F ViewPosition=AP PatientAge=080Y'; do
    grep -qxF "$line" shown.txt || { cat shown.txt; fail "no \"$line\""; }
done
grep -rql 'SECRET' people.packed && fail "a header's name is kept"
grep -rql '010Y' people.packed/manifest.h5 || fail "an age that was asked for is not kept"
"$PULMO" pack people plain.packed --size 32 -q
grep -rqlE '010Y|MRN-9' plain.packed && fail "an age that was not asked for is kept"

# MRN-2 stands in both classes, and thus in one split, whatever is split off; unknown patients stop the split.
expect 65 '1 of the files to split have neither a PatientID nor a name that tells a patient, such as B/8' "$PULMO" pack people split.packed --size 32 --val-fraction 0.3
rm people/B/8
"$PULMO" pack people split.packed --size 32 --val-fraction 0.3 --overwrite -q
"$PYTHON" -c "
import h5py
with h5py.File('split.packed/manifest.h5') as m:
    where = [set(split['groups'][:]) for split in m['splits'].values()]
    assert len(where) == 2 and not where[0] & where[1], where
" || fail "a patient is torn apart"

# a table says more than a header, a pattern too; a header more than a name; and it can be left unread
printf 'image,who,sex\n1,T1,x\n2,T2,x\n5,T5,x\n6,,x\n' > people/table.csv
"$PULMO" pack people table.packed --size 32 --set pack.table=table.csv --set pack.table_path=image --set pack.table_patient=who \
    --set 'pack.keep=[sex, PatientAge]' -q 2> table.txt || { cat table.txt; fail "a table beside headers"; }
shown table.packed > shown.txt
for line in 'A/1 T1 sex=x PatientAge=010Y' 'B/6 MRN-3 sex=x PatientAge=060Y'; do
    grep -qxF "$line" shown.txt || { cat shown.txt table.txt; fail "no \"$line\""; }
done
"$PULMO" pack people pattern.packed --size 32 --set 'pack.group_pattern=([AB])/' -q
shown pattern.packed | grep -qx 'A/1 A' || fail "a pattern does not come before a header"
"$PULMO" pack people unread.packed --size 32 --set pack.header_patient=false -q 2> /dev/null
shown unread.packed | grep -qx 'A/1 file:A/1' || fail "a header is read that should not be"
expect 2 'pack.keep: needs pack.table' "$PULMO" pack people other --size 32 --set 'pack.keep=[PatientAge, Cholesterol]'

# all of one PatientID, as exports without names have it
mkdir -p same/A same/B
for file in "$PULMO_SOURCE"/tests/tools/dicoms.py; do
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
        "$PYTHON" -c "
import random, sys
sys.path.insert(0, '$(dirname "$file")')
import dicoms
values = dicoms.film(random.Random($i), 0, 4095)
dicoms.save('same/' + 'AB'[$i % 2] + '/IM-0001-%04d.dcm' % $i, dicoms.dicom(values, 57, 61, patient='ANONYMOUS'))"
    done
done
expect 2 'have one PatientID, "ANONYMOUS"' "$PULMO" pack same same.packed --size 32
for class in A B; do sed -i "s/ANONYMOUS /CLASS $class   /" same/$class/*; done
expect 2 '6 of 12 DICOM files have one PatientID, "CLASS ' "$PULMO" pack same same.packed --size 32

# PatientIDs that are probably one are told, whether names are hidden or not.
twins() { # FIRST LAST [SAY]: films of two patients each way, PATIENT-N or, as SAY has it, patient-N
    mkdir -p twins/A twins/B
    "$PYTHON" - "$@" "$PULMO_SOURCE/tests/tools" << 'END'
import random, sys
sys.path.insert(0, sys.argv[-1])
import dicoms
for i in range(int(sys.argv[1]), int(sys.argv[2])):
    values = dicoms.film(random.Random(500 + i), 0, 4095)
    name = f"{sys.argv[3]}-{i // 2}"
    place = f"twins/{'AB'[i % 4 // 2]}/{sys.argv[3]}{i}"
    dicoms.save(place, dicoms.dicom(values, dicoms.ROWS, dicoms.COLUMNS, patient=name))
END
}
program=$1 # as it is
alike() { "$program" pack twins "$1" --size 32 "${@:2}"; }
twins 0 12 Patient
expect 0 "packed 12 images" alike apart --set pack.pseudonyms=on
! grep -q ALIKE out.txt || { cat out.txt; fail "patients that are not alike"; }
twins 4 6 patient
warning='PATIENTS ALIKE: ("Patient-2" and "patient-2"|"patient-2" and "Patient-2") differ only by case.*; 2 names are so in all'
for names in off on; do
    alike twins-$names --set pack.pseudonyms=$names > out.txt 2>&1 || { cat out.txt; fail "patients that are alike"; }
    grep -qE "$warning" out.txt || { cat out.txt; fail "PatientIDs that are alike, with pseudonyms $names"; }
done
! grep -rqai 'patient-2' twins-on || fail "a PatientID in a pack of pseudonyms"
ranks 2 "$program" pack twins twins-ranks --size 32 --set pack.pseudonyms=on > out.txt 2>&1 || { cat out.txt; fail "two ranks"; }
grep -qE "$warning" out.txt || { cat out.txt; fail "PatientIDs that are alike, on two ranks"; }

# ---- an update takes patients and kept cells of what is packed from the pack ----
rm people/table.csv
mkdir late && mv people/A/4 people/B/7 late
"$PULMO" pack people grown --size 32 --set 'pack.keep=[PatientAge]' -q
mv late/4 people/A && mv late/7 people/B
"$PULMO" pack people grown --size 32 --set 'pack.keep=[PatientAge]' --update -q 2> update.txt || { cat update.txt; fail "update"; }
"$PULMO" pack people whole --size 32 --set 'pack.keep=[PatientAge]' -q
[ "$(shown grown)" = "$(shown whole)" ] || { shown grown; shown whole; fail "an update gives other patients or cells"; }
expect 0 "nothing to do" "$PULMO" pack people grown --size 32 --set 'pack.keep=[PatientAge]'

# ---- ranks, and an interrupted pack, give the same bytes ----
ranks 2 "$PULMO" pack people by-two --size 32 --set 'pack.keep=[PatientAge]' -q
for file in whole/*.h5; do cmp "$file" "by-two/$(basename "$file")" || fail "other bytes on two ranks"; done
echo "$(wc -l < odd/expected.txt) kinds, $good of them good"
