#!/usr/bin/env bash
# The documentation against what is there: links and anchors resolve, files that pages name exist, the
# README stays short, and the commands that pages show use options and keys that the program knows.
# Usage: test_docs.sh PATH-OF-PULMO
set -euo pipefail
: "${PULMO_SOURCE:?names the source directory}"
exec python3 "$PULMO_SOURCE/tests/cli/docs.py" "$1" "$PULMO_SOURCE"
