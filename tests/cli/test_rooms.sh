#!/usr/bin/env bash
# The fences between rooms: who includes what, where foreign libraries and exits may stand, and sizes.
set -euo pipefail
cd "$PULMO_SOURCE"
bad=0
complain() { echo "$*"; bad=1; }

# ---- foreign headers stay in their rooms ----
only_in() {
    local header=$1 rooms=$2 file
    while read -r file; do complain "$file: includes <$header>, which belongs in $rooms only"; done < <(
        grep -rlE "^ *# *include *<$header" src data-prep include --include='*.[ch]' | grep -vE "^($rooms)/" || true)
}
only_in 'mpi\.h>' 'src/dist'
only_in 'hdf5' 'src/h5'
only_in 'jpeglib\.h>' 'src/data'
only_in 'setjmp\.h>' 'src/data'
only_in 'cblas\.h>' 'src/nn|src/weights'
only_in 'yaml\.h>' 'src/config'
only_in 'openssl/' 'src/core'
only_in 'zip\.h>' 'src/weights'
only_in 'jansson\.h>' 'src/weights|src/train'
only_in 'png\.h>' 'src/train|src/data'
only_in 'argp\.h>' 'src/cli'

# ---- dependencies point down: the public headers that a room may include ----
core='interrupt|status|log|memory|rng|isa|pool|digest|clock|file|text|split'
allowed() {
    local room=$1 headers=$2 file header
    while IFS=: read -r file header; do complain "$file: includes pulmo/$header.h, which is not below $room"; done < <(
        grep -rHoE '^#include "pulmo/[a-z0-9_]+\.h"' "$room" --include='*.[ch]' | sed -E 's/#include "pulmo\/(.*)\.h"/\1/' |
            grep -vE ":($headers)$" || true)
}
allowed src/core "$core"
allowed src/config "$core|config"
allowed src/h5 "$core|h5"
allowed src/dist "$core|dist|exact"
allowed src/weights "$core|h5|weights"
allowed src/nn "$core|weights|head|optim|tuned|trunk"
allowed src/data "$core|h5|image|augment|dataset|packed|loader"

# ---- exits only where the process is owned ----
while read -r line; do complain "$line: ends the process outside src/cli and the watch"; done < <(
    grep -rnE '\b(_?exit|abort)\(' src data-prep --include='*.c' | grep -vE '^src/cli/|^src/dist/|^[^:]*:[0-9]+: *(\*|/\*)' || true)

# ---- nothing lies about ----
while read -r line; do complain "$line"; done < <(
    grep -rnE '\b(TODO|FIXME|XXX|HACK)\b|#if 0' src include data-prep tests --include='*.[ch]' || true)

# ---- sizes: a source below 600 lines, a header below 300 (kernels exempt) ----
while read -r lines file; do
    case $file in
        total | *kernels/*) ;;
        *.h) [ "$lines" -le 300 ] || complain "$file: $lines lines; a header stays below 300" ;;
        *) [ "$lines" -le 600 ] || complain "$file: $lines lines; a source stays below 600" ;;
    esac
done < <(find src include data-prep tests -name '*.[ch]' -exec wc -l {} +)

[ "$bad" = 0 ] && echo "all rooms keep their fences"
exit "$bad"
