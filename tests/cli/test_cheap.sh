#!/usr/bin/env bash
# Starting is cheap: what one process does starts no other and no MPI, and takes at most 50 ms of a CPU before it is done.
. "$(dirname "$0")/common.sh"
most_ms=50
if nm -D "$PULMO" 2> /dev/null | grep -qE ' __(asan|tsan)_init'; then echo "skipped: sanitizers take their time"; exit 77; fi
file "$PULMO" 2> /dev/null | grep -q script && { echo "skipped: an emulator takes its time"; exit 77; }
make_small
small_train run env > /dev/null 2>&1 || fail "it does not train"

# The least CPU time of ten runs, in ms: others' work on the machine does not count.
least_ms() {
    python3 - "$@" << 'PY'
import os, subprocess, sys
least = 1e9
for _ in range(10):
    before = os.times()
    subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    least = min(least, after.children_user - before.children_user + after.children_system - before.children_system)
print(round(least * 1000))
PY
}
# Open MPI 5, of a wheel, takes 40 to 60 ms to be loaded, before main begins.
if "$PULMO" --version | grep -q "Open MPI v5"; then most_ms=150; fi

more=configs
"$PULMO" configs > /dev/null 2>&1 || { more=; echo "not looked at: pulmo configs, since this build stands outside the sources"; }
for words in "--help" "--version" "train --help" $more "inspect run" "inspect run/model.h5"; do
    # shellcheck disable=SC2086 # words
    took=$(least_ms "$PULMO" $words)
    [ "$took" -le $most_ms ] || fail "pulmo $words takes $took ms of a CPU, more than $most_ms"
    echo "pulmo $words: $took ms"
done

if command -v strace > /dev/null && strace -o /dev/null true 2> /dev/null; then
    for words in "inspect run" "predict run demo/test" "evaluate run --data packed" "report run"; do
        # shellcheck disable=SC2086
        strace -f -e trace=execve,socket -o trace.txt "$PULMO" $words > /dev/null 2>&1 || fail "pulmo $words under strace"
        [ "$(grep -c execve trace.txt)" = 1 ] || { cat trace.txt; fail "pulmo $words starts a program"; }
        if grep -q socket trace.txt; then cat trace.txt; fail "pulmo $words opens a socket"; fi
    done
fi
echo "starting is cheap"
