#!/usr/bin/env bash
# clang-tidy 14 over every source of the program: exit status 0 only without findings; 77 where it is not installed.
#
#   bash tests/tools/tidy.sh [BUILD]     (default build/release, whose compile commands it reads)
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${1:-$root/build/release}
cd "$root"

tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [ -z "$tidy" ] || ! "$tidy" --version | grep -q 'version 14\.'; then
    echo "clang-tidy 14 is not installed: nothing was checked"
    exit 77
fi
[ -r "$build/compile_commands.json" ] || { echo "$build: no compile commands; build first"; exit 2; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
began=$SECONDS
# Without DCMTK one C source and the C++ are not compiled; with it, another one is not.
sources() {
    local file
    find src data-prep -name '*.c' -o -name '*.cc' | sort | while read -r file; do
        if grep -q "$root/$file\"" "$build/compile_commands.json"; then printf '%s\n' "$file"; fi
    done
}
sources | tr '\n' '\0' |
    xargs -0 -n 6 -P "$(nproc)" "$tidy" -p "$build" --quiet >"$log" 2>/dev/null || true
findings=$(grep -E '(warning|error):' "$log" | sort -u || true)
if [ -n "$findings" ]; then
    printf '%s\n' "$findings"
    echo "clang-tidy: $(printf '%s\n' "$findings" | wc -l) findings"
    exit 1
fi
echo "clang-tidy: $(sources | wc -l) sources, no findings, $((SECONDS - began)) s"
