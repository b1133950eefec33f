#!/usr/bin/env bash
# A disk that is full, read-only or broken, at any point of a run: one error, status 74 on every rank, the last
# checkpoint whole; and the run that resumes from it when the disk is well again trains the same model.
#
#   test_disk.sh PROGRAM [POINTS]     POINTS: points of failure a kind of call (default 2); "all" for each there is
#
# Failures come from tests/tools/failing_disk.c, and for root from a small tmpfs that runs full.
. "$(dirname "$0")/common.sh"
points=${2:-2}
shim=$TOOLS/failing_disk.so
[ -r "$shim" ] || fail "$shim is not built"
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 # the shim comes before the sanitizer
make_small
WORK=$(readlink -f "$WORK")
export DISK_UNDER='' DISK_CALL='' DISK_AT=0 DISK_ERROR=EIO DISK_LASTS='' DISK_LOG=''

export EXTRA="--set train.checkpoint_batches=2"
small_train whole env > whole.txt 2> whole.err
wanted=$(head_of whole.txt)
[ -n "$wanted" ] || fail "no Head SHA-256"

# broken RANKS: trains into $run on the disk described by DISK_*; the status of rank R in $run.status.R
broken() {
    rm -f "$run".status.*
    # shellcheck disable=SC2016 # for the inner shell
    small_train "$run" ranks "$1" bash -c 'status=0; LD_PRELOAD=$0 "$@" || status=$?
        echo $status > '"$run"'.status.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}; exit $status' "$shim" > "$run.txt" 2> "$run.err" || true
}
show() { cat "$run.log" "$run.txt" "$run.err" >&2 2> /dev/null; }

# Open MPI 5's launcher kills the others once one rank has ended with an error: not all come to say their status.
launcher_kills=$(mpirun --version | grep -o "Open MPI) 5\|prterun\|PRRTE" || true)

# Of the failure that came: its status on every rank, and what is said. Sets $outcome.
judge() { # ranks
    local failed errors warnings statuses
    failed=$(grep "^failed" "$run.log" | head -n 1 || true)
    errors=$(grep -c "^pulmo: error:" "$run.err" || true)
    warnings=$(grep -c "warning: .*no report" "$run.err" || true)
    statuses=$(cat "$run".status.* | sort | uniq -c | tr -s ' ' | tr '\n' ';')
    case "$failed:$statuses" in
    :*) outcome=untouched ;;
    *report.html* | *MODEL_CARD.md* | *"/$run: $1 0;") # the results are safe by then
        outcome=report
        [ "$statuses" = " $1 0;" ] && [ "$errors:$warnings" = 0:1 ] || { show; fail "$failed: $errors errors, $warnings warnings, statuses$statuses"; } ;;
    *": $1 0;") # what can be lost without harm: a reader's close, the sync of a directory that cannot be synced
        outcome=tolerated
        [[ $failed == "failed close"* || ( $DISK_ERROR == EROFS && $failed != "failed rename"* ) ]] || { show; fail "$failed was overlooked"; } ;;
    *)
        outcome=74
        [ "$statuses" = " $1 74;" ] || [[ $launcher_kills && $statuses == " "[1-9]" 74;" ]] || { show; fail "$failed: statuses$statuses; 74 on all $1 ranks was expected"; }
        [ "$errors" = 1 ] || { show; fail "$failed: $errors errors said"; }
        grep "^pulmo: error:" "$run.err" | grep -q "$run" || { show; fail "the error does not name the file"; }
        grep "^pulmo: error:" "$run.err" | grep -qiE "no space|input/output|read-only|quota|errno" || { show; fail "the error gives no reason"; } ;;
    esac
}

# The run is resumed, on the disk as it should be: the model of the run that never failed.
go_on() { # ranks
    local left
    for left in "$run"/*.tmp.*; do [ ! -e "$left" ] || { show; fail "$left was left behind"; }; done
    if grep -q "^renamed .*/checkpoint.h5" "$run.log"; then
        "$PULMO" inspect "$run/checkpoint.h5" > /dev/null || fail "$run/checkpoint.h5 cannot be read"
    fi
    local status=0
    small_train "$run" ranks "$1" > "$run.again.txt" 2> "$run.again.err" || status=$?
    # The last sync of all failed: what stands there is whole and finished, and is not trained again.
    if grep -q "holds a finished run" "$run.again.err" &&
        [ "$(grep -v '^counted' "$run.log" | tail -n 2 | sed 's,/.*/,,')" = "renamed results.h5
failed fsync $run" ]; then
        cmp whole/history.csv "$run/history.csv"
        cmp whole/predictions.csv "$run/predictions.csv"
        return
    fi
    [ "$status" = 0 ] || { cat "$run.again.err" >&2; show; fail "cannot resume"; }
    if grep -q "^renamed .*/checkpoint.h5" "$run.log"; then
        grep -q "resuming from" "$run.again.err" || { show; fail "did not resume from the checkpoint that had been written"; }
    fi
    [ "$(head_of "$run.again.txt")" = "$wanted" ] || { show; fail "resumed, it is another model"; }
    cmp whole/history.csv "$run/history.csv"
    cmp whole/predictions.csv "$run/predictions.csv"
}

declare -A seen=()
number=0
try() { # ranks to fail on, ranks to resume on
    number=$((number + 1))
    run=run$number
    mkdir "$run"
    export DISK_UNDER=$WORK/$run DISK_LOG=$WORK/$run.log
    : > "$DISK_LOG"
    broken "$1"
    judge "$1"
    DISK_UNDER=''
    seen[$outcome]=$((${seen[$outcome]:-0} + 1))
    [ "$outcome" != 74 ] || go_on "$2"
    rm -rf "$run" "$run".*
}

# How many calls of each kind a run makes.
calls_of() {
    run=counted
    rm -rf counted && mkdir counted && : > counted.log
    DISK_UNDER=$WORK/counted DISK_CALL=$1 DISK_AT=0 DISK_RANK=0 DISK_LOG=$WORK/counted.log broken 1
    sed -n 's/^counted //p' counted.log
}

export DISK_RANK=0
# Each rank ends by itself: mpirun would otherwise end the others when the first has failed.
export OMPI_MCA_orte_abort_on_non_zero_status=0
kinds=("write ENOSPC 1" "write EIO ''" "fsync EIO ''" "rename EROFS 1" "open EROFS 1" "close EIO ''")
turn=0
for kind in "${kinds[@]}"; do
    read -r call error lasts <<< "$kind"
    total=$(calls_of "$call")
    [ "${total:-0}" -gt 10 ] || fail "a run makes only \"$total\" calls of $call: the shim sees nothing"
    wish=$points
    [ "$points" != all ] && [ "$points" -lt "$total" ] || wish=$total
    for ((i = 0; i < wish; i++)); do
        turn=$((turn + 1))
        at=$((1 + (i * total + total * (turn % 7) / 7) / wish))
        [ "$wish" = "$total" ] && at=$((i + 1))
        export DISK_CALL=$call DISK_ERROR=$error DISK_AT=$at DISK_LASTS=${lasts//\'/}
        try $((turn % 2 + 1)) $((turn % 3 + 1))
    done
done
export DISK_RANK='' DISK_CALL='' DISK_LASTS=''
unset OMPI_MCA_orte_abort_on_non_zero_status
[ "${seen[74]:-0}" -ge "$((number / 2))" ] || fail "of $number failures only ${seen[74]:-0} ended the run"
echo "$number points of failure:$(for k in "${!seen[@]}"; do printf ' %s %s' "${seen[$k]}" "$k"; done)"

# A directory without room: a tmpfs that runs full in the middle of the run.
if [ "$(id -u)" = 0 ] && mkdir full && mount -t tmpfs -o size=120k none full 2> /dev/null; then
    trap 'umount full; rm -rf "$WORK"' EXIT
    status=0
    small_train full/run ranks 2 > full.txt 2> full.err || status=$?
    [ "$status" = 74 ] || { cat full.err; fail "full tmpfs: status $status, not 74"; }
    [ "$(grep -c '^pulmo: error:' full.err)" = 1 ] || { cat full.err; fail "full tmpfs: one error was expected"; }
    grep -qi "no space" full.err || { cat full.err; fail "full tmpfs: no reason given"; }
    grep -q "^Epoch" full.err || { cat full.err; fail "full tmpfs: it failed too early to mean anything"; }
    mount -o remount,size=10m full
    small_train full/run ranks 3 > again.txt 2> again.err || { cat again.err; fail "full tmpfs: cannot resume"; }
    grep -q "resuming from" again.err || fail "full tmpfs: did not resume from the checkpoint"
    [ "$(head_of again.txt)" = "$wanted" ] || fail "full tmpfs: resumed, it is another model"
    echo "full tmpfs: status 74, resumed to the same model"
else
    echo "skipped: a full tmpfs needs root"
fi

# A disk so slow that one sync takes longer than the watch's limit: the ranks that wait for it do not end the job.
head="--set model.hidden=[9000]"
EXTRA="$head --set train.epochs=2" small_train quick ranks 1 > quick.txt 2> quick.err
: > slow.log
for at in 4 8; do
    rm -rf slow
    EXTRA="$head --set train.epochs=2 --set train.checkpoint_batches=2 --set train.stall_seconds=2" DISK_UNDER=$WORK/slow DISK_CALL=fsync \
        DISK_AT=$at DISK_ERROR=SLOW DISK_SECONDS=5 DISK_RANK=0 DISK_LOG=$WORK/slow.log \
        small_train slow ranks 2 env LD_PRELOAD="$shim" > slow.txt 2> slow.err || { cat slow.log slow.err; fail "slow disk: the job has ended"; }
    [ "$(head_of slow.txt)" = "$(head_of quick.txt)" ] || { cat slow.err; fail "slow disk: another model"; }
done
[ "$(grep -c "^failed fsync" slow.log)" = 2 ] || { cat slow.log; fail "slow disk: no sync was slow"; }
echo "slow disk: $(sed -n "s|^failed fsync $WORK/||p" slow.log | tr '\n' ' '): waited for"
