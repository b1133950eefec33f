#!/usr/bin/env bash
# Installs the peers in a virtual environment; what cannot be had is named on stderr and left out.
#   install.sh VENV [avx2]
# "avx2": ncnn built from its source distribution without AVX-512, since a built ncnn chooses by what the CPU has.
set -euo pipefail
venv=$1 isa=${2:-}
pip() { "$venv/bin/pip" --disable-pip-version-check install --quiet "$@"; }
has() { "$venv/bin/python" -c "import $1" >/dev/null 2>&1; }
absent() { echo "peers: $1 cannot be installed or loaded here: left out" >&2; }

# PyTorch's wheel is linked with GPU libraries even where only the CPU is used: fetch those that the loader
# misses, one after the other, and no more.
library_package() {
    case $1 in
        libcudart.*) echo nvidia-cuda-runtime ;;
        libcublas*) echo nvidia-cublas ;;
        libcufft.*) echo nvidia-cufft ;;
        libcufile*) echo nvidia-cufile ;;
        libcupti.*) echo nvidia-cuda-cupti ;;
        libcurand.*) echo nvidia-curand ;;
        libcusolver*) echo nvidia-cusolver ;;
        libcusparse.*) echo nvidia-cusparse ;;
        libcusparseLt.*) echo nvidia-cusparselt-cu13 ;;
        libcudnn*) echo nvidia-cudnn-cu13 ;;
        libnccl.*) echo nvidia-nccl-cu13 ;;
        libnvJitLink.*) echo nvidia-nvjitlink ;;
        libnvrtc*) echo nvidia-cuda-nvrtc ;;
        libnvshmem*) echo nvidia-nvshmem-cu13 ;;
    esac
}
install_torch() {
    local missing package last=
    has torch && return
    "$venv/bin/python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null || pip --no-deps torch || return 1
    pip filelock typing_extensions sympy mpmath networkx jinja2 markupsafe fsspec || return 1
    while ! has torch; do
        missing=$("$venv/bin/python" -c 'import torch' 2>&1 |
            sed -n -e 's/^ImportError: \(lib[^:]*\): cannot open.*/\1/p' -e 's/^ImportError: .*undefined symbol: nccl.*/libnccl.so/p')
        package=$(library_package "$missing")
        if [ -z "$package" ] || [ "$package" = "$last" ]; then return 1; fi
        echo "peers: PyTorch asks for $missing: $package" >&2
        pip --no-deps "$package" || return 1
        last=$package
    done
}

# ncnn's setup.py takes today's date for its version, which pip refuses: a module that Python loads at its
# start gives it the date of the release.
install_ncnn_avx2() {
    local version hook
    if has ncnn; then return; fi
    pip cmake ninja setuptools wheel pybind11 || return 1
    version=$("$venv/bin/pip" --disable-pip-version-check index versions ncnn 2>/dev/null | sed -n 's/^ncnn (\(.*\))/\1/p')
    hook=$(mktemp -d)
    cat > "$hook/sitecustomize.py" <<PYTHON
import time
real = time.strftime
time.strftime = lambda form, *when: "${version##*.}" if form == "%Y%m%d" else real(form, *when)
PYTHON
    PATH=$(cd "$venv/bin" && pwd):$PATH PYTHONPATH=$hook CMAKE_GENERATOR=Ninja EXTRA_CMAKE_ARGS="-DNCNN_VULKAN=OFF \
        -DNCNN_RUNTIME_CPU=OFF -DNCNN_AVX512=OFF -DNCNN_AVXVNNI=OFF -DNCNN_AVXVNNIINT8=OFF -DNCNN_AVXVNNIINT16=OFF \
        -DNCNN_AVXNECONVERT=OFF -DNCNN_XOP=OFF -DNCNN_FMA4=OFF -DNCNN_INT8=OFF -DNCNN_BF16=OFF" \
        pip --no-deps --no-build-isolation --no-binary ncnn "ncnn==$version" || return 1
    rm -r "$hook"
    # The claim is checked: no instruction of the library names a 512-bit register.
    if objdump -d "$venv"/lib/python3*/site-packages/ncnn/*.so | grep -q zmm; then
        echo "peers: the ncnn built here uses AVX-512" >&2
        return 1
    fi
}

if [ ! -x "$venv/bin/python" ]; then python3 -m venv "$venv"; fi
"$venv/bin/python" -c 'import numpy, h5py, onnx, PIL' 2>/dev/null || pip numpy h5py onnx pillow
install_torch || absent PyTorch
for package in onnxruntime openvino nncf MNN; do has $package || { pip $package && has $package; } || absent $package; done
if [ "$isa" = avx2 ]; then
    install_ncnn_avx2 || absent "ncnn without AVX-512"
else
    has ncnn || { pip ncnn && has ncnn; } || absent ncnn
fi
