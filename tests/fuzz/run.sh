#!/usr/bin/env bash
# Fuzzes what reads files: builds the targets (clang-14; ASan, UBSan), and runs each for SECONDS.
#
#   bash tests/fuzz/run.sh [--jobs N] SECONDS [TARGET...]   # all of tests/fuzz/targets; 1800 is what a release gets
#
# --jobs N: so many targets at once (default 1).
# Seeds are made by seeds.py; what is found on the way is kept in build/fuzz/corpus/TARGET and is where the
# next run begins. A finding ends with status 1 and stays in build/fuzz/findings/TARGET: mend it, and put
# a small input that shows it into tests/fuzz/regressions/TARGET, which the ordinary suite replays.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$root/build/fuzz
jobs=1
if [ "${1:-}" = --jobs ]; then
    jobs=${2:?--jobs needs a number}
    shift 2
fi
case ${1:-} in
'' | *[!0-9]*) sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
seconds=$1
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
    for file in "$here"/targets/*.c; do targets+=("$(basename "$file" .c)"); done
fi
for target in "${targets[@]}"; do
    [ -f "$here/targets/$target.c" ] || { echo "run.sh: no target $target: $(cd "$here/targets" && ls ./*.c | tr '\n' ' ')" >&2; exit 2; }
done

cd "$root"
cmake --preset fuzz > /dev/null
cmake --build --preset fuzz --parallel > "$build/build.log" 2>&1 || { tail -30 "$build/build.log"; exit 1; }
rm -rf "$build/seeds"
python=python3 # one that makes all seeds, where there is one
for candidate in python3 /usr/bin/python3; do
    if "$candidate" -c 'import h5py, PIL' 2> /dev/null; then python=$candidate; fi
done
"$python" "$here/seeds.py" "$build/seeds"

TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
# What other libraries keep is not ours to mend; a crash of libhdf5 ends its child alone.
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1:handle_abort=1
export LSAN_OPTIONS=suppressions=$root/tests/lsan.supp:print_suppressions=0

# fuzz TARGET: status 1 where it has a finding.
fuzz() {
    local target=$1 status=0
    local corpus=$build/corpus/$target found=$build/findings/$target log=$build/$target.log
    mkdir -p "$corpus" "$found" "$build/seeds/$target" "$here/regressions/$target"
    local options=(-rss_limit_mb=3000)
    case $target in # its watch is a thread, and with ASan a child process may not be forked beside one
    h5 | keras | model | manifest | shard) options=(-rss_limit_mb=0) ;;
    esac
    if [ -f "$build/seeds/$target.dict" ]; then options+=(-dict="$build/seeds/$target.dict"); fi
    if "$build/fuzz/fuzz_$target" "$corpus" "$build/seeds/$target" "$here/regressions/$target" -artifact_prefix="$found/" \
        -max_total_time="$seconds" -timeout=20 -malloc_limit_mb=1000 -max_len=60000 \
        -print_final_stats=1 "${options[@]}" > "$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -1)
        printf '%-12s %9s runs, %s edges, no finding\n' "$target" "$runs" "$edges"
    else
        status=1
        printf '%-12s FINDING: %s (%s)\n' "$target" "$(grep -m1 -E 'SUMMARY|ERROR|runtime error|status "|Assert' "$log" || tail -1 "$log")" "$log"
    fi
    rmdir "$here/regressions/$target" 2> /dev/null || true
    return $status
}
findings=0 running=0
for target in "${targets[@]}"; do
    if [ "$running" = "$jobs" ]; then
        wait -n || findings=$((findings + 1))
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
    wait -n || findings=$((findings + 1))
    running=$((running - 1))
done
if [ "$findings" -gt 0 ]; then
    echo "$findings of ${#targets[@]} targets have findings: $build/findings"
    exit 1
fi
