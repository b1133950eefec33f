#!/usr/bin/env bash
# Installs the peers in a virtual environment (build/peers-venv) and runs them and pulmo, interleaved:
#   bash bench/peers/run.sh [--isa avx2] --weights FILE --golden FILE [--threads N] [--rounds N] [--seconds S]
# With --isa avx2 all keep to AVX2: pulmo, PyTorch and OpenVINO by their own settings, ncnn by a build
# without AVX-512 (in build/peers-venv-avx2; some minutes); ONNX Runtime and MNN have no such setting, and are left out.
# What each engine is given, and the checks, are described in peers.py. Training beside PyTorch's (train.py):
#   bash bench/peers/run.sh train --weights FILE --data PACKED [--rounds N] ...
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/build/peers-venv isa=
script=peers.py
if [ "${1:-}" = train ]; then
    script=train.py
    shift
fi
if [ "${1:-}" = --isa ]; then
    if [ "${2:-}" != avx2 ]; then echo "run.sh: --isa: \"${2:-}\" must be avx2" >&2; exit 2; fi
    isa=avx2 venv=$root/build/peers-venv-avx2
    export PULMO_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2
    shift 2
fi
bash "$root/bench/peers/install.sh" "$venv" $isa
grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //' >&2
exec "$venv/bin/python" "$root/bench/peers/$script" ${isa:+--isa "$isa"} --pulmo "$root/build/release/bin/pulmo" "$@"
