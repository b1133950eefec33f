#!/usr/bin/env bash
# Interrupted packing resumes where it was, at any number of ranks, and ends with the same bytes; --verify finds any change.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 40 --val 0 --test 0 --seed 5 -q
# Many names for a few pictures: packing takes seconds, so that it can be interrupted.
mkdir -p source/NORMAL source/PNEUMONIA
for class in NORMAL PNEUMONIA; do
    for file in "demo/train/$class"/*; do
        for copy in $(seq 25); do ln -s "$PWD/$file" "source/$class/${copy}x$(basename "$file")"; done
    done
done
options="--size 320 --val-fraction 0.2 --patients-unknown --set pack.shard_images=100"
"$PULMO" pack source whole $options -q

# pack_and_stop SIGNAL DEST COMMAND...: starts it and sends the signal once a part is decoded. Prints the status.
pack_and_stop() {
    local signal=$1 dest=$2 status=0 waited=0
    shift 2
    "$@" "$PULMO" pack source "$dest" $options --threads 1 > stopped.txt 2>&1 &
    local process=$!
    until compgen -G "$dest/.pack/part-?????" > /dev/null; do
        sleep 0.01
        [ $((waited += 1)) -lt 3000 ] || fail "no part was decoded in 30 s"
    done
    # Of several ranks one is told; mpirun would take its time.
    [ "$1" != mpirun ] || kill "-$signal" "$(rank_below "$process" || pgrep -P "$process" | head -n 1)"
    [ "$1" = mpirun ] || kill "-$signal" "$process" 2> /dev/null || true
    wait "$process" 2> /dev/null || status=$?
    echo "$status"
}
goes_on() {
    local dest=$1
    shift
    "$@" "$PULMO" pack source "$dest" $options > goes-on.txt 2>&1 || { cat goes-on.txt; fail "$dest does not resume"; }
    grep -q "resuming an earlier pack" goes-on.txt || { cat goes-on.txt; fail "$dest began anew"; }
    diff -r whole "$dest" || fail "$dest has other bytes than an uninterrupted pack"
}

status=$(pack_and_stop TERM term env)
[ "$status" = 75 ] || { cat stopped.txt; fail "status $status after SIGTERM, not 75"; }
grep -q "run the same command again" stopped.txt || { cat stopped.txt; fail "nothing says how to resume"; }
[ ! -e term/manifest.h5 ] || fail "a manifest after an interruption"
goes_on term
status=$(pack_and_stop INT int env)
[ "$status" = 75 ] || { cat stopped.txt; fail "status $status after SIGINT, not 75"; }
goes_on int mpirun --oversubscribe --bind-to none -n 3
status=$(pack_and_stop KILL killed env)
[ "$status" = 137 ] || fail "status $status after SIGKILL"
goes_on killed mpirun --oversubscribe --bind-to none -n 2
status=$(pack_and_stop TERM ranks mpirun --oversubscribe --bind-to none -n 2)
[ "$status" = 75 ] || { cat stopped.txt; fail "status $status after SIGTERM to one rank, not 75"; }
goes_on ranks

# ---- shards are kept too, and what another configuration left is not taken for ours ----
pack_and_stop KILL other env > /dev/null
expect 0 "interrupted pack of other files or options" "$PULMO" pack source other --size 48 --threads 2
expect 0 "nothing to do" "$PULMO" pack source other --size 48
expect 2 "give --overwrite" "$PULMO" pack source other --size 96
pack_and_stop KILL fractions env > /dev/null
expect 0 "resuming an earlier pack" "$PULMO" pack source fractions --size 320 --val-fraction 0.3 --patients-unknown # the same pixels, other splits
# A part that did not reach the disk whole is decoded again.
pack_and_stop KILL torn env > /dev/null
truncate -s 5000 torn/.pack/part-00000
"$PULMO" pack source torn $options -q && diff -r whole torn || fail "a torn part was believed"
# Two at once in one place.
"$PULMO" pack source twice $options --threads 1 -q & first=$!
until [ -e twice/.pack/lock ]; do sleep 0.01; done
expect 2 "another pulmo pack is at work" "$PULMO" pack source twice $options
wait "$first" || fail "the first of two packs failed"

# ---- verify ----
rm -rf term && cp -r whole changed
expect 0 "are what was packed" "$PULMO" pack --verify whole --source source
expect 0 "are what was packed" ranks 2 "$PULMO" pack --verify whole
flip() { # FILE OFFSET: another byte there
    local byte
    byte=$(od -An -tu1 -j "$2" -N1 "$1" | tr -d ' ')
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
flip changed/train-00003-of-00008.h5 $(($(stat -c %s changed/train-00003-of-00008.h5) / 2))
expect 65 "train-00003-of-00008.h5" "$PULMO" pack --verify changed
rm changed/train-00000-of-00008.h5
expect 65 "train-00000-of-00008.h5" ranks 2 "$PULMO" pack --verify changed
grep -q "train-00003-of-00008.h5" out.txt || { cat out.txt; fail "only one of two damages was told"; }
cp whole/train-00001-of-00008.h5 changed/train-00002-of-00008.h5
expect 65 "train-00002-of-00008.h5: other than the manifest's: paths" "$PULMO" pack --verify changed
rm "source/NORMAL/$(ls source/NORMAL | head -1)"
cp --remove-destination "$(ls demo/train/NORMAL/* | tail -1)" "source/NORMAL/$(ls source/NORMAL | head -1)"
expect 65 "has changed since it was packed" "$PULMO" pack --verify whole --source source
expect 65 "no manifest" "$PULMO" pack --verify demo
expect 2 "DEST alone" "$PULMO" pack --verify whole other
echo "interrupted packs resume; every change is found"
