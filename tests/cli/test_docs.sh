#!/usr/bin/env bash
# The documentation against what is there: links and anchors resolve, files that pages name exist, the
# README stays short, and the commands that pages show use options and keys that the program knows.
# Charts that are drawn from a page's tables say what the tables say.
# Usage: test_docs.sh PATH-OF-PULMO
set -euo pipefail
: "${PULMO_SOURCE:?names the source directory}"
python3 "$PULMO_SOURCE/bench/accuracy/dots.py" --check "$PULMO_SOURCE/docs/explanation/accuracy.md"
exec python3 "$PULMO_SOURCE/tests/cli/docs.py" "$1" "$PULMO_SOURCE"
