#!/usr/bin/env bash
# A pack that is made anew while a run reads it: the run ends with an error, or with results of what it was trained on, and
# says so; never with other images behind the old names.
. "$(dirname "$0")/common.sh"
make_small
cp -r packed first
"$PULMO" demo-data drawn --train 26 --val 11 --test 9 --seed 8 -q
cp -r demo other
for split in train val test; do # the same names and labels, other pictures
    paste -d '\n' <(find "other/$split" -name '*.jpeg' | sort) <(find "drawn/$split" -name '*.jpeg' | sort) |
        while read -r to && read -r from; do cp "$from" "$to"; done
done

# pack_under RUN OPTIONS...: trains, is held up in its second epoch while the pack is made anew, and goes on. Sets `status`.
pack_under() {
    local run=$1 pid
    rm -rf packed && cp -r first packed
    "$PULMO" train --set data.path=packed --set train.run_dir="$run" --set train.epochs=60 --set train.batch=8 --set train.microbatch=2 \
        --set model.hidden='[12]' --set train.patience=0 "${@:2}" > "$run.txt" 2> "$run.err" &
    pid=$!
    for _ in $(seq 1000); do grep -q "^Epoch 2" "$run.err" && break; sleep 0.01; done
    kill -STOP "$pid"
    "$PULMO" pack other packed --size 64 --overwrite -q
    kill -CONT "$pid"
    status=0
    wait "$pid" || status=$?
}

# The test shard is opened at the end alone.
pack_under fresh
[ "$status" = 65 ] || { cat fresh.err; fail "status $status, not 65: images of another pack were scored"; }
grep -q "packed/test-00000-of-00001.h5: is another file than when this program began" fresh.err || { cat fresh.err; fail "the file is not named"; }
expect 2 "made with another data set" "$PULMO" train -c fresh/config.yaml

# From a bank no image is read; what the results say of the data is not the new pack's.
bank=(--set train.features=bank --set bank.views=1 --set bank.path=bank)
"$PULMO" train --set data.path=first --set train.run_dir=before --set train.epochs=1 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden='[12]' --set train.patience=0 "${bank[@]}" > /dev/null 2>&1
"$PULMO" inspect before/results.h5 | grep -q pixels_sha256 || fail "results do not hold the digests of their data"
pack_under banked "${bank[@]}"
[ "$status" = 0 ] || { cat banked.err; fail "status $status"; }
grep -q "packed: was packed anew since this program began" banked.err || { cat banked.err; fail "no word on the new pack"; }
grep -q "no shortcut audit: .*is another file than when this program began" banked.err || { cat banked.err; fail "no word on the audit"; }
! "$PULMO" inspect banked/results.h5 | grep -q pixels_sha256 || fail "results describe a pack that they are not of"
echo "a pack that changes under a run is told"
