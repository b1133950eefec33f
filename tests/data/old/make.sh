#!/usr/bin/env bash
# How the files of earlier releases in this directory were made: a pack of small drawings, a run that was killed, a finished one,
# and a bank, by the program of that release. They are read for ever (tests/cli/test_old_files.sh).
#
#   bash make.sh PULMO MAKE_WEIGHTS NAME      # PULMO: the program built at 66dacab (0.1.0), at 74777ba (unsealed)
#
# The portable tier and OpenBLAS's oldest kernels, so that a checkpoint can be resumed on any machine.
set -euo pipefail
pulmo=$(realpath "$1") make_weights=$(realpath "$2") here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export PULMO_ISA=ref OPENBLAS_CORETYPE=Prescott PULMO_WEIGHTS=$work/weights.safetensors
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
"$make_weights" weights.safetensors
"$pulmo" demo-data demo --train 8 --val 4 --test 4 --seed 5 -q
"$pulmo" pack demo packed --size 32 -q
train() {
    "$pulmo" train -q --set data.path=packed --set model.pool=avg --set model.hidden=[4] --set train.batch=4 --set train.patience=0 \
        --set train.threads=1 "$@" > said.txt 2>&1
}
# On AVX2: other tiers of that time are read where their features were the same, which the portable one's were not.
export PULMO_ISA=avx2
train --set train.run_dir=finished --set train.epochs=2 --set train.features=bank --set bank.path=bank --set bank.views=1
export PULMO_ISA=ref
train --set train.run_dir=stopped --set train.epochs=300 --set train.checkpoint_batches=1 &
while [ ! -e stopped/checkpoint.h5 ]; do sleep 0.05; done
kill -KILL $!
wait || true
"$pulmo" predict finished demo/test/*/* > predicted.csv
to=$here/$3
rm -rf "$to" && mkdir -p "$to/packed" "$to/run" "$to/stopped" "$to/bank" "$to/results"
cp packed/*.h5 "$to/packed/"
cp -r bank/* "$to/bank/"
cp finished/model.h5 "$to/run/"
cp finished/results.h5 "$to/results/"
cp stopped/checkpoint.h5 "$to/stopped/"
cut -d, -f2- predicted.csv > "$to/predicted.csv"
du -sh "$to"
