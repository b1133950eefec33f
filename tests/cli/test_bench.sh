#!/usr/bin/env bash
# Benchmarks whose demo images cannot be written leave nothing in $TMPDIR (but MPI's own directory).
. "$(dirname "$0")/common.sh"
mkdir scratch
export TMPDIR=$PWD/scratch
left() { ! ls scratch | grep pulmo || fail "left in TMPDIR: $1"; }
# full COMMAND...: on a disk that is full when the sixth file is to take its place
full() { DISK_UNDER=$TMPDIR DISK_CALL=rename DISK_AT=6 DISK_LASTS=1 DISK_ERROR=ENOSPC LD_PRELOAD=$TOOLS/failing_disk.so "$@"; }

for what in pack train; do
    expect 74 "No space left on device" full "$PULMO" bench $what --size 32 --seconds 1
    left "bench $what on a full disk"
done
