#!/usr/bin/env bash
# What a run stores: every number again from the per-image scores, equal files from equal runs, thresholds and
# temperature from val alone and used everywhere, and the examples of docs/reference/files.md.
. "$(dirname "$0")/common.sh"
/usr/bin/python3 -c 'import h5py, numpy' 2>/dev/null || { echo "skipped: python3-h5py is not installed"; exit 77; }
here=$PULMO_SOURCE/tests/cli
PYTHON=/usr/bin/python3
command -v python3 > /dev/null && python3 -c 'import h5py, sklearn' 2> /dev/null && PYTHON=python3
make_small
chosen="--set eval.threshold=youden --set eval.calibration=temperature"

# ---- all is as it can be computed from the scores ----
EXTRA=$chosen small_train run ranks 1 > one.txt 2> one.err || { cat one.err; fail "training"; }
"$PYTHON" "$here/results.py" run/results.h5 || fail "a run's results"
grep -q "youden, chosen on val" one.txt || fail "the threshold is not told"
EXTRA= small_train plain ranks 1 > plain.txt 2> /dev/null
"$PYTHON" "$here/results.py" plain/results.h5 || fail "results at threshold 0.5"

# ---- equal runs, equal files ----
EXTRA=$chosen small_train again ranks 1 > again.txt 2> /dev/null
EXTRA=$chosen small_train two ranks 2 > two.txt 2> /dev/null
if command -v h5diff > /dev/null; then
    for other in again two; do
        h5diff --exclude-path /provenance run/results.h5 $other/results.h5 > diff.txt || fail "run and $other: $(cat diff.txt)"
        [ ! -s diff.txt ] || fail "h5diff is not silent: $(cat diff.txt)"
    done
    ! h5diff -q run/results.h5 plain/results.h5 || fail "h5diff finds no difference between runs that differ"
fi
"$PYTHON" "$here/same_results.py" run/results.h5 again/results.h5 two/results.h5 || fail "the same run gives other results"
! "$PYTHON" "$here/same_results.py" run/results.h5 plain/results.h5 > /dev/null || fail "no difference between runs that differ"

# ---- when, how long and by what: /provenance, metrics.json ----
"$PYTHON" - "$((SECONDS + 1))" << 'PY' || fail "times and the command"
import datetime, h5py, json, sys
for run, options in (("run", "--set eval.threshold=youden --set eval.calibration=temperature"), ("plain", "")):
    of = h5py.File(f"{run}/results.h5")["provenance"].attrs
    started, ended = (datetime.datetime.strptime(of[k], "%Y-%m-%dT%H:%M:%SZ") for k in ("started", "ended"))
    assert abs((datetime.datetime.utcnow() - ended).total_seconds()) < 900, "ended"
    assert abs((ended - started).total_seconds() - of["wall_seconds"]) <= 1.1, "wall time is not from start to end"
    assert 0 < of["wall_seconds"] < float(sys.argv[1]) and of["sessions"] == 1
    command = of["command"]
    assert f" train --set data.path=packed --set train.run_dir={run} " in command and command.endswith("model.hidden=[12]' --set train.patience=0" + (" " + options if options else "")) or print(command)
    assert "'model.hidden=[12]'" in command, command
    assert len(of["libraries"]) == 3 and of["libraries"][1].startswith("HDF5 ") and of["commit"] and of["host"]
    told = json.load(open(f"{run}/metrics.json"))["provenance"]
    for key in ("started", "ended", "wall_seconds", "sessions", "command", "commit", "host", "ranks"):
        assert told[key] == of[key], key
PY

# ---- inspect answers in five lines, and has the rest ----
"$PULMO" inspect run > five.txt || fail "inspect of a run"
[ "$(wc -l < five.txt)" = 5 ] || { cat five.txt; fail "not five lines"; }
grep -qE "^run: finished, 3 epochs, the best is [123]; ended 20..-..-..T..:..:..Z after [0-9]+ (s|min)$" five.txt || { cat five.txt; fail "the state"; }
grep -qF "26 train (21 patients), 11 val (10 patients), 9 test (9 patients); NORMAL, PNEUMONIA; DEMO" five.txt || { cat five.txt; fail "the images"; }
grep -qF "$(sed -n 's/^Head SHA-256: //p' one.txt)" five.txt || { cat five.txt; fail "the head"; }
[ "$(sed -n 's/^  test *accuracy \([0-9.]*\) .*/\1/p' five.txt)" = "$(sed -n 's/^Test accuracy: \([0-9.]*\) .*/\1/p' one.txt)" ] || { cat five.txt; fail "the result"; }
"$PULMO" inspect run --all > all.txt && "$PULMO" inspect run/results.h5 | cmp - all.txt || fail "inspect --all"
"$PULMO" inspect packed | grep -q "^packed: a packed data set$" || fail "inspect of a packed data set"
expect 74 "demo: holds neither results.h5 nor manifest.h5" "$PULMO" inspect demo

# ---- the threshold and the temperature travel with the model ----
"$PULMO" evaluate run --data packed --out scored > scored.txt 2> /dev/null || fail "evaluate --out"
"$PYTHON" "$here/results.py" scored/results.h5 || fail "results of evaluate"
for line in "^Test accuracy" "^Positive class"; do
    [ "$(grep "$line" one.txt)" = "$(grep "$line" scored.txt)" ] || fail "evaluate and train differ in: $line"
done
grep -v '^val,' run/predictions.csv | cmp - scored/predictions.csv || fail "evaluate and train predict differently"
"$PULMO" predict run demo/test 2> /dev/null | tail -n +2 | sed 's,^demo/,,' | cut -d, -f1,2 | sort > predicted.txt
tail -n +2 scored/predictions.csv | cut -d, -f2,5 | sort | cmp - predicted.txt || fail "predict does not use the threshold"

# ---- the test split changes nothing of the model ----
cp -r demo swapped && mv swapped/test/NORMAL swapped/other && mv swapped/test/PNEUMONIA swapped/test/NORMAL && mv swapped/other swapped/test/PNEUMONIA
mv packed kept && "$PULMO" pack swapped packed --size 64 -q
EXTRA=$chosen small_train swapped-run ranks 1 > swapped.txt 2> /dev/null
[ "$(grep '^Positive class\|^Head' swapped.txt)" = "$(grep '^Positive class\|^Head' one.txt)" ] || fail "test images had a say in the model"
[ "$(grep '^Test accuracy' swapped.txt)" != "$(grep '^Test accuracy' one.txt)" ] || fail "other labels, the same accuracy"

# ---- no val split: nothing to choose on, and no falling back on test ----
mv packed swapped-packed && cp -r demo noval && rm -r noval/val && "$PULMO" pack noval packed --size 64 -q
EXTRA="--set eval.threshold=youden" expect 2 "needs a val split" small_train bare env
EXTRA="--set eval.calibration=temperature" expect 2 "needs a val split" small_train bare env
EXTRA="--set eval.calibration=platt" expect 2 "eval.calibration" small_train bare env

# ---- three classes ----
rm -r packed && cp -r demo three
for split in train val test; do
    mkdir "three/$split/VIRUS" && mv "three/$split"/PNEUMONIA/*virus* "three/$split/VIRUS/"
done
"$PULMO" pack three packed --size 64 -q
EXTRA="--set eval.calibration=temperature" small_train threes ranks 2 > three.txt 2> three.err || { cat three.err; fail "three classes"; }
"$PYTHON" "$here/results.py" threes/results.h5 || fail "results of three classes"
"$PULMO" predict threes demo/test -q > three.csv || fail "predict, three classes: status $?"
expect 2 "thresholds are for two classes; the model has 3" "$PULMO" predict threes demo/test --set eval.threshold=0.9
grep -q "One against the rest" three.txt || fail "no figures one against the rest"
grep -Eq "VIRUS  sensitivity 0\.[0-9]{4} \(.*specificity .*AUC 0\.[0-9]{4} \(" three.txt || fail "no intervals of a class against the rest"

# ---- the examples of docs/reference/files.md ----
rm -r packed && mv kept packed
"$PYTHON" - "$PULMO_SOURCE/docs/reference/files.md" <<'EOF' || fail "an example of docs/reference/files.md"
import re, sys
pieces = re.findall(r"^```python\n(.*?)^```$", open(sys.argv[1]).read(), re.S | re.M)
assert len(pieces) >= 8, "the examples are gone"
names = {}
for piece in pieces:
    exec(compile(piece, "docs/reference/files.md", "exec"), names)
print(len(pieces), "examples ran")
EOF
echo "results hold what can be computed from them"
