#!/usr/bin/env bash
# Submits a sweep from one feature bank to Slurm: a job that builds the bank, and after it the array of
# jobs/sweep.sbatch. Options of sbatch stand before "--" and go to both.
#
#   bash jobs/sweep-bank.sh 0-3 --partition=short -- -c head --set data.path=PACKED --set train.run_dir=SWEEP \
#       --set bank.seed=0 --grid optim.lr=1e-3,1e-4 --grid train.seed=0,1,2
#
# The first job trains one run of the settings without the grid, in SWEEP-bank: a bank holds no more views
# than a run has epochs. If it fails, the array begins all the same and makes what is missing of the bank.
set -eu

usage() { echo "usage: bash jobs/sweep-bank.sh ARRAY [SBATCH-OPTION...] -- OPTIONS OF pulmo sweep" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 3 ] || usage
array=$1
shift
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
[ "${1:-}" = -- ] || usage
shift

# One run has no grid, and no part of it.
one=() run_dir='' skip=no
for word in "$@"; do
    if [ "$skip" = yes ]; then skip=no; continue; fi
    case $word in
    --grid | --at-once) skip=yes ;;
    --grid=* | --at-once=*) ;;
    *) one+=("$word") ;;
    esac
    case $word in train.run_dir=* | --set=train.run_dir=*) run_dir=${word#*run_dir=} ;; esac
done
[ -n "$run_dir" ] || { echo "sweep-bank: --set train.run_dir=SWEEP is missing" >&2; exit 2; }

bank=$(sbatch --parsable --job-name=pulmo-bank "${options[@]}" "$here/train.sbatch" "${one[@]}" --set train.features=bank \
    --set eval.audit=false --set "train.run_dir=$run_dir-bank")
bank=${bank%%;*}
sweep=$(sbatch --parsable --dependency="afterany:$bank" --array="$array" "${options[@]}" "$here/sweep.sbatch" "$@" \
    --set train.features=bank)
echo "job $bank builds the bank, array ${sweep%%;*} sweeps"
