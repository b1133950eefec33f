#!/usr/bin/env bash
# Names that stay at home: with pseudonyms no patient's name and no path stands in any file that pulmo writes, whole or in
# pieces, in packs, runs, reports and overlays; people see the names, and who has the key gets them back.
. "$(dirname "$0")/common.sh"
command -v h5dump > /dev/null || { echo "h5dump is not installed"; exit 77; }
command -v python3 > /dev/null || { echo "python3 is not installed"; exit 77; }
key=$XDG_CONFIG_HOME/pulmo/pseudonyms.key
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors

# ---- a hospital's folders: every name has a word that stands nowhere else ----
# Patients Quaxel01 ...; films Brimfo01 ...; CLASS/Quaxel01/Brimfo01.jpeg
"$PULMO" demo-data demo --train 60 --val 0 --test 0 --seed 5 -q
i=0
for class in NORMAL PNEUMONIA; do
    for file in demo/train/$class/*; do
        i=$((i + 1))
        to=source/$class/$(printf 'Quaxel%02d' $((i / 2 + (i > 30 ? 50 : 0))))
        mkdir -p "$to" && cp "$file" "$to/$(printf 'Brimfo%02d' $i).jpeg"
    done
done
mkdir source/NORMAL/Quaxel91 source/PNEUMONIA/Quaxel92
cp source/NORMAL/Quaxel05/Brimfo10.jpeg source/NORMAL/Quaxel91/Brimfo91.jpeg # a copy: the audit names both
head -c 900 source/NORMAL/Quaxel05/Brimfo10.jpeg > source/PNEUMONIA/Quaxel92/Brimfo92.jpeg # refused
echo "no image" > source/PNEUMONIA/Quaxel92/Brimfo93.Brimfo
touch -d 2001-02-03 source/NORMAL/*/*
words='Quaxel|Brimfo'
hidden() { # DIRECTORY...: neither bytes, nor h5dump, nor names of files have a word of them
    local file
    ! find "$@" | grep -E "$words" || fail "a file's name"
    ! grep -raliE "$words" "$@" || fail "a name in a file's bytes"
    find "$@" -name '*.h5*' > h5.txt
    while read -r file; do
        h5dump "$file" > dump.txt 2> /dev/null || fail "h5dump of $file"
        ! grep -iE "$words" dump.txt | head -3 | grep . || fail "a name in $file"
    done < h5.txt
}
options="--size 64 --val-fraction 0.2 --test-fraction 0.2 --set pack.group_pattern=/(Quaxel[0-9]+)/ --set pack.exclude_pattern=Brimfo60"
on="$options --set pack.pseudonyms=on"
pack() { "$PULMO" pack source "$1" $on "${@:2}"; }

# ---- as it is: the words are found where they are not hidden, so that the search can fail ----
"$PULMO" pack source plain $options -q 2> plain.err
(hidden plain) > hidden.txt 2>&1 && fail "the search finds nothing"
[ ! -e settings ] || fail "a key without need"

# ---- hidden; the terminal shows names ----
umask 022
expect 0 "packed 60 images" pack packed
cp out.txt packed.txt
grep -q "$key: made, the key of pseudonyms" packed.txt || fail "the key is not told of"
grep -qF "refused: PNEUMONIA/Quaxel92/Brimfo92.jpeg: " packed.txt || { cat packed.txt; fail "the refused file's name"; }
grep -qF "refused: PNEUMONIA/Quaxel92/Brimfo93.Brimfo: " packed.txt || fail "the ending is a part of the name"
one=NORMAL/Quaxel05/Brimfo10.jpeg other=NORMAL/Quaxel91/Brimfo91.jpeg
grep -qE "$one = $other|$other = $one" packed.txt || fail "the copy's name"
[ "$(stat -c %a "$key")" = 600 ] || fail "the key's mode"
hidden packed
[ "$(h5dump -d /audit/identical packed/manifest.h5 | grep -cE '"[0-9a-f]{32}.jpeg = [0-9a-f]{32}.jpeg"')" = 1 ] || fail "the audit's copy"
at=$(stat -c %Y source/NORMAL/Quaxel05/Brimfo10.jpeg)
grep -qa " ${at}000000000 " plain/.files || fail "times are not where they are sought"
! grep -qa "$at" packed/.files || fail "when a file was changed"
expect 0 "nothing to do" pack packed

# ---- pseudonyms by Python's hmac; the order tells nothing ----
python3 - "$key" packed plain > python.txt <<'EOF' || { cat python.txt; fail "another pseudonym than Python's"; }
import hmac, re, subprocess, sys
key = bytes.fromhex(open(sys.argv[1]).read())
def name(kind, text): return hmac.new(key, f"pulmo {kind}\0{text}".encode(), "sha256").hexdigest()[:32]
def column(pack, split, what):
    out = subprocess.run(["h5dump", "-y", "-d", f"/splits/{split}/{what}", f"{pack}/manifest.h5"], capture_output=True, text=True, check=True).stdout
    return [t.replace("\\000", "") for t in re.findall(r'"([^"]*)"', out.split("DATA {", 1)[1])]
both = {}
for pack in sys.argv[2:]:
    both[pack] = [pair for s in ("train", "val", "test") for pair in zip(column(pack, s, "paths"), column(pack, s, "groups"))]
wanted = {(name("path", p) + ".jpeg", name("patient", g)) for p, g in both["plain"]}
assert len(wanted) == 60 and wanted == set(both["packed"]), (wanted, both["packed"])
for split in ("train", "val", "test"):
    paths = column("packed", split, "paths")
    normal = sum(1 for _ in paths)
    falls = [i for i in range(1, normal) if paths[i] < paths[i - 1]]
    assert len(falls) <= 1, "within a class, in the order of pseudonyms"
EOF

# ---- the same key, the same bytes, on any number of ranks; another key, no name in common ----
ranks 3 "$PULMO" pack source again $on -q 2> again.err || { cat again.err; fail "three ranks"; }
diff -r packed again || fail "the same key and input, other bytes"
pack other --set pack.key_file=other.key -q 2> other.err
hidden other
names_of() { h5dump -y -d /splits/train/paths "$1/manifest.h5" | grep -oE '[0-9a-f]{32}' | sort; }
[ "$(names_of packed | wc -l)" -gt 20 ] && [ -z "$(comm -12 <(names_of packed) <(names_of other))" ] || fail "two keys, one name"

# ---- patients of another source under the same key are known again ----
mkdir -p second/A/Quaxel03 second/B/Quaxel99
cp source/NORMAL/Quaxel05/*.jpeg second/A/Quaxel03 && cp source/PNEUMONIA/Quaxel80/*.jpeg second/B/Quaxel99
"$PULMO" pack second overlap --size 64 --set 'pack.group_pattern=/(Quaxel[0-9]+)/' --set pack.pseudonyms=on -q 2> second.err
groups_of() { for s in train val test; do h5dump -y -d "/splits/$s/groups" "$1/manifest.h5" 2> /dev/null; done | grep -oE '[0-9a-f]{32}' | sort -u; }
[ "$(comm -12 <(groups_of packed) <(groups_of overlap) | wc -l)" = 1 ] || fail "the overlap of two packs"

# ---- who is who ----
who() { "$PULMO" pack --who source packed $options "$@"; }
who > who.csv 2> who.err || { cat who.err; fail "--who"; }
[ "$(head -1 who.csv)" = "pseudonym,path,patient_pseudonym,patient" ] || fail "--who's head"
[ "$(wc -l < who.csv)" = 63 ] || fail "--who: 60 packed, 2 refused"
awk -F, 'NR > 1 && $3 != "" { split($2, at, "/"); if (at[2] != $4) exit 1 }' who.csv || fail "--who: another patient"
comm -3 <(tail -n +2 who.csv | cut -d, -f2 | sort) <(find source -type f -printf '%P\n' | grep -v Brimfo60 | sort) > differ.txt
[ ! -s differ.txt ] || { cat differ.txt; fail "--who: other files"; }
expect 2 "there is no key of pseudonyms" who --set pack.key_file=none.key
[ ! -e none.key ] || fail "--who makes a key"
expect 2 "is the key" who --set pack.key_file=other.key
expect 2 "has no pseudonyms" "$PULMO" pack --who source plain $options
"$PULMO" pack --who source packed > short.csv 2> short.err || fail "--who without the options"
grep -q "give the options of the pack" short.err || fail "--who: patients that are not told"

# ---- --verify --source and --update, by the key ----
expect 0 "and their source files are what was packed" "$PULMO" pack --verify packed --source source
expect 0 "are what was packed" "$PULMO" pack --verify packed --set pack.key_file=none.key
expect 2 "there is no key of pseudonyms" "$PULMO" pack --verify packed --source source --set pack.key_file=none.key
cp -rp source changed && echo >> changed/NORMAL/Quaxel07/Brimfo15.jpeg
expect 65 "changed/NORMAL/Quaxel07/Brimfo15.jpeg: has changed" "$PULMO" pack --verify packed --source changed
cp -r packed grown
mkdir source/NORMAL/Quaxel95 && cp demo/train/NORMAL/$(ls demo/train/NORMAL | head -1) source/NORMAL/Quaxel95/Brimfo95.jpeg
sed -i '1{s/^/x/;s/^x//}' source/NORMAL/Quaxel95/Brimfo95.jpeg && printf x >> source/NORMAL/Quaxel95/Brimfo95.jpeg
expect 2 "--update keeps the key" "$PULMO" pack source grown $on --update --set pack.key_file=other.key
expect 2 "there is no key of pseudonyms" "$PULMO" pack source grown $on --update --set pack.key_file=none.key
expect 2 "pack.pseudonyms: off, not on" "$PULMO" pack source grown $options --update
expect 0 "1 file is new" pack grown --update
hidden grown
"$PULMO" pack --who source grown $options > who.csv 2> /dev/null
grep -q ",NORMAL/Quaxel95/Brimfo95.jpeg," who.csv || fail "--who of an update"
rm -r source/NORMAL/Quaxel95

# ---- files that went or changed, by name where it can be known: a name goes with its file ----
expect 65 "the first: NORMAL/Quaxel07/Brimfo15.jpeg: has another size" "$PULMO" pack changed packed $on --update
rm changed/NORMAL/Quaxel07/Brimfo15.jpeg
expect 65 "the first: no file of patient Quaxel07 there was packed as " "$PULMO" pack changed packed $on --update
expect 65 "changed: no file there was packed as " "$PULMO" pack --verify packed --source changed
rm -r changed/NORMAL/Quaxel07
expect 65 "no file of patient " "$PULMO" pack changed packed $on --update

# ---- what leaks, and what is half done, hides names too ----
mkdir -p given && cp -r source given/train && mkdir -p given/test/NORMAL given/test/PNEUMONIA
cp -r source/NORMAL/Quaxel05 given/test/NORMAL && cp -r source/PNEUMONIA/Quaxel80 given/test/PNEUMONIA
leaking="--size 64 --set pack.group_pattern=/(Quaxel[0-9]+)/ --set pack.pseudonyms=on"
expect 65 "patient Quaxel05: " "$PULMO" pack given leaking $leaking
grep -q "NORMAL/Quaxel05/Brimfo10.jpeg" out.txt || fail "a leak's names"
[ -s leaking/leaks.txt ] && ls leaking/.pack/part-* > /dev/null || fail "nothing is left to look into"
hidden leaking
"$PULMO" pack given leaking $leaking --drop-leaks -q 2> drop.err && hidden leaking || fail "--drop-leaks"

# ---- tables: rows and files by name stay out, kept columns go in with a word ----
{ echo "file,sort,who,Patient Name,Age"; n=0; find source -name '*.jpeg' -printf '%f\n' | sort | while read -r f; do
    n=$((n + 1)); echo "$f,$([ $((n % 2)) = 0 ] && echo A || echo B),Quaxelt$n,Quaxeln$n,$((20 + n))"; done
  echo "Brimfo777.jpeg,A,Quaxel777,Quaxel777,50"; } > table.csv
by_table="--set pack.table=$WORK/table.csv --set pack.table_path=file --set pack.table_label=sort --set pack.table_patient=who"
expect 0 ": Brimfo777.jpeg" "$PULMO" pack source tabled --size 64 $by_table --set pack.keep=Age --set pack.pseudonyms=on
grep -q "looks like" out.txt && fail "a warning without need"
hidden tabled
expect 0 "pack.keep: Patient Name looks like" "$PULMO" pack source named --size 64 $by_table --set 'pack.keep=[Age, Patient Name]' --set pack.pseudonyms=on
h5dump named/manifest.h5 > dump.txt
grep -q Quaxeln3 dump.txt || fail "what the user keeps is not kept"

# ---- a run, its reports, overlays: looked through whole ----
train="--set train.epochs=2 --set train.batch=8 --set train.microbatch=2 --set model.hidden=[12] --set train.patience=0"
"$PULMO" train --set data.path=packed --set train.run_dir=run $train > train.txt 2> train.err || { cat train.err; fail "train"; }
[ -s run/report.html ] && [ -s run/predictions.csv ] && [ -s run/model.h5 ] || fail "no run"
"$PULMO" evaluate run --data packed --out scored > evaluate.txt 2>&1 || { cat evaluate.txt; fail "evaluate"; }
"$PULMO" preview packed --out run/preview.png -q || fail "preview"
films=$(find source/NORMAL/Quaxel05 source/PNEUMONIA/Quaxel80 -type f | sort)
"$PULMO" explain run $films --out seen > explain.csv 2> explain.err || { cat explain.err; fail "explain"; }
"$PULMO" predict run $films > predict.csv 2> predict.err || fail "predict"
"$PULMO" report run --share > share.txt 2>&1 || { cat share.txt; fail "report --share"; }
hidden run scored seen
for file in run/report.html run/predictions.csv; do grep -qE '[0-9a-f]{32}[.]jpeg' $file || fail "$file: no pseudonyms"; done
grep -q "^source/NORMAL/Quaxel05/Brimfo10.jpeg,.*,seen/image-0001.png$" explain.csv || { cat explain.csv; fail "which overlay is whose"; }
[ "$(find seen -name 'image-*.png' | wc -l)" = "$(wc -w <<< "$films")" ] || fail "overlays"
grep -q "^source/NORMAL/Quaxel05/Brimfo10.jpeg," predict.csv || fail "predict names what it was given"

# ---- a page to give away, of a run whose names are as they are: no path, picture or place ----
"$PULMO" train --set data.path=plain --set train.run_dir=open $train > open.txt 2>&1 || fail "train"
(hidden open) > hidden.txt 2>&1 && fail "the search finds nothing in a run"
grep -q Brimfo91 open/report.html || fail "the report does not name the audit's copy"
cp open/MODEL_CARD.md card.md
expect 0 "Report: open/share.html" "$PULMO" report open --share
! grep -qE "$words|<img|$WORK|$(hostname)" open/share.html || fail "share.html names files or shows images"
grep -q "1 identical picture<" open/share.html && grep -q "2 files were not packed" open/share.html || fail "share.html has no counts"
cmp card.md open/MODEL_CARD.md || fail "--share writes another file"
"$PULMO" explain open source/NORMAL/Quaxel05/Brimfo10.jpeg --out kept > /dev/null 2>&1 && [ -s kept/Brimfo10.png ] || fail "names as they are"

# ---- keys that are open to others, or would travel ----
chmod 640 "$key"
expect 2 "has mode 0640" pack packed
expect 2 "has mode 0640" who
expect 2 "has mode 0640" "$PULMO" pack --verify packed --source source
chmod 600 "$key"
expect 2 "would travel" pack inside --set pack.key_file=inside/pseudonyms.key
expect 2 "would travel" pack inside --set pack.key_file=source/NORMAL/pseudonyms.key
[ ! -e inside ] && [ ! -e source/NORMAL/pseudonyms.key ] || fail "a key where it must not be"
echo hello > bad.key && chmod 600 bad.key
expect 2 "is no key of pseudonyms" pack inside --set pack.key_file=bad.key

# ---- auto: on where one file is DICOM by its first bytes, whatever it is called ----
grep -q "pseudonyms" plain.err && fail "pseudonyms of JPEGs"
mkdir -p clinic/A clinic/B && cp demo/train/NORMAL/* clinic/A && cp demo/train/PNEUMONIA/* clinic/B
head -c 128 /dev/zero > clinic/B/IM000001 && printf 'DICM and no more' >> clinic/B/IM000001
"$PULMO" pack clinic clinical --size 64 -q 2> clinic.err || { cat clinic.err; fail "auto"; }
h5dump -a /pseudonyms clinical/manifest.h5 > /dev/null 2>&1 || fail "auto: names of DICOM are as they are"
! grep -qa 'IM-0\|IM000001\|person' clinical/* clinical/.files || fail "auto: a name"
"$PULMO" pack clinic public --size 64 --set pack.pseudonyms=off -q 2> off.err
! h5dump -a /pseudonyms public/manifest.h5 > /dev/null 2>&1 || fail "off"
expect 2 "pack.key_file: other.key: names no key that is used" "$PULMO" pack source clear $options --set pack.key_file=other.key
[ ! -e clear ] || fail "names in the clear beside a key"
"$PULMO" pack clinic keyed --size 64 --set pack.key_file=other.key -q 2> keyed.err || { cat keyed.err; fail "auto with a key"; }

# ---- patients of DICOM headers: in no file either, and in no work that was begun ----
if "$PULMO" --version | grep -q '^DICOM: not built in$' || ! /usr/bin/python3 -c 'import PIL, numpy' 2> /dev/null; then
    echo "headers of DICOM files are left out: no DCMTK, or no python3-pil and python3-numpy"
    exit 0
fi
films() { # DIRECTORY FIRST LAST: a film each in A or B, two of each patient
    mkdir -p "$1/A" "$1/B"
    /usr/bin/python3 - "$@" "$PULMO_SOURCE/tests/tools" <<'EOF'
import random, sys
sys.path.insert(0, sys.argv[4])
import dicoms
for i in range(int(sys.argv[2]), int(sys.argv[3]) + 1):
    values = dicoms.film(random.Random(100 + i), 0, 4095)
    extra = [(0x00100010, "PN", f"QUAXEL^{i}"), (0x00100040, "CS", "F")]
    dicoms.save(f"{sys.argv[1]}/{'AB'[i % 4 // 2]}/Brimfo{i}.dcm",
                dicoms.dicom(values, dicoms.ROWS, dicoms.COLUMNS, patient=f"Quaxel-{i // 2}", extra=extra))
EOF
}
films wards 2 13
"$PULMO" pack wards warded --size 32 --val-fraction 0.3 --set 'pack.keep=[PatientSex]' -q 2> warded.err || { cat warded.err; fail "DICOM"; }
grep -q "looks like" warded.err && fail "a warning without need"
hidden warded
"$PULMO" pack --who wards warded > who.csv 2> who.err || { cat who.err; fail "--who of DICOM"; }
[ ! -s who.err ] && [ "$(wc -l < who.csv)" = 13 ] || { cat who.err who.csv; fail "--who of DICOM: not all"; }
for i in 2 3 12 13; do grep -qE "^[0-9a-f]{32}.dcm,[AB]/Brimfo$i.dcm,[0-9a-f]{32},Quaxel-$((i / 2))$" who.csv || { cat who.csv; fail "--who: film $i"; }; done
films wards 14 17
expect 0 "4 files are new" "$PULMO" pack wards warded --size 32 --val-fraction 0.3 --set 'pack.keep=[PatientSex]' --update
hidden warded
expect 0 "and their source files are what was packed" "$PULMO" pack --verify warded --source wards
films split/train 2 9 && films split/test 8 13
expect 65 "between splits would make scores on val and test too good" "$PULMO" pack split leaky --size 32
# A patient that a header tells is named as well, and what is no name stays.
grep -q "patient Quaxel-4: " out.txt || { cat out.txt; fail "a leak's PatientID"; }
ranks 3 "$PULMO" pack split three --size 32 > out.txt 2>&1 && fail "three ranks pack what leaks"
grep -q "patient Quaxel-4: " out.txt && ! grep -qE "[0-9a-f]{32}" out.txt || { cat out.txt; fail "a leak's PatientID on three ranks"; }
ls leaky/.pack/part-* > /dev/null && hidden leaky
