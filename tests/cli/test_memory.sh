#!/usr/bin/env bash
# No rank leaves alone: where one rank of two runs out of memory, both end, and rank 0 says why. Failures come from
# tests/tools/failing_memory.c: each allocation of a kind in turn, until a run has no more of them.
source "$(dirname "$0")/common.sh"
shim=$TOOLS/failing_memory.so
[ -e "$shim" ] || { echo "skipped: there is no $shim"; exit 77; }
if nm -D "$PULMO" 2>/dev/null | grep -qE ' __(asan|tsan)_init'; then
    echo "skipped: the sanitizer's allocator is in the shim's place"
    exit 77
fi
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 26 --val 24 --test 9 --seed 3 -q
"$PULMO" pack demo packed --size 64 -q

# sweep CALL LEAST MOST BEGINS: rank 1's allocations of so many bytes fail one by one, at least BEGINS of them.
sweep() {
    local call=$1 least=$2 most=$3 begins=$4 n=0 got
    while :; do
        n=$((n + 1))
        got=0
        rm -rf run log
        timeout -k 5 45 mpirun --oversubscribe --bind-to none -n 2 -x LD_PRELOAD="$shim" -x MEMORY_CALL="$call" \
            -x MEMORY_LEAST="$least" -x MEMORY_MOST="$most" -x MEMORY_AT="$n" -x MEMORY_RANK=1 -x MEMORY_LOG="$WORK/log" \
            "$PULMO" train --set data.path=packed --set train.run_dir=run --set train.epochs=1 --set train.batch=8 \
            --set train.microbatch=2 --set model.hidden='[12]' --set train.patience=0 --set train.stall_seconds=5 --set train.checkpoint_batches=1 \
            > out.txt 2> err.txt || got=$?
        grep -q '^failed' log 2>/dev/null || break
        # With rank 1's reason in rank 0's words, mpirun may take its time to end.
        if ! grep -q 'pulmo: error: rank 1 on host' err.txt && { [ "$got" = 124 ] || grep -q 'have waited' err.txt; }; then
            cat log err.txt >&2
            fail "rank 1 left alone at $call number $n of $least to $most bytes"
        fi
        grep -q '^pulmo: .*rank 1' err.txt || { cat log err.txt >&2; fail "not a word of rank 1 at $call number $n of $least to $most bytes"; }
    done
    [ "$got" = 0 ] || { cat err.txt >&2; fail "status $got without a failure"; }
    [ "$n" -gt "$begins" ] || fail "$((n - 1)) calls of $call with $least to $most bytes, not $begins"
    echo "$call of $least to $most bytes: $((n - 1)) failures"
}

sweep realloc 1024 4096 1        # the configuration's text
sweep calloc 300 1000 8          # handles, the exchange of gradients among them
sweep posix_memalign 192 192 6   # scores of 24 images of 2 classes, in validation and at the end

# Out of memory is not damage: no allocation that fails has a file called damaged.
"$PULMO" train --set data.path=packed --set train.run_dir=whole --set train.epochs=1 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden='[12]' --set train.patience=0 -q > /dev/null
for file in whole/model.h5 whole/results.h5 packed/manifest.h5; do
    n=0
    while :; do
        n=$((n + 1))
        rm -f log
        got=0
        LD_PRELOAD=$shim MEMORY_CALL=malloc MEMORY_AT=$n MEMORY_LOG=$WORK/log "$PULMO" inspect "$file" > out.txt 2> err.txt || got=$?
        grep -q '^failed' log 2>/dev/null || break
        if [ "$got" = 65 ] || grep -q damaged err.txt; then
            cat log err.txt >&2
            fail "$file: out of memory at malloc number $n is called damage (status $got)"
        fi
    done
    [ "$n" -gt 1 ] || fail "$file: no malloc failed"
done
got=0
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    LD_PRELOAD=$shim MEMORY_CALL=malloc MEMORY_AT=$n "$PULMO" evaluate whole --data packed > out.txt 2> err.txt || got=$?
    if [ "$got" = 65 ] || grep -q damaged err.txt; then
        cat err.txt >&2
        fail "evaluate: out of memory at malloc number $n is called damage"
    fi
done
echo "a rank without memory takes the others with it"
