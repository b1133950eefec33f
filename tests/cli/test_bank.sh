#!/usr/bin/env bash
# The feature bank: the head of fresh training, the same files from any ranks and after a kill, reused by runs that match and by no
# others, damage found. Values against numpy.
. "$(dirname "$0")/common.sh"
make_small
bank="--set train.features=bank --set bank.views=3"
files_of() { (cd "$1" && find . -type f | sort | xargs sha256sum); }

# One bank, one head: fresh training's, built and read by any number of ranks.
small_train fresh env > fresh.txt 2> fresh.err
wanted=$(head_of fresh.txt)
for n in 1 2 3; do
    EXTRA="$bank --set bank.path=bank$n --set train.threads=$((n % 2 + 1))" small_train "run$n" ranks "$n" > "run$n.txt" 2> "run$n.err"
    [ "$(head_of "run$n.txt")" = "$wanted" ] || fail "a bank at $n ranks gave another head than fresh training"
    cmp fresh/predictions.csv "run$n/predictions.csv"
    cmp fresh/history.csv "run$n/history.csv"
    files_of "bank$n" > "files$n"
    cmp files1 "files$n"
done
grep -q "16 of 16 shards" run1.err || { cat run1.err; fail "26 + 11 + 9 images, 3 views: 3 * 4 + 2 + 2 shards"; }

# Read by runs that match, not touched; more views add to it, other settings of the head do not matter.
find bank1 -type f -printf '%p %T@\n' | sort > times
EXTRA="$bank --set bank.path=bank1 --set optim.lr=0.01 --set model.hidden=[5]" small_train again env > again.txt 2> again.err
grep -q "bank: all there" again.err || { cat again.err; fail "the bank was not reused"; }
find bank1 -type f -printf '%p %T@\n' | sort | cmp - times
EXTRA="$bank --set bank.path=bank1 --set bank.views=2" small_train two env > two.txt 2> two.err
grep -q "all there, 2 views" two.err || fail "two of three views were not reused"
[ "$(head_of two.txt)" != "$wanted" ] || fail "the third epoch took a third view of two"

# What makes other features makes another bank.
others=$(ls -d bank1/* | wc -l)
for setting in augment.hflip=0.25 train.seed=1 bank.precision=half model.pool=avg "model.pool=avg --set model.pool_blocks=[4,5]" model.trainable=block5 eval.tta=3; do
    name=${setting##* }
    EXTRA="$bank --set bank.path=bank1 --set $setting" small_train "other-$name" env > other.txt 2> other.err
    [ "$(ls -d bank1/* | wc -l)" -gt "$others" ] || fail "$setting used the bank of another setting"
    others=$(ls -d bank1/* | wc -l)
    case $setting in
        *pool* | *trainable* | *tta*)
            EXTRA="--set $setting" small_train "fresh-$name" env > plain.txt 2> plain.err
            [ "$(head_of other.txt)" = "$(head_of plain.txt)" ] || fail "$setting: fresh and bank differ"
            cmp "fresh-$name/predictions.csv" "other-$name/predictions.csv" ;;
    esac
done
# bank.seed keeps one bank for runs of several seeds.
for seed in 1 2; do
    EXTRA="$bank --set bank.path=bank1 --set bank.seed=0 --set train.seed=$seed" small_train "seed$seed" env > "seed$seed.txt" 2> "seed$seed.err"
    grep -q "all there" "seed$seed.err" || fail "bank.seed: 0 did not share the bank of seed 0"
done
[ "$(head_of seed1.txt)" != "$(head_of seed2.txt)" ] || fail "two seeds, one head"

# Killed outright and stopped by a signal while it is built: the shards that are whole stay, and the bytes come out the same.
many="--set train.features=bank --set bank.views=400 --set train.epochs=400 --set train.patience=2 --set bank.path=stopped"
mkdir stopped
for signal in KILL TERM; do
    EXTRA=$many small_train "stopped-$signal" env > stopped.txt 2> stopped.err &
    started=$! status=0 there=$(find stopped -name '*.h5' 2> /dev/null | wc -l)
    for _ in $(seq 3000); do
        [ "$(find stopped -name '*.h5' 2> /dev/null | wc -l)" -gt $((there + 20)) ] && break
        sleep 0.02
    done
    kill "-$signal" $(pgrep -P "$started" -f "pulmo train" || echo "$started")
    wait "$started" || status=$?
    [ "$signal:$status" = KILL:137 ] || [ "$signal:$status" = TERM:75 ] || { cat stopped.err; fail "$signal: status $status"; }
    if [ "$signal" = KILL ]; then rm -f stopped/*/view00[0-2]*; fi
done
# What a killed writer leaves is removed, once it has lain for a while; what another may be writing is not.
left=$(ls -d stopped/train-*)/view999-00000-of-00001.h5.tmp
touch -d "1 hour ago" "$left.12.0123abcd" && touch "$left.12.0123abce" && touch -d "1 hour ago" "$left.of-mine"
grep -q "run the same command again" stopped.err || fail "no way on from an interrupted bank"
EXTRA="$bank --set bank.path=stopped" small_train resumed env > resumed.txt 2> resumed.err
[ ! -e "$left.12.0123abcd" ] && [ -e "$left.12.0123abce" ] && [ -e "$left.of-mine" ] || fail "$(ls "$left"*): not just the abandoned file went"
for file in $(cd bank2 && find . -name 'view00*'); do cmp "bank2/$file" "stopped/$file"; done

# Damage: a cut file is computed anew; a changed byte is found when it is read, and the file's removal is the way on.
shard=$(ls bank2/train-*/view000-00000-of-00004.h5)
cp "$shard" whole.h5
truncate -s 3000 "$shard"
EXTRA="$bank --set bank.path=bank2" small_train cut env > cut.txt 2> cut.err
grep -q "computed anew" cut.err || { cat cut.err; fail "a cut shard was not told of"; }
cmp "$shard" whole.h5
[ "$(head_of cut.txt)" = "$wanted" ] || fail "a bank mended gave another head"
printf '\x55' | dd of="$shard" bs=1 seek=$(($(stat -c %s "$shard") / 2)) conv=notrunc 2> /dev/null
cmp -s "$shard" whole.h5 && fail "nothing was damaged"
for n in 1 2; do
    rm -rf damaged
    EXTRA="$bank --set bank.path=bank2" expect 65 "are not what was written" small_train damaged ranks "$n"
done
[ "$(grep -c "^pulmo: " out.txt)" = 1 ] || { cat out.txt; fail "one error was expected"; }
rm "$shard"
EXTRA="$bank --set bank.path=bank2" small_train mended env > mended.txt 2> mended.err
[ "$(head_of mended.txt)" = "$wanted" ] || fail "a bank mended gave another head"

# Errors with a way out.
EXTRA="$bank --set model.trainable=all" expect 2 "freeze a block" small_train all env
EXTRA="$bank --set bank.path=weights.safetensors" expect 74 "bank.path" small_train nowhere env
if mkdir small && mount -t tmpfs -o size=64k none small 2> /dev/null; then
    EXTRA="$bank --set bank.path=small" expect 74 "make room" small_train full env
    umount small
else
    echo "no tmpfs may be mounted here: the full disk is not tried"
fi

# Timing of training, fresh and from a bank: one JSON object at the end, shares of the time that make sense.
for from in fresh bank; do
    "$PULMO" bench train --data packed --seconds 1 --set train.features=$from --set bank.path=bank1 --set train.batch=8 2> /dev/null | tail -1 > timed.json
    /usr/bin/python3 -c '
import json, sys
t = json.load(open("timed.json"))
shares = [t[k] for k in ("features", "head", "update", "waiting_for_data", "waiting_for_sums")]
assert t["from"] == sys.argv[1] and t["images"] >= 26 and 1 <= t["seconds"] < 60 and abs(t["images"] / t["seconds"] / t["images_per_second"] - 1) < 0.01
assert all(0 <= s <= 1 for s in shares) and 0.3 < sum(shares) <= 1.001, shares
' "$from" || { cat timed.json; fail "bench train, $from"; }
done

# For people: inspect, results, and the numbers themselves.
"$PULMO" inspect "$shard" > inspected.txt
grep -q "pulmo bank" inspected.txt && grep -q "features of a known image" "$shard" || fail "inspect"
"$PULMO" inspect run1/results.h5 | grep -q "from a bank of 3 augmented views" || fail "results.h5 does not name the bank"
/usr/bin/python3 -c 'import h5py, numpy' 2> /dev/null || { echo "no h5py: values are not compared"; exit 0; }
/usr/bin/python3 - << 'PYTHON'
import glob, h5py, numpy as np
def rows(directory, what):
    return np.concatenate([h5py.File(f)[what][:] for f in sorted(glob.glob(directory + "/view000-*"))])
whole = sorted(glob.glob("bank3/train-*"))[0]
halves = [d for d in glob.glob("bank1/train-*") if h5py.File(glob.glob(d + "/*")[0]).attrs["precision"] == b"half"]
assert len(halves) == 1, halves
single, half = rows(whole, "features"), rows(halves[0], "features")
assert single.dtype == np.float32 and half.dtype == np.float16 and single.shape[0] == 26, (single.dtype, half.dtype, single.shape)
assert (single.astype(np.float16) == half).all() and single.std() > 0
pooled = [d for d in glob.glob("bank1/train-*") if rows(d, "features").shape[2:] == (1, 1)]
assert len(pooled) == 2
for directory in pooled: # block 5 alone, or behind block 4
    np.testing.assert_allclose(rows(directory, "features")[:, -single.shape[1]:, 0, 0], single.mean(axis=(2, 3), dtype=np.float64), rtol=1e-5, atol=1e-7)
assert sorted(rows(d, "features").shape[1] > single.shape[1] for d in pooled) == [False, True]
labels = h5py.File("packed/manifest.h5")["splits/train/labels"][:]
assert (rows(whole, "labels") == labels).all()
PYTHON
echo "fresh training's head from a bank: $wanted"
