#!/usr/bin/env bash
# Builds pulmo and runs every test. Exit status 0 only if all passed; the last line is CTest's.
#
#   bash tests/run.sh [--preset release|dev|asan-ubsan|tsan] [CTest's options, as -R '^data']
#
# Installs the packages that tests need, unless they are there. Tests on real images and on the real
# weights are skipped, and say so, unless PULMO_TEST_DATA and PULMO_WEIGHTS name them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
preset=release
case ${1:-} in
--preset) preset=${2:?a name must follow --preset}; shift 2 ;;
-h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
esac

bash "$root/jobs/install-packages.sh" --tests

# Ranks of a test share few cores: they give way when they wait. Open MPI refuses root without a word.
export OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

# For the sanitizer presets: what other libraries leak is not ours to mend.
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$root/tests/lsan.supp:print_suppressions=0}

cd "$root"
cmake --preset "$preset" -DPULMO_TESTS=ON
cmake --build --preset "$preset" --parallel "$(nproc)"
exec ctest --preset "$preset" --parallel "$(nproc)" --no-tests=error "$@" 2>&1 </dev/null
