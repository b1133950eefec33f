#!/usr/bin/env bash
# Unpacks the arm64 packages of the libraries that pulmo links into a directory, for `cmake --preset aarch64` and qemu. Needs
# no root, and changes nothing of this system: apt works with lists and a cache of its own.
#
#   bash jobs/aarch64-sysroot.sh [DIR]
#
# DIR: $PULMO_AARCH64_SYSROOT, or ~/.cache/pulmo/aarch64-sysroot. Does nothing, and needs no network, when it is there. Wants
# Debian: its archive, which apt's sources name, has the packages of every processor. Status 77: this system has no apt.
set -euo pipefail
case ${1:-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
sysroot=${1:-${PULMO_AARCH64_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/pulmo/aarch64-sysroot}}
say() { printf 'aarch64-sysroot: %s\n' "$*" >&2; }

if [ -e "$sysroot/.complete" ]; then
    say "$sysroot is there"
    exit 0
fi
for tool in apt-get dpkg-deb; do
    command -v $tool > /dev/null || { say "there is no $tool: a sysroot is made of Debian's packages"; exit 77; }
done
if [ -d "$sysroot" ] && [ -n "$(ls -A "$sysroot")" ]; then
    say "$sysroot: is neither empty nor complete; remove it"
    exit 64
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-sysroot-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$sysroot"
: > "$work/state/status"
cat > "$work/apt.conf" << CONF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
APT::Install-Recommends "false";
Dir::State "$work/state/";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache/";
CONF
export APT_CONFIG=$work/apt.conf
say "reading the lists of packages"
apt-get update -q > "$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; say "apt-get update failed (see above); is there a network?"; exit 74; }
packages=$(bash "$root/jobs/install-packages.sh" --libraries)
# shellcheck disable=SC2086 # names are words
apt-get install -y -q --download-only $packages > "$work/log" 2>&1 ||
    { tail -n 5 "$work/log" >&2; say "the packages cannot be fetched (see above); is there a network?"; exit 74; }

# What others depend on without being linked stays out: compilers, interpreters, documentation.
for package in "$work"/cache/archives/*.deb; do
    case $(basename "$package") in
    lib*-doc_* | libjs-* | libgcc-*-dev_* | libstdc++-*-dev_* | libgfortran-*-dev_*) ;;
    lib* | zlib* | linux-libc-dev_* | openmpi-common_*) dpkg-deb -x "$package" "$sysroot" ;;
    esac
done
rm -rf "$sysroot/usr/share/doc" "$sysroot/usr/share/man"

# What packages' own scripts would do: the links of update-alternatives. Links that name a file from the root on would lead
# out of the sysroot.
libraries=$sysroot/usr/lib/aarch64-linux-gnu
link() { [ -e "$libraries/$2" ] || ln -s "$1" "$libraries/$2"; }
flavour=$(cd "$libraries" && printf '%s\n' openblas-* | head -n 1)
link "$flavour/libopenblas.so.0" libopenblas.so.0
link "../$flavour/pkgconfig/openblas.pc" pkgconfig/openblas.pc
link hdf5-serial.pc pkgconfig/hdf5.pc
find "$sysroot" -type l -lname '/*' | while read -r name; do
    ln -sfn "$(realpath -ms --relative-to="$(dirname "$name")" "$sysroot$(readlink "$name")")" "$name"
done

# shellcheck disable=SC2086
printf '%s\n' $packages > "$sysroot/.complete"
say "$(find "$work/cache/archives" -name '*.deb' | wc -l) packages are unpacked in $sysroot ($(du -sh "$sysroot" | cut -f 1))"
