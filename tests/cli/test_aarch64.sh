#!/usr/bin/env bash
# The program for AArch64 gives x86-64's models, under qemu: where PULMO_AARCH64 names a build of `cmake --preset aarch64`.
# tests/aarch64/run.sh makes one, and does more.
set -euo pipefail
if [ -z "${PULMO_AARCH64:-}" ]; then
    echo "skipped: PULMO_AARCH64 names no build for AArch64 (tests/aarch64/run.sh makes one)"
    exit 77
fi
exec bash "$PULMO_SOURCE/bench/digests.sh" --aarch64 "$(dirname "$1")/.."
