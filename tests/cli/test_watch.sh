#!/usr/bin/env bash
# events.jsonl: what a run tells programs, and pulmo watch, which tells people.
source "$(dirname "$0")/common.sh"
make_small
events() { python3 - "$@" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1] + "/events.jsonl")]
print(*[line["event"] for line in lines if line["event"] in sys.argv[2].split(",")])
PY
}

small_train run ranks 2 > log.txt 2>&1 || fail "train"
[ "$(events run start,epoch,end)" = "start epoch epoch epoch end" ] || fail "events: $(events run start,epoch,end)"
python3 - <<'PY' || fail "epochs are not those of history.csv"
import csv, json
epochs = [e for e in map(json.loads, open("run/events.jsonl")) if e["event"] == "epoch"]
rows = list(csv.DictReader(open("run/history.csv")))
assert len(rows) == len(epochs) == 3
for row, event in zip(rows, epochs):
    for name in ("train_loss", "val_loss", "val_accuracy", "val_auc"):
        assert abs(float(row[name]) - event[name]) < 1e-6, name
PY
"$PULMO" watch run > watched.txt
grep -q "^run: finished" watched.txt && grep -q "epoch 3 of at most 3" watched.txt || { cat watched.txt; fail "watch"; }

# ---- stopped and resumed: one run; what a kill cut short spoils nothing ----
EXTRA="--set train.time_limit_seconds=0.001" expect 75 "stopped" small_train cut env
"$PULMO" watch cut | grep -q "interrupted after a checkpoint" || fail "an interruption is not said"
printf '{"event":"batch","ep' >> cut/events.jsonl
small_train cut env > /dev/null 2>&1
grep -v '"ep$' cut/events.jsonl > whole && mv whole cut/events.jsonl
[ "$(events cut start,epoch,end)" = "start end start epoch epoch epoch end" ] || fail "events: $(events cut start,epoch,end)"
"$PULMO" watch cut | grep -q "^  val accuracy .*best" || fail "no curve"

# ---- begun anew: the curve, too ----
"$PULMO" train --overwrite --set data.path=packed --set train.run_dir=cut --set train.epochs=1 --set train.batch=8 \
    --set model.hidden='[12]' > /dev/null 2>&1
"$PULMO" watch cut | grep -q "epoch 1 of at most 1" || fail "the run before is still shown"

# ---- the failure at the end; where events cannot be written the run goes on ----
EXTRA="--set model.trainable=all --set optim.name=sgd --set optim.lr=1000 --set optim.trunk_lr_scale=1000" \
    expect 1 "not finite" small_train blown env
"$PULMO" watch blown > watched.txt
grep -q "ended with status 1" watched.txt && grep -q "not finite" watched.txt || { cat watched.txt; fail "the reason is not said"; }
mkdir -p barred/events.jsonl
small_train barred env > barred.txt 2>&1 || fail "a run failed for its events"
grep -q "the run goes on without events" barred.txt || fail "missing events are not said"

# ---- damaged lines: no figure that no run has, and nothing that a terminal obeys ----
cp -r run damaged
printf '\n\0\0{"event":\n[1]\n"x"\n{"event":5}\n{"event":"epoch","epoch":"x"}\n{"event":"epoch","epoch":-1e300,"best":1e300}\n' >> damaged/events.jsonl
head -c 300 /dev/urandom >> damaged/events.jsonl
"$PULMO" watch damaged | diff - <("$PULMO" watch run | sed '1s/^run/damaged/') || fail "damaged lines are not passed over"
printf '{"event":"start","time":"a\\u001b[31m","monitor":"b\\u001b[32m","epochs":1e300}\n{"event":"epoch","epoch":1,"monitored":0.5,"best":1e300}
{"event":"end","time":"c\\u001b[2J","status":1,"reason":"d\\u001b[33m"}\n' > damaged/events.jsonl
"$PULMO" watch damaged > watched.txt
for letter in a b c d; do grep -q "$letter"'\\x1b\[' watched.txt || { cat -v watched.txt; fail "an escape sequence reaches the terminal ($letter)"; }; done
! grep -qE '[0-9]{13}' watched.txt || { cat -v watched.txt; fail "a figure that no run has"; }

# ---- no run ----
mkdir empty && : > empty/events.jsonl
expect 65 "tells of no start of a run" "$PULMO" watch empty
expect 74 "give the directory of a run" "$PULMO" watch nowhere
expect 2 "a run directory is needed" "$PULMO" watch
