#!/usr/bin/env bash
# External validation whole: odd patients train, even ones come from "another hospital", in other files and folders, with leaked
# patients of train among them. The leak is named; without it, scores are those of the direct evaluation to the last bit.
. "$(dirname "$0")/common.sh"
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL' 2> /dev/null || { echo "skipped: needs python3-pil"; exit 77; }
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data drawn --train 90 --val 0 --test 0 --seed 5 -q
EVEN='(person[0-9]*[02468]_|IM-[0-9]*[02468]-)'
"$PULMO" pack drawn/train packed --size 64 --val-fraction 0.2 --set "pack.test_pattern=$EVEN" -q 2> /dev/null
small_train run env > run.txt 2>&1 || { cat run.txt; fail train; }
"$PULMO" evaluate run --data packed --out direct -q --set eval.audit=false > direct.txt
# Even patients and the files of two odd ones, as PNGs of the same pixels.
"$PYTHON" - "$EVEN" <<'END'
import csv, os, re, sys
from PIL import Image
direct = {row["path"] for row in csv.DictReader(open("direct/predictions.csv"))}
chosen = {row["path"] for row in csv.DictReader(open("run/predictions.csv")) if row["split"] == "val"}
every = sorted(f"{kind}/{name}" for kind in os.listdir("drawn/train") for name in os.listdir(f"drawn/train/{kind}"))
train = [path for path in every if path not in direct | chosen]
patient = lambda path: re.search(r"person[0-9]+_[a-z]+|[^/]*IM-[0-9]+", path).group()
leaked = {patient(path) for path in (train[0], train[-1])}
for path in sorted(direct) + [path for path in train if patient(path) in leaked]:
    kind, name = path.split("/")
    to = {"NORMAL": "Healthy", "PNEUMONIA": "Opacity"}[kind]
    os.makedirs(f"hospital/{to}", exist_ok=True)
    Image.open(f"drawn/train/{path}").save(f"hospital/{to}/{os.path.splitext(name)[0]}.png")
    if path not in direct:
        print(os.path.splitext(name)[0], file=open("leaked.txt", "a"))
END
mv packed gone # a run needs it no more
MAP='pack.label_map=Healthy: NORMAL, Opacity: PNEUMONIA'
"$PULMO" pack hospital there --like run --set "$MAP" -q
expect 65 "images or patients that run was made of; more than 1 % is refused" "$PULMO" evaluate run --data there --out refused --set eval.audit=false
tail -n +2 refused/overlap.csv | cut -d, -f1 | sed 's/.*\///; s/\.png$//' | sort > named.txt
sort leaked.txt | cmp - named.txt || { cat named.txt leaked.txt out.txt; fail "other images are named than were leaked"; }
! tail -n +2 refused/overlap.csv | grep -v "in another file" || fail "not known by its pixels"
# Without them.
while read -r name; do rm hospital/*/"$name.png"; done < leaked.txt
"$PULMO" pack hospital clean --like run --set "$MAP" -q
expect 0 "was trained on none of the" "$PULMO" evaluate run --data clean --out clean.out --set eval.audit=false
scores() { tail -n +2 "$1" | sed -E 's/^test,[A-Za-z]*\///; s/\.(png|jpeg),/,/' | sort; }
scores direct/predictions.csv > one.txt
scores clean.out/predictions.csv | cmp - one.txt || fail "scores are others than those of the direct evaluation"
diff <(sed -n '/^Total/,/^Results/p' direct.txt | grep -v Results) <(sed -n '/^Total/,/^Results/p' out.txt | grep -v -e Results -e "was trained") ||
    fail "figures are others"
