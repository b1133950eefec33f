#!/usr/bin/env bash
# Installs a package that cpack made into a fresh Debian in a chroot, as a user would; runs it as somebody who is not root; purges
# it, and looks whether anything of it stays.
#
#   bash packaging/debian/try.sh FILE.deb [RELEASE]        RELEASE: of the system that built it (default bookworm)
#
# As root, with debootstrap and a network. PULMO_WEIGHTS names the file of weights (pulmo weights fetch). The chroot stays in
# $PULMO_TRY (or ~/.cache/pulmo/try), without the package.
set -euo pipefail
case ${1:-} in '' | -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac
package=$1 release=${2:-bookworm}
die() { printf 'try: %s\n' "$1" >&2; exit "${2:-1}"; }
[ "$(id -u)" = 0 ] || die "a chroot needs root" 77
command -v debootstrap > /dev/null || die "there is no debootstrap (apt-get install debootstrap)" 77
[ -r "${PULMO_WEIGHTS:-}" ] || die "PULMO_WEIGHTS names no file of weights" 77

system=${PULMO_TRY:-$HOME/.cache/pulmo/try}/deb-$release
log=$system.log
mkdir -p "$(dirname "$system")"
if [ ! -e "$system/.complete" ]; then
    debootstrap --variant=minbase "$release" "$system" http://deb.debian.org/debian > "$log" 2>&1 || die "debootstrap failed: $log"
    touch "$system/.complete"
fi
cp -L /etc/resolv.conf "$system/etc/resolv.conf"
for folder in proc dev; do mount --bind "/$folder" "$system/$folder"; done
trap 'umount "$system/proc" "$system/dev"' EXIT
inside() { chroot "$system" env -i PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }

# What a system with the libraries and a launcher has, before pulmo comes.
inside apt-get install -y -q --no-install-recommends openmpi-bin > "$log" 2>&1 || die "openmpi-bin cannot be installed: $log"
there() { (cd "$system" && find usr etc opt srv var/lib -name '*pulmo*' ! -path 'var/lib/dpkg/*' | sort); }
[ -z "$(there)" ] || die "something of pulmo is there before it is installed: $(there)"

cp "$package" "$system/pulmo.deb"
cp "$PULMO_WEIGHTS" "$system/weights.safetensors" && chmod 644 "$system/weights.safetensors"
inside apt-get install -y -q --no-install-recommends /pulmo.deb > "$log" 2>&1 || die "it cannot be installed: $log"
missing=$(inside ldd /usr/bin/pulmo | grep 'not found' || true)
[ -z "$missing" ] || die "libraries that the package does not depend on: $missing"

rm -rf "$system/home/reader" && mkdir -p "$system/home/reader" && chown 1000:1000 "$system/home/reader"
chroot --userspec=1000:1000 "$system" env -i PATH=/usr/bin:/bin HOME=/home/reader PULMO_WEIGHTS=/weights.safetensors \
    OMPI_MCA_rmaps_base_oversubscribe=1 bash -euc '
    cd
    pulmo --version | head -n 1
    pulmo configs | grep -q "^recommended "
    zcat /usr/share/man/man1/pulmo.1.gz | head -n 1 | grep -q PULMO
    pulmo demo-data demo --train 26 --val 11 --test 9 --seed 3 -q
    pulmo pack demo packed --size 64 -q
    mpirun -n 2 pulmo train -c demo --set data.path=packed --set train.run_dir=run -q | grep "^Head SHA-256: "
    pulmo predict run demo/test -q | wc -l
' || die "the installed program does not work"

inside apt-get purge -y -q --autoremove pulmo > "$log" 2>&1 || die "it cannot be purged: $log"
rm -rf "$system/pulmo.deb" "$system/weights.safetensors" "$system/home/reader"
[ -z "$(there)" ] || die "something stays after purge: $(there)"
echo "installed, run and purged: $(basename "$package") on $release"
