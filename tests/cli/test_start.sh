#!/usr/bin/env bash
# A rank that cannot join the others says why, and all end: nobody waits for it.
. "$(dirname "$0")/common.sh"
shim=$TOOLS/failing_start.so
[ -e "$shim" ] || { echo "skipped: there is no $shim"; exit 77; }
if nm -D "$PULMO" 2> /dev/null | grep -qE ' __(asan|tsan)_init'; then
    echo "skipped: a sanitizer wants to be loaded first"
    exit 77
fi
"$PULMO" demo-data demo --train 8 --val 4 --test 4 --seed 3 -q
for rank in 0 1; do
    status=0
    timeout -k 5 60 mpirun --oversubscribe --bind-to none -n 2 -x LD_PRELOAD="$shim" -x FAILING_RANK=$rank \
        "$PULMO" pack demo "packed-$rank" --size 48 > out.txt 2>&1 || status=$?
    case $status in
        0 | 124 | 137) cat out.txt; fail "rank $rank cannot start: status $status" ;;
    esac
    grep -q "^pulmo: .*finding the ranks of this node" out.txt || { cat out.txt; fail "rank $rank does not say why"; }
    [ ! -e "packed-$rank/manifest.h5" ] || fail "packed all the same"
done
echo "a rank that cannot start ends all"
