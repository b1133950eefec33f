#!/usr/bin/env bash
# A choice of the rows of bench/digests.sh: one model whatever the ranks, threads, transport and algorithm.
set -euo pipefail
exec bash "$PULMO_SOURCE/bench/digests.sh" --short "$(dirname "$1")/.."
