#!/usr/bin/env bash
# The shortcut audit of a run: recomputed from its cues (scikit-learn's regression where it is installed), on any number
# of ranks, of two classes and three, by evaluate, on the page and in the card; loud where a frame tells the class.
. "$(dirname "$0")/common.sh"
here=$PULMO_SOURCE/tests/cli
PYTHON=/usr/bin/python3
command -v python3 > /dev/null && python3 -c 'import h5py, sklearn' 2> /dev/null && PYTHON=python3
[ -n "${PULMO_PYTHON:-}" ] && "$PULMO_PYTHON" -c 'import h5py, sklearn' 2> /dev/null && PYTHON=$PULMO_PYTHON
"$PYTHON" -c 'import h5py, numpy' 2> /dev/null || { echo "skipped: python3-h5py is not installed"; exit 77; }
recompute() { "$PYTHON" "$here/shortcuts.py" "$1" || fail "$1: the audit is another when recomputed"; }
make_small

# ---- a run, on one rank and on two ----
small_train run ranks 1 > one.txt 2> one.err || { cat one.err; fail "training"; }
recompute run/results.h5
grep -Eq "^(SHORTCUTS|Shortcut audit): .*PNEUMONIA with AUC 0\.[0-9]{4} \(" one.txt || fail "no line of the audit"
grep -q "^    among images alike in cues (.* of .* of the class have one): the model's AUC" one.txt || fail "no figure among images alike in cues"
small_train two ranks 2 > two.txt 2> /dev/null
if command -v h5diff > /dev/null; then
    h5diff run/results.h5 two/results.h5 /audit > diff.txt || fail "1 and 2 ranks: $(cat diff.txt)"
fi
"$PULMO" inspect run/results.h5 > inspect.txt
grep -q "/audit/auc  *1 x 3 float64" inspect.txt || fail "inspect does not show the audit"
grep -q "<h2>Shortcuts</h2>" run/report.html || fail "no section in the report"
grep -q "^## Shortcuts" run/MODEL_CARD.md || fail "no section in the model card"

# ---- a bit of it changed is found ----
cp -r run bent
"$PYTHON" - bent/results.h5 <<'EOF'
import sys
bytes_ = bytearray(open(sys.argv[1], "rb").read())
import h5py
with h5py.File(sys.argv[1]) as file:
    at = file["audit/mean"].id.get_offset()
bytes_[at] ^= 1
open(sys.argv[1], "wb").write(bytes_)
EOF
expect 65 "bent/results.h5" "$PULMO" report bent

# ---- evaluate: the run's cue models on another split's images ----
"$PULMO" evaluate run --data packed --out scored > scored.txt 2> /dev/null || fail "evaluate"
[ "$(grep -A1 "^  test: cues" one.txt)" = "$(grep -A1 "^  test: cues" scored.txt)" ] || fail "train and evaluate differ"
"$PYTHON" - run/results.h5 scored/results.h5 <<'EOF' || fail "evaluate stores another audit than the run"
import sys, h5py, numpy
a, b = (h5py.File(name)["audit/test"] for name in sys.argv[1:])
assert set(a) == set(b) and all(numpy.array_equal(a[name], b[name], equal_nan=True) for name in a)
EOF
ranks 2 "$PULMO" evaluate run --data packed --split val > val.txt 2> /dev/null || fail "evaluate on two ranks"
[ "$(grep -A1 "^  val: cues" one.txt)" = "$(grep -A1 "^  val: cues" val.txt)" ] || fail "evaluate of val differs"

# ---- without it ----
EXTRA="--set eval.audit=false" small_train plain env > plain.txt 2> /dev/null
! grep -qi shortcut plain.txt || fail "an audit that nobody wanted"
[ "$(head_of plain.txt)" = "$(head_of one.txt)" ] || fail "the audit has a say in the model"
! grep -q "<h2>Shortcuts" plain/report.html || fail "a section without an audit"
"$PULMO" evaluate plain --data packed > without.txt 2> without.err || fail "evaluate of a run without an audit"
grep -q "no shortcut audit: results.h5 holds none" without.err || fail "it is not said that there is none"
! grep -qi shortcut without.txt || fail "an audit out of nothing"
"$PULMO" evaluate run --data packed --set eval.audit=false 2>&1 | grep -qi shortcut && fail "evaluate audits unasked"

# ---- three classes: each against the rest ----
mv packed two-classes && cp -r demo three
for split in train val test; do
    mkdir "three/$split/VIRUS" && mv "three/$split"/PNEUMONIA/*virus* "three/$split/VIRUS/"
done
"$PULMO" pack three packed --size 64 -q
small_train threes ranks 2 > three.txt 2> three.err || { cat three.err; fail "three classes"; }
recompute threes/results.h5
grep -q "Each class against the rest, by cues" threes/report.html || fail "no table of classes"

# ---- a bright corner on every image of one class ----
"$PYTHON" -c 'import PIL' 2> /dev/null || { echo "the audit is what its cues say; a frame was not drawn: no Pillow"; exit 0; }
rm -r packed && cp -r demo marked
"$PYTHON" - marked <<'EOF'
import pathlib, sys
from PIL import Image
for path in pathlib.Path(sys.argv[1]).glob("*/PNEUMONIA/*"):
    image = Image.open(path).convert("L")
    image.paste(255, (0, 0, image.width // 8, image.height // 8))
    image.save(path, quality=95)
EOF
"$PULMO" pack marked packed --size 64 -q
small_train loud env > loud.txt 2> /dev/null
recompute loud/results.h5
grep -q "^SHORTCUTS: the way the images were made tells PNEUMONIA with AUC .*, most by " loud.txt ||
    { cat loud.txt; fail "a corner that tells the class is not found"; }
"$PYTHON" - loud/results.h5 <<'EOF' || fail "the corner alone does not tell the class"
import sys, h5py
audit = h5py.File(sys.argv[1])["audit"]
assert audit["single_auc"][0][list(audit["names"][:]).index(b"corner_top_left")] == 1
EOF
grep -q 'class="banner"><strong>The way these images were made tells PNEUMONIA with AUC' loud/report.html || fail "the report is not loud"
grep -q "made tells the classes without a look at a lung" loud/MODEL_CARD.md || fail "the card is not loud"
echo "the audit is what its cues say"
