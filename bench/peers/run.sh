#!/usr/bin/env bash
# Installs the peers in a virtual environment (build/peers-venv) and runs them and pulmo, interleaved:
#   bash bench/peers/run.sh --weights FILE --golden FILE [--threads N] [--rounds N] [--seconds S]
# What each engine is given, and the checks, are described in peers.py.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
venv=$root/build/peers-venv
if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
"$venv/bin/python" -c 'import numpy, h5py, onnx' 2>/dev/null || "$venv/bin/pip" install --quiet numpy h5py onnx
# PyTorch without the GPU libraries its wheel asks for.
"$venv/bin/python" -c 'import torch' 2>/dev/null || {
    "$venv/bin/pip" install --quiet --no-deps torch || true
    "$venv/bin/pip" install --quiet filelock typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec || true
}
for package in onnxruntime openvino ncnn MNN; do
    "$venv/bin/python" -c "import $package" 2>/dev/null || "$venv/bin/pip" install --quiet "$package" || echo "$package cannot be installed" >&2
done
grep -m1 'model name' /proc/cpuinfo | sed 's/.*: //' >&2
exec "$venv/bin/python" "$root/bench/peers/peers.py" --pulmo "$root/build/release/bin/pulmo" "$@"
