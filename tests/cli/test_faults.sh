#!/usr/bin/env bash
# Calls that fail: a few of each kind here, and those after which a command once said or wrote something wrong; tests/faults/run.sh
# fails them all.
set -euo pipefail
export PULMO=$1
[ -e "$(dirname "$1")/../tests/fail.so" ] || { echo "skipped: there is no fail.so"; exit 77; }
command -v python3 > /dev/null || { echo "skipped: no python3"; exit 77; }
python3 -c 'import h5py' 2> /dev/null || { echo "skipped: no h5py"; exit 77; }
if nm -D "$PULMO" 2> /dev/null | grep -qE ' __(asan|tsan)_init'; then
    echo "skipped: the sanitizer's allocator is in the shim's place"
    exit 77
fi

# COMMAND/KIND/WHOSE/FUNCTIONS
once=(
    pack-2/memory/own/arguments_parse
    pack-2/open/own/mute
    pack/memory/library/pattern_find
    predict/memory/library/open_attribute
    verify-run/read/file/pulmo_h5_has_attribute
    evaluate/memory/own/pulmo_file_full_path
    predict/memory/own/input_image_read,add_directory
    train/open/own/map_file,lease_check
    pack/memory/own/read_part,pattern_compile
    pack/sync/own/pulmo_manifest_write
    pack/memory/own/h5_make_groups
    verify/memory/own/compare_image,read_sums
    predict/memory/library/parse_header
    predict/memory/library/pulmo_h5_begin
    pack/memory/library/pulmo_h5_attach_scale
    pack/memory/library/add_reference
    verify/read/file/read_sums,read_column
)
if ! command -v addr2line > /dev/null; then
    echo "skipped: calls that pass through a function, which addr2line finds"
    once=()
fi
bash "$PULMO_SOURCE/tests/faults/run.sh" --short "${once[@]}"
echo "what fails is said, and nothing half-written stays"
