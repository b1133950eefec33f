#!/usr/bin/env bash
# pulmo for AArch64, on this machine: fetches a sysroot, cross-builds, runs the tests under qemu, and trains the networks of
# bench/digests.sh, whose digests must be those of x86-64.
#
#   bash tests/aarch64/run.sh [CTest's options, as -R '^nn']
#
# Wants Debian with: apt-get install --no-install-recommends gcc-aarch64-linux-gnu g++-aarch64-linux-gnu qemu-user
# The sysroot stays in $PULMO_AARCH64_SYSROOT, or ~/.cache/pulmo/aarch64-sysroot; the build in build/aarch64. Rows of the
# table use this machine's build/release. Status 77: a tool is absent, and which.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
root=$(cd "$(dirname "$0")/../.." && pwd)
say() { printf 'aarch64: %s\n' "$*"; }
for tool in aarch64-linux-gnu-gcc qemu-aarch64 apt-get dpkg-deb cmake mpirun; do
    command -v $tool > /dev/null || { say "skipped: there is no $tool"; exit 77; }
done
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
unset PULMO_TEST_DATA PULMO_WEIGHTS # small images are enough for a processor that is emulated
jobs=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
export PULMO_AARCH64_SYSROOT=${PULMO_AARCH64_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/pulmo/aarch64-sysroot}

cd "$root"
bash jobs/aarch64-sysroot.sh "$PULMO_AARCH64_SYSROOT"
for preset in release aarch64; do
    say "building the preset $preset"
    cmake --preset $preset -DPULMO_TESTS=ON > /dev/null
    cmake --build --preset $preset --parallel "$jobs" | tail -n 1
done

# Rooms whose tests need neither mpirun nor tools of this machine's kind.
chosen=("$@")
[ $# -gt 0 ] || chosen=(-R '^(core|config|privacy|table|image|h5|data|demo|prep|weights|nn|metrics|model|features|results|infer|export|report)[.]')
say "tests under $(qemu-aarch64 --version | head -n 1)"
ctest --preset aarch64 --parallel "$jobs" --no-tests=error "${chosen[@]}"
say "the table of digests"
PULMO_AARCH64=$root/build/aarch64 bash bench/digests.sh --aarch64 build/release
