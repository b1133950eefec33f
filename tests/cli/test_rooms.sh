#!/usr/bin/env bash
# The fences between rooms: who includes what, where foreign libraries and exits may stand, and sizes.
set -euo pipefail
cd "$PULMO_SOURCE"
bad=0
complain() { echo "$*"; bad=1; }

# ---- foreign headers stay in their rooms ----
only_in() {
    local header=$1 rooms=$2 file
    while read -r file; do complain "$file: includes <$header, which belongs in $rooms only"; done < <(
        grep -rlE "^ *# *include *<$header" src data-prep include --include='*.[ch]' --include='*.cc' |
        grep -vE "^($rooms)/" || true)
}
only_in 'mpi\.h>' 'src/dist'
only_in 'hdf5' 'src/h5'
only_in 'jpeglib\.h>' 'src/image'
only_in 'dcmtk/' 'src/image'
only_in 'setjmp\.h>' 'src/image'
only_in 'cblas\.h>' 'src/nn|src/weights'
only_in 'yaml\.h>' 'src/config'
only_in 'openssl/' 'src/core'
only_in 'xxhash\.h>' 'src/core'
only_in 'zip\.h>' 'src/weights'
only_in 'png\.h>' 'src/image|src/infer'
only_in 'jansson\.h>' 'src/events|src/results|src/weights|src/export|src/infer|src/report'
only_in 'zlib\.h>' 'src/image|src/infer|src/table'
only_in 'csv\.h>' 'src/table'
only_in 'argp\.h>' 'src/cli'

# ---- functions whose last digit depends on the processor ----
# pulmo/elementary.h's give the same bits everywhere. Labels of a chart are no numbers that are kept.
while read -r line; do complain "$line: libm's last digit depends on the processor; see pulmo/elementary.h"; done < <(
    grep -rnE '(^|[^_[:alnum:]])((exp|log|pow|sin|cos|tan|sinh|cosh|tanh|cbrt|hypot)|exp2|expm1|log2|log10|log1p|a(sin|cos|tan|tan2)|erf)[fl]?\(' \
        src data-prep --include='*.[ch]' | grep -vE '^[^:]*:[0-9]+: *(/\*|\*)|^src/report/report_plot' || true)

# ---- no compiler makes fused multiply-adds of its own: GCC does so for AArch64 where it is not told ----
build=$(dirname "${1:-build/release/bin/pulmo}")/..
if [ -r "$build/compile_commands.json" ]; then
    while read -r file; do complain "$file: is compiled without -ffp-contract=off; link pulmo_flags"; done < <(
        grep '"command":' "$build/compile_commands.json" | grep -vF -e '-ffp-contract=off' |
        grep -oE '/(src|data-prep)/[^ "]*\.(c|cc)"' | tr -d '"' | cut -c 2- || true)
fi

# ---- dependencies point down ----
# A room, the public headers that are its own, and the rooms whose headers it may include.
rooms='
core      | ahead clock crash digest elementary file framing interrupt isa log memory place pool rng spent split status text | 
config    | config | core
image     | image | core
table     | scores table | core config image
privacy   | pseudonym | core image
h5        | h5 | core
events    | events | core
inspect   | inspect | core h5
dist      | dist exact | core
stats     | operating stats | core
metrics   | groups history metrics | core stats
weights   | weights | core h5
nn        | head layout optim trunk tuned | core weights
data      | augment dataset identity loader near packed | core h5
audit     | audit | core dist h5 metrics data
model     | backbone model specs views weights_check | core config dist h5 metrics weights nn data
features  | bank features | core config dist h5 metrics weights nn data model
step      | step | core config dist h5 metrics weights nn data model
results   | results | core config dist h5 metrics weights nn data audit model
train     | reproduce train | core config dist events h5 metrics weights nn data audit model features step results
infer     | explain infer | core config dist h5 stats metrics weights nn image data audit model features results
export    | export | core config dist h5 weights nn data model
report    | report | core config stats table dist h5 metrics weights nn image data audit model features results infer
sweep     | sweep | core config dist h5 metrics weights nn data model features step results train
demo      | demo | core image
data-prep | pack | core config table privacy dist h5 image data
bench     | bench | core config dist h5 metrics weights nn data model features step results train demo data-prep
cli       |  | core config dist events h5 metrics weights nn image data model features step results train infer export report sweep bench demo data-prep inspect
'
declare -A owner below seen
while IFS='|' read -r room headers uses; do
    room=${room// /}
    [ -n "$room" ] || continue
    below[$room]=" $room $uses "
    # A room uses only rooms that stand before it in the table: so there is no cycle.
    for used in $uses; do
        [ -n "${seen[$used]:-}" ] ||
            complain "$room: uses $used, which does not stand before it in the table of rooms"
    done
    seen[$room]=yes
    for header in $headers; do owner[$header]=$room; done
done <<< "$rooms"

for header in include/pulmo/*.h; do
    name=$(basename "$header" .h)
    [ -n "${owner[$name]:-}" ] || complain "$header: belongs to no room; add it to the table in tests/cli/test_rooms.sh"
done
for folder in src/* data-prep; do
    room=$(basename "$folder")
    [ -n "${below[$room]:-}" ] || { complain "$folder: is not a room of the table in tests/cli/test_rooms.sh"; continue; }
    while IFS=: read -r file header; do
        case ${below[$room]} in
            *" ${owner[$header]:-nothing} "*) ;;
            *) complain "$file: includes pulmo/$header.h of ${owner[$header]:-no room}, which is not below $room" ;;
        esac
    done < <(grep -rHoE '^#include "pulmo/[a-z0-9_]+\.h"' "$folder" --include='*.[ch]' | sed -E 's/#include "pulmo\/(.*)\.h"/\1/')
    # Private headers stay at home.
    while IFS=: read -r file header; do
        [ -n "$(find "$folder" -name "$header" -print -quit)" ] ||
            complain "$file: includes $header, which is private to another room"
    done < <(grep -rHoE '^#include "[a-z0-9_]+\.h"' "$folder" --include='*.[ch]' | sed -E 's/#include "(.*)"/\1/')
done

# ---- public headers hold what crosses a wall: lower these, never raise ----
unshared_most=0
unshared=$(printf '%s\n' "$rooms" | python3 tests/tools/unshared.py || true)
count=$(grep -c '^include/' <<< "$unshared" || true)
echo "$count public names are used by their own room alone; at most $unshared_most"
[ "$count" -le "$unshared_most" ] || complain "$unshared"

# ---- no two sources of a room need each other, by what their object files define and need ----
cycles_most=0
if [ -d "$build/CMakeFiles" ] && command -v nm >/dev/null; then
    cycles=$(python3 tests/tools/filecycles.py --most "$cycles_most" "$build") || complain "$cycles"
    tail -n 1 <<< "$cycles"
else
    echo "cycles between sources are not looked for: there are no object files, or no nm"
fi

# ---- a name means one thing: a linker takes the first of two rooms' functions without a word ----
if [ -d "$build/CMakeFiles" ] && command -v nm >/dev/null; then
    while read -r name; do complain "$name: is defined by two sources; rename one"; done < <(
        nm -g --defined-only "$build"/libpulmo_*.a "$build"/CMakeFiles/pulmo.dir/src/cli/*.o 2> /dev/null |
        awk '$2 == "T" { print $3 }' | sort | uniq -d | grep -v '^_Z' || true)
fi

# ---- C++ stands where DCMTK is spoken to, and nowhere else ----
while read -r file; do complain "$file: C++ belongs in src/image/dicom_dcmtk.cc alone"; done < <(
    find src data-prep include \( -name '*.cc' -o -name '*.cpp' -o -name '*.hpp' \) ! -path src/image/dicom_dcmtk.cc)

# ---- exits only where the process is owned ----
while read -r line; do complain "$line: ends the process outside src/cli, the watch and a child process"; done < <(
    grep -rnE '\b(_?exit|abort)\(' src data-prep --include='*.c' | grep -vE '^src/cli/|^src/dist/|^src/h5/rehearse.c:|^src/core/crash.c:|^[^:]*:[0-9]+: *(\*|/\*)' || true)

# ---- nothing lies about ----
while read -r line; do complain "$line"; done < <(
    grep -rnE '\b(TODO|FIXME|XXX|HACK)\b|#if 0' src include data-prep tests --include='*.[ch]' || true)

# ---- no room above 15 % of the lines (the kernels are a room of their own) ----
lines_in() { find "$@" -name '*.[ch]' -exec cat {} + | wc -l; }
all=$(lines_in src data-prep)
largest=0
for folder in src/* src/nn/kernels data-prep; do
    lines=$(lines_in "$folder")
    if [ "$folder" = src/nn ]; then lines=$((lines - $(lines_in src/nn/kernels))); fi
    [ $((lines * 100)) -le $((all * 15)) ] || complain "$folder: $lines of $all lines; at most 15 %"
    if [ "$lines" -gt "$largest" ]; then largest=$lines; name=$folder; fi
done
echo "the largest room is $name: $largest of $all lines, $((largest * 1000 / all)) per mille"

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
