#!/usr/bin/env bash
# Every C file, and the one of C++, is as the repository's .clang-format has it, by version 14, whose output others do
# not share; no line is over 100 columns, in comments and texts either.
set -euo pipefail
cd "$PULMO_SOURCE"
bad=0

files() { find src data-prep include tests \( -name '*.[ch]' -o -name '*.cc' \) -not -path '*/build/*' | sort; }

while read -r place; do
    echo "$place: over 100 columns"
    bad=1
done < <(files | LC_ALL=C.UTF-8 xargs grep -nE '^.{101,}' | cut -d: -f1,2 || true)
if [ "$bad" != 0 ]; then exit 1; fi

formatter=
for name in clang-format-14 clang-format; do
    if "$name" --version 2>/dev/null | grep -q 'version 14\.'; then formatter=$name; break; fi
done
if [ -z "$formatter" ]; then
    echo "skipped: there is no clang-format of version 14 (apt-get install clang-format-14)"
    exit 77
fi
files | xargs "$formatter" --dry-run -Werror
echo "$(files | wc -l) files are formatted"
