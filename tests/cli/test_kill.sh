#!/usr/bin/env bash
# kill -9 of one rank or of all, at any moment of a run and in the middle of its writes: resumed on another
# number of ranks, it trains the model of the run that was never killed.
#
#   test_kill.sh PROGRAM [KILLS [SEED]]     KILLS: how many runs are killed (default 4; 30 for the full proof)
. "$(dirname "$0")/common.sh"
kills=${2:-4}
RANDOM=${3:-$((SECONDS + $$ % 32768))}
seed=$RANDOM RANDOM=$seed
shim=$TOOLS/failing_disk.so
[ -r "$shim" ] || fail "$shim is not built"
make_small
WORK=$(readlink -f "$WORK")
epochs=60
export EXTRA="--set train.epochs=$epochs --set train.checkpoint_batches=1"
small_train "$WORK/whole" ranks 2 > whole.txt 2> whole.err
wanted=$(head_of whole.txt)
[ -n "$wanted" ] || fail "no Head SHA-256"
echo "seed $seed; never killed: $wanted"

below() { echo $((RANDOM % $1)); }
nap() { sleep "$(printf '0.%03d' "$1")"; }

# The processes of the run, one a rank.
ranks_of() {
    local pid
    for pid in $(pgrep -x pulmo); do
        tr '\0' '\n' 2> /dev/null < "/proc/$pid/cmdline" | grep -qx "train.run_dir=$1" && echo "$pid"
    done
    true
}
started() { pgrep -P "$1" > /dev/null && kill -0 "$1" 2> /dev/null; }

# Kills one rank or all once `epoch` lines of epochs have been said, or soon after the start. Returns 1 if it had ended.
kill_run() { # launcher's pid, run, one|all
    local epoch pids=() i
    epoch=$(below $((epochs / 2)))
    for ((i = 0; i < 1000; i++)); do
        mapfile -t pids < <(ranks_of "$2")
        [ "${#pids[@]}" -gt 0 ] && [ "$(grep -c '^Epoch' "$2.err")" -ge "$epoch" ] && break
        started "$1" || [ "$i" -lt 50 ] || return 1
        sleep 0.02
    done
    nap "$(below 60)"
    mapfile -t pids < <(ranks_of "$2")
    [ "${#pids[@]}" -gt 0 ] || return 1
    if [ "$3" = one ]; then pids=("${pids[$(below ${#pids[@]})]}"); fi
    kill -KILL "${pids[@]}" 2> /dev/null
}

# How runs are killed, in turn: within a write, one rank, within any call on the disk, all ranks.
ways=(write one any all)

# Starts or goes on with a run and kills it. Returns 1 if it came to its end before.
start_and_kill() { # run, way
    local run=$1 way=$2 n status=0 launcher
    n=$((1 + $(below 4)))
    : > "$run.err"
    case $way in
    write | any)
        DISK_UNDER=$run DISK_CALL=$way DISK_AT=$((1 + $(below 2500))) DISK_ERROR=KILL DISK_RANK=0 DISK_LOG=$run.log \
            small_train "$run" ranks "$n" env LD_PRELOAD="$shim" > "$run.txt" 2> "$run.err" || status=$?
        said="$n ranks, $(sed -n "s|^failed \\([a-z]*\\) $run/*|killed in \\1 of |p" "$run.log" | tail -n 1)"
        [ "$status" != 0 ] || return 1
        grep -q "^failed" "$run.log" || { cat "$run.err" >&2; fail "ended with $status and was not killed"; } ;;
    *)
        small_train "$run" ranks "$n" > "$run.txt" 2> "$run.err" &
        launcher=$!
        kill_run "$launcher" "$run" "$way" || { wait "$launcher" || { cat "$run.err" >&2; fail "ended by itself"; }; return 1; }
        wait "$launcher" || status=$?
        said="$n ranks, $way killed in epoch $((1 + $(grep -c '^Epoch' "$run.err" || true)))"
        [ "$status" != 0 ] || return 1 ;;
    esac
}

resumed=0
for ((k = 0; k < kills; k++)); do
    run=$WORK/run$k
    way=${ways[$((k % ${#ways[@]}))]}
    until : > "$run.log"; start_and_kill "$run" "$way"; do rm -rf "$run"; done
    story=$said
    if [ "$(below 3)" = 0 ] && start_and_kill "$run" "${ways[$(below 4)]}"; then story="$story; again: $said"; fi
    if [ -e "$run/results.h5" ] && "$PULMO" inspect "$run/results.h5" | grep -qE '^ +state +finished$'; then
        story="$story; had finished" # killed in the report, or the second start ran to its end
        : > again.err
        "$PULMO" train --set data.path=packed --set train.run_dir="$run" > again.txt 2>&1 && fail "a finished run was trained again"
        cp "$run.txt" again.txt
    else
        there=$([ -e "$run/checkpoint.h5" ] && echo yes || echo no) n=$((1 + $(below 4)))
        small_train "$run" ranks "$n" > again.txt 2> again.err || { cat again.err >&2; fail "$story; cannot resume on $n ranks"; }
        if [ "$there" = yes ]; then
            grep -q "resuming from" again.err || { cat again.err >&2; fail "$story; did not resume from its checkpoint"; }
            resumed=$((resumed + 1))
        fi
        story="$story; $(sed -n 's/^resuming from .*: /on from /p' again.err) on $n"
        [ "$(head_of again.txt)" = "$wanted" ] || { cat again.err >&2; fail "$story: another model"; }
    fi
    cmp whole/history.csv "$run/history.csv"
    cmp whole/predictions.csv "$run/predictions.csv"
    for left in "$run"/*.tmp.*; do [ ! -e "$left" ] || fail "$story; $left was left behind"; done
    echo "ok   $((k + 1)): $story"
    rm -rf "$run" "$run".*
done
[ "$resumed" -gt $((kills / 4)) ] || fail "only $resumed of $kills runs went on from a checkpoint: too early a death to mean anything"
echo "$kills of $kills runs killed and resumed ($resumed from a checkpoint): the same model, $wanted"
