# jobs/quickstart.sh on a small data set and network: a result the first time, the same result and
# nothing done the second, folders without splits, and what it refuses.
source "$(dirname "$0")/common.sh"
make_small
export PULMO PULMO_RUNS=$WORK/runs
quickstart() { bash "$PULMO_SOURCE/jobs/quickstart.sh" "$@"; }

# ---- the first time ----
quickstart demo > first.out 2> first.err || { cat first.err >&2; fail "quickstart ended with $?"; }
grep -q '^DEMO data' first.out || fail "the demo is not called one"
grep -Eq '^Test accuracy: [01]\.[0-9]{4} \(95 % CI ' first.out || fail "no test accuracy"
for name in results.h5 model.h5 predictions.csv history.csv; do
    grep -qF "$WORK/runs/demo/$name" first.out || fail "$name is not named at the end"
    [ -s "runs/demo/$name" ] || fail "runs/demo/$name is not there"
done

# ---- the second time ----
before=$(stat -c '%n %i %y' runs/demo/* runs/demo-packed/*)
quickstart demo > second.out 2> second.err || { cat second.err >&2; fail "the second quickstart ended with $?"; }
[ "$before" = "$(stat -c '%n %i %y' runs/demo/* runs/demo-packed/*)" ] || fail "the second quickstart touched files"
if grep -q Epoch second.err; then fail "the second quickstart trained"; fi
tail -n "$(wc -l < second.out)" first.out | cmp -s - second.out || fail "the second quickstart tells another result"

# ---- class folders alone: pulmo makes the splits ----
mkdir plain
cp -r demo/train/NORMAL demo/train/PNEUMONIA plain/
quickstart plain > plain.out 2> plain.err || { cat plain.err >&2; fail "quickstart on class folders ended with $?"; }
grep -q '^Test accuracy: ' plain.out || fail "no test split was made"
if grep -q '^DEMO data' plain.out; then fail "data without the marker are called a demo"; fi

# ---- names that tell no patient, and options for both commands ----
mkdir -p nameless/{NORMAL,PNEUMONIA}
for class in NORMAL PNEUMONIA; do
    i=0
    for file in "demo/train/$class"/*; do cp "$file" "nameless/$class/scan $((i += 1)).jpeg"; done
done
expect 65 "patients unknown" quickstart nameless
quickstart nameless -- --patients-unknown --set pack.size=64 --set train.epochs=1 --set=train.patience=0 > nameless.out 2> nameless.err \
    || { cat nameless.err >&2; fail "quickstart with options ended with $?"; }
grep -q "images of 64 x 64" nameless.err || { cat nameless.err >&2; fail "pack did not take its option"; }
[ "$(wc -l < runs/nameless/history.csv)" = 2 ] || { cat nameless.err >&2; fail "train did not take its option"; }

# ---- refusals ----
mkdir elsewhere
"$PULMO" pack plain elsewhere/demo --size 64 --val-fraction 0.3 --test-fraction 0.3 -q
expect 2 "runs/demo holds the finished run of other data" quickstart elsewhere/demo
expect 2 "nowhere: is not a directory" quickstart nowhere
expect 2 "one DATA_DIR at a time" quickstart demo plain
expect 2 "finished run of other options" quickstart plain -- --set train.epochs=2
PULMO_WEIGHTS=$WORK/none expect 65 "$WORK/none cannot be read" quickstart demo
mkdir empty
expect 65 "has no class folders" quickstart empty
echo "quickstart: all as it should be"
