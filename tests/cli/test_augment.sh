#!/usr/bin/env bash
# Augmentation does what torchvision does with the same parameters, and draws as it draws. Needs a Python with torch, torchvision
# and Pillow: $PULMO_PYTHON or python3.
. "$(dirname "$0")/common.sh"
python=${PULMO_PYTHON:-python3}
if ! "$python" -c 'import numpy, torch, torchvision, PIL' 2> missing.txt; then
    echo "SKIPPED: $python: $(tail -1 missing.txt); PULMO_PYTHON may name another"
    exit 77
fi
"$PULMO" demo-data demo --train 4 --val 0 --test 0 --seed 5 -q
"$python" "$PULMO_SOURCE/bench/augment.py" demo --tool "$TOOLS/augment_images" --images 4 --draws 4000 > out.txt 2>&1 || { cat out.txt; fail "other than torchvision"; }
tail -1 out.txt
