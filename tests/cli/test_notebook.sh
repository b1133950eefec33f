#!/usr/bin/env bash
# docs/notebook.md's lines, as they stand there, on a run.
source "$(dirname "$0")/common.sh"
python=''
for candidate in "${PULMO_NOTEBOOK_PYTHON:-}" python3 /usr/bin/python3; do
    [ -n "$candidate" ] && command -v "$candidate" > /dev/null && "$candidate" -c 'import h5py, pandas, matplotlib' 2> /dev/null &&
        python=$candidate && break
done
[ -n "$python" ] || { echo "skipped: no Python with h5py, pandas and matplotlib (PULMO_NOTEBOOK_PYTHON names one)"; exit 77; }
make_small
small_train runs/first env > train.txt 2>&1 || { cat train.txt; fail "train"; }
sed -n '/^```python$/,/^```$/{/^```/d;p}' "$PULMO_SOURCE/docs/notebook.md" > lines.py
[ "$(grep -c . lines.py)" -ge 15 ] || fail "the lines are gone"
MPLBACKEND=Agg "$python" -W error lines.py > out.txt || fail "the notebook's lines"
grep -q "^runs/first: finished, best epoch [1-3], AUC on test 0\.[0-9]*$" out.txt || { cat out.txt; fail "what they print"; }
[ -s run.png ] || fail "what they draw"
