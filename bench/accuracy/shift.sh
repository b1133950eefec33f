#!/usr/bin/env bash
# How a trained run does on images as another machine might have taken them (reexpose.py says which changes):
#   shift.sh RUN IMAGES WORK [N]
# IMAGES: class folders that the run has not seen; every N-th of them is used (default 1: all). Needs Pillow, numpy, h5py.
set -euo pipefail
run=$1 images=$2 work=$3 every=${4:-1}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pulmo=${PULMO:-$here/../../build/release/bin/pulmo}
mkdir -p "$work"
[ -d "$work/images" ] || python3 "$here/reexpose.py" "$images" "$work/images" --every "$every"
for change in "$work"/images/*/; do
    name=$(basename "$change")
    [ -d "$work/packed/$name" ] || { mkdir -p "$work/packed"; "$pulmo" pack "$change" "$work/packed/$name" -q > /dev/null; }
    "$pulmo" evaluate "$run" --data "$work/packed/$name" --out "$work/scored/$name" -q > /dev/null
done
python3 "$here/thresholds.py" "$run" --scored "$work"/scored/*/
