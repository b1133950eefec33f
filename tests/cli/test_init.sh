#!/usr/bin/env bash
# train.init: a run that starts at what another has trained.
source "$(dirname "$0")/common.sh"
make_small
train() { local run=$1; shift; small_train "$run" env "$@" > "$run.log" 2>&1 || { cat "$run.log" >&2; fail "$run"; }; }
loss_of() { sed -n "$2p" "$1/history.csv" | cut -d, -f"$(head -1 "$1/history.csv" | tr , '\n' | grep -nx train_loss | cut -d: -f1)"; }

# ---- a head, then the blocks above it ----
EXTRA="--set model.pool=avg --set optim.lr=0.003" train head
EXTRA="--set model.pool=avg --set model.trainable=block5 --set train.init=head" train blocks
grep -q "starting from what head trained" blocks.log || fail "the log does not say where training starts"
! grep -q "other packed data" blocks.log || fail "the same data was called other"
EXTRA="--set model.pool=avg --set model.trainable=block5" train fresh
awk -v a="$(loss_of blocks 2)" -v b="$(loss_of fresh 2)" 'BEGIN { exit !(a < b) }' || fail "the first epoch is no better than from a new head"
[ "$("$PULMO" inspect blocks/results.h5 --all | sed -n 's/.*init_sha256[ :=]*"*\([0-9a-f]*\).*/\1/p')" = "$(head_of head.log)" ] ||
    fail "results.h5 does not have the start's digest"

# ---- a start that is trained no further gives itself: the rate is next to nothing ----
EXTRA="--set model.pool=avg --set model.trainable=block5 --set train.init=blocks --set optim.lr=1e-30 --set optim.name=sgd --set train.epochs=1" train same
"$PULMO" predict blocks demo/test -q > blocks.csv
"$PULMO" predict same demo/test -q > same.csv
cut -d, -f2- blocks.csv > a; cut -d, -f2- same.csv > b
cmp -s a b || fail "what was taken up is not what blocks had trained"

# ---- any number of ranks, killed and resumed: the same ----
EXTRA="--set model.pool=avg --set model.trainable=block5 --set train.init=head" small_train three ranks 3 > three.log 2>&1
[ "$(head_of three.log)" = "$(head_of blocks.log)" ] || fail "three ranks give another model"
EXTRA="--set model.pool=avg --set model.trainable=block5 --set train.init=head --set train.time_limit_seconds=0.001" \
    expect 75 "stopped" small_train cut env
EXTRA="--set model.pool=avg --set model.trainable=block5" expect 2 "was made with a run as train.init" small_train cut env
EXTRA="--set model.pool=avg --set model.trainable=block5 --set train.init=head" train cut
[ "$(head_of cut.log)" = "$(head_of blocks.log)" ] || fail "a resumed run gives another model"
"$PULMO" reproduce blocks -q > reproduced.txt 2>&1 || { cat reproduced.txt >&2; fail "it is not reproduced"; }

# ---- what does not fit ----
EXTRA="--set train.init=head --set model.pool=max" expect 2 "its head has another shape; set model.pool" small_train none env
EXTRA="--set train.init=blocks --set model.pool=avg" expect 2 "it trained convolutions that would be frozen here; set model.trainable" small_train none env
EXTRA="--set train.init=nowhere" expect 74 "nowhere" small_train none env

# ---- another data set: said, since its test may have been seen ----
"$PULMO" demo-data another --train 26 --val 11 --test 9 --seed 4 -q
"$PULMO" pack another other --size 64 -q
EXTRA="--set model.pool=avg --set train.init=head --set data.path=other --set train.epochs=1" train elsewhere
grep -q "head was trained on other packed data" elsewhere.log || fail "another data set is not said"

# ---- a start that changed since ----
EXTRA="--set model.pool=avg --set train.seed=9" train changed
cp -r blocks kept && sed -i 's/init: .*/init: changed/' kept/config.yaml
expect 2 "train.init: changed was trained anew since" "$PULMO" reproduce kept
echo "init: other starts are said"
