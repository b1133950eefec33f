#!/usr/bin/env bash
# Installs the packages that building and running pulmo need, with --tests those of the tests,
# with --fences clang, clang-format and clang-tidy of version 14, which hold the style, and what fuzzing
# needs (tests/fuzz).
#
#   bash jobs/install-packages.sh [--tests] [--fences]
#   bash jobs/install-packages.sh --libraries      only names the libraries' packages, one a line
#
# Does nothing, and needs no network, when all are there. Uses apt-get, through sudo unless root.
# Without apt or without the right to use it, it looks for the programs themselves, and continues if
# they are found: CMake looks for the libraries, and names those that are missing. What is optional
# (DCMTK, for DICOM files) is installed if that can be done; else a line says what is left out.
set -euo pipefail

# One package a line; a|b: either will do, the first that the system knows is installed.
run_packages="build-essential cmake ninja-build pkg-config|pkgconf openmpi-bin libopenmpi-dev
libopenblas-pthread-dev|libopenblas-openmp-dev|libopenblas-dev
libjpeg62-turbo-dev|libjpeg-turbo8-dev libpng-dev libhdf5-dev hdf5-tools
libyaml-dev libcsv-dev libjansson-dev libzip-dev zlib1g-dev libssl-dev libxxhash-dev
python3 python3-pip"
# pulmo is built without these, too, and then says what it does not read.
optional_packages="libdcmtk-dev"
test_packages="libcmocka-dev python3-h5py python3-pil"
fence_packages="clang-14 libclang-rt-14-dev|libclang-common-14-dev clang-format-14 clang-tidy-14"
fence_commands="clang-14 clang-format-14 clang-tidy-14"

# The commands among them, for systems whose package names differ.
run_commands="cc cmake make mpicc mpirun python3"

say() { printf '%s\n' "$*" >&2; }
fail() { local status=$1; shift; say "install-packages: $*"; exit "$status"; }

installed() {
    dpkg-query -W -f '${Status}\n' "$1" 2>/dev/null | grep -q '^install ok installed$'
}

# Prints the packages that are missing, alternatives as they were written.
missing_packages() {
    local entry name found
    for entry in "$@"; do
        found=no
        for name in ${entry//|/ }; do
            if installed "$name"; then found=yes; break; fi
        done
        [ "$found" = yes ] || printf '%s\n' "$entry"
    done
}

# The first of a|b that apt knows.
choose() {
    local name
    for name in ${1//|/ }; do
        if apt-cache show "$name" >/dev/null 2>&1; then printf '%s\n' "$name"; return; fi
    done
    printf '%s\n' "${1%%|*}"
}

# Those that are not in PATH.
missing_commands() {
    local part
    for part in $1; do command -v "$part" >/dev/null 2>&1 || printf '%s\n' "$part"; done
}

privilege() {
    if [ "$(id -u)" = 0 ]; then return 0; fi
    command -v sudo >/dev/null 2>&1 || return 1
    if [ -t 0 ]; then echo sudo; else echo "sudo -n"; sudo -n true 2>/dev/null; fi
}

go_on_if_found() { # why, packages, commands
    local missing
    missing=$(missing_commands "$3")
    if [ -z "$missing" ]; then
        say "install-packages: $1, but all programs that are needed were found; CMake names the libraries that are missing"
        return 0
    fi
    fail 1 "$1, and these programs were not found:
$missing
Debian names the packages: $2
Install them in this system's way and run the same command again."
}

# Those that are linked, of the program and the tests: a sysroot of another processor needs no more.
name_libraries() {
    local entry
    for entry in $run_packages $optional_packages $test_packages; do
        case $entry in lib* | zlib*) choose "$entry" ;; esac
    done
}

# Uses `as_root` of its caller. Fails where apt does.
install() {
    local entry chosen=()
    $as_root apt-get update -q </dev/null >&2 || return 1
    for entry in "$@"; do chosen+=("$(choose "$entry")"); done
    say "install-packages: installing ${chosen[*]}"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${chosen[@]}" </dev/null >&2
}

install_optional() {
    local missing as_root
    # shellcheck disable=SC2086 # split on purpose
    missing=$(missing_packages $optional_packages)
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    if as_root=$(privilege) && install $missing; then return 0; fi
    say "install-packages: without ${missing//$'\n'/ }: DICOM files will not be read"
}

main() {
    local tests=no fences=no packages=$run_packages commands=$run_commands
    local missing as_root entry
    for entry in "$@"; do
        case $entry in
        --tests) tests=yes ;;
        --fences) fences=yes ;;
        --libraries) name_libraries; return ;;
        -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail 2 "unknown argument \"$entry\"; --tests, --fences and --libraries are known" ;;
        esac
    done
    if [ "$tests" = yes ]; then
        packages="$packages $test_packages"
    fi
    if [ "$fences" = yes ]; then
        packages="$packages $fence_packages"
        commands="$commands $fence_commands"
    fi
    if ! command -v dpkg-query >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1; then
        go_on_if_found "this system has no apt" "${packages//$'\n'/ }" "$commands"
        return
    fi
    # shellcheck disable=SC2086 # split on purpose
    missing=$(missing_packages $packages)
    if [ -z "$missing" ]; then
        install_optional
        return
    fi
    if ! as_root=$(privilege); then
        go_on_if_found "not root and no sudo" "${missing//$'\n'/ }" "$commands"
        return
    fi
    # shellcheck disable=SC2086
    install $missing || fail 74 "packages cannot be installed (see above): ${missing//$'\n'/ }; is there a network?"
    install_optional
}

main "$@"
