#!/usr/bin/env bash
# One seed, one model: trains a small network (drawn images, random convolutions) on many numbers of ranks and threads, over
# shared memory and TCP, with every algorithm of the nonblocking allreduce (libnbc: gradients) and of the blocking one (tuned:
# bounds and agreements) that this Open MPI has, with every tier of kernels that this machine has, with ranks of several tiers
# together, with several of OpenBLAS's kernel sets, with BLIS and the reference BLAS where they are installed, and with a C library
# that uses neither AVX2 nor FMA. Prints the digest of each trained model in one table. Ends with status 1 unless all digests of
# one network are equal, and those that are known of this version of the arithmetic.
#
#   bash bench/digests.sh [--short | --aarch64] [BUILD_DIR]
#
# BLAS="FILE...": shared libraries that have the cblas functions, each put in place of OpenBLAS's; default: those of Debian's
# packages libblis4-* and libblas3.
#
# Everything: some minutes on two cores. --short: a minute's choice of rows, for the test suite.
# PULMO_AARCH64 names the build directory of `cmake --preset aarch64`: rows of that program, run by qemu, follow the others.
# --aarch64: only those.
set -euo pipefail
choice=all
case ${1:-} in --short | --aarch64) choice=${1#--}; shift ;; esac
build=$(readlink -f "${1:-$(dirname "$0")/../build/release}")
pulmo=$build/bin/pulmo
[ -x "$pulmo" ] && [ -x "$build/tests/make_weights" ] || { echo "$build: no program; build first" >&2; exit 1; }

arm=
if [ $choice = aarch64 ] && [ -z "${PULMO_AARCH64:-}" ]; then echo "--aarch64: PULMO_AARCH64 names no build" >&2; exit 2; fi
if [ -n "${PULMO_AARCH64:-}" ]; then
    arm=$(readlink -f "$PULMO_AARCH64")/emulated/bin/pulmo
    [ -x "$arm" ] || { echo "PULMO_AARCH64=$PULMO_AARCH64: no program for qemu; run tests/aarch64/run.sh" >&2; exit 1; }
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-digests-XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
"$build/tests/make_weights" weights.safetensors
export PULMO_WEIGHTS=$work/weights.safetensors
"$pulmo" demo-data demo --train 45 --val 11 --test 5 --seed 3 -q
"$pulmo" pack demo packed --size 64 -q

# Batches of 16, the last one short, in slots of 2: 8 ranks have one slot each, and none in the last batch. The
# gradients fill several pieces of a sum.
settings=(--set train.epochs=2 --set train.batch=16 --set train.microbatch=2 --set train.patience=0
    --set 'model.hidden=[400, 20]' --set optim.clip_norm=0.05)
head_only=(--set model.trainable=head)
all=(--set model.trainable=all)
block5=(--set model.trainable=block5 --set 'train.unfreeze_epochs=[1]')
# What the others leave at its default: every augmentation, AdamW and its average, a schedule, views, temperature; a bank and SGD.
settings_on=(--set model.trainable=block5 --set model.pool=avgmax --set model.dropout=0.3 --set optim.name=adamw --set optim.weight_decay=0.01
    --set optim.schedule=cosine --set optim.warmup_epochs=0.5 --set optim.ema=0.9 --set optim.label_smoothing=0.1
    --set optim.class_weights=balanced --set train.monitor=auc --set eval.tta=3 --set eval.calibration=temperature
    --set 'augment.scale=[0.8, 1.1]' --set augment.gamma=0.4 --set augment.equalize=0.3 --set augment.autocontrast=0.3
    --set augment.sharpness=0.5 --set 'augment.blur=[0, 1.5]' --set augment.noise=0.05 --set augment.erasing=0.3 --set 'augment.strength=[0, 1]')
from_bank=(--set train.features=bank --set bank.views=2 --set bank.precision=half --set bank.path=bank --set model.pool=max --set optim.name=sgd
    --set optim.lr=0.01 --set optim.schedule=step --set optim.step_epochs=1)

failed=0 rows=0
# The digests of this version of the arithmetic, on every machine: a change of bits raises PULMO_ARITHMETIC, and is a line of
# CHANGELOG.md.
declare -A wanted=(
    [head_only]=94a52bf5f69b906b7d6f37ab33b35060e26caf0fe56b3fae25d6b1f25161090a
    [block5]=9330c646f6de1a263b554e2634361086e7a101d68dbb88d6bbb376321d909c62
    [all]=203b5702bbec9e7d952d5d885da8020489683570bd6cdd541463d3f6c688750f
    [settings_on]=9e434edddd7cd9f9bf7a3101aa2099c1b7bdf80e7c4c5234954a47cedf988530
    [from_bank]=4f351ea77ba3b0cf486ab4064246d0309c0491be00c0d8185e3900dae4db35bc
)
# row NETWORK EXCHANGE TRANSPORT "MPI OPTIONS" RANKS THREADS
row() {
    local network=$1 exchange=$2 transport=$3 options=$4 ranks=$5 threads=$6 head note=
    local -n trained=$network
    rm -rf run bank
    # shellcheck disable=SC2086 # options are words
    if ! mpirun --bind-to none -n "$ranks" $options ${program:-$pulmo} train --set data.path="${packed:-packed}" "${settings[@]}" "${trained[@]}" --set train.exchange="$exchange" \
        --set train.run_dir=run --set train.threads="$threads" > out.txt 2> err.txt; then
        tail -n 5 err.txt >&2
    fi
    head=$(sed -n 's/^Head SHA-256: //p' out.txt)
    [ -n "${wanted[$network]:-}" ] || wanted[$network]=$head
    if [ -z "$head" ] || [ "$head" != "${wanted[$network]}" ]; then failed=1 note=" **differs**"; fi
    [ -f "first-$network.csv" ] || cp run/predictions.csv "first-$network.csv"
    if ! cmp -s run/predictions.csv "first-$network.csv"; then failed=1 note+=" **other scores**"; fi
    rows=$((rows + 1))
    printf '| %s | %s | %s | %d | %d | `%s`%s |\n' "${network/_/ }" "$exchange" "$transport" "$ranks" "$threads" "${head:-no model}" "$note"
}

shm= tcp="--mca pml ob1 --mca btl self,tcp"
algorithms=$(ompi_info --param coll tuned -l 9 --parsable | sed -n 's/.*param:coll_tuned_allreduce_algorithm:enumerator:value:\([1-9][0-9]*\):.*/\1/p')
sums=$(ompi_info --param coll libnbc -l 9 --parsable | sed -n 's/.*param:coll_libnbc_iallreduce_algorithm:enumerator:value:\([1-9][0-9]*\):.*/\1/p')
tuned() { echo "--mca coll_tuned_use_dynamic_rules 1 --mca coll_tuned_allreduce_algorithm $1"; }
libnbc() { echo "--mca coll_libnbc_iallreduce_algorithm $1"; }

# The tiers of this machine, slowest first.
tiers=
for tier in ref neon avx2 avx512; do
    ! PULMO_ISA=$tier "$pulmo" bench conv --size 32 --seconds 1 --batch 1 > /dev/null 2>&1 || tiers="$tiers $tier"
done
# kernels NETWORK EXCHANGE: rows of other tiers and of other kernels of OpenBLAS.
kernels() {
    local tier core
    for tier in $tiers; do PULMO_ISA=$tier row "$1" "$2" "kernels $tier" "" 2 1; done
    for core in Nehalem Haswell Zen SkylakeX; do
        # A set that the processor cannot run ends the program.
        OPENBLAS_CORETYPE=$core "$pulmo" weights check > /dev/null 2>&1 || continue
        OPENBLAS_CORETYPE=$core row "$1" "$2" "OpenBLAS $core" "" 1 1
    done
}
# other_blas NETWORK EXCHANGE: a library that is loaded first has its functions taken in place of OpenBLAS's.
other_blas() {
    local library
    for library in ${BLAS-/usr/lib/*/blis-*/libblas.so.3 /usr/lib/*/blas/libblas.so.3}; do
        [ -e "$library" ] || continue
        program="env LD_PRELOAD=$library $pulmo" row "$1" "$2" "$(basename "$(dirname "$library")") in place of OpenBLAS" "" 2 1
    done
}
# Each rank with a tier of its own; `row` starts what is in `mixed` in place of the program.
mixed() {
    local rank=0 tier
    for tier in $tiers; do
        printf '[ "$OMPI_COMM_WORLD_RANK" != %d ] || export PULMO_ISA=%s\n' $rank "$tier"
        rank=$((rank + 1))
    done
    printf 'exec "%s" "$@"\n' "$pulmo"
}
mixed > mixed.sh

# The program of another processor, in qemu: with its own kernels and the portable ones, on this machine's pack and on its own.
# It draws a few images alone: one takes a second there.
aarch64() {
    local program=$arm network few=(--train 2 --val 1 --test 1 --seed 3 -q)
    "$pulmo" demo-data few "${few[@]}"
    "$arm" demo-data few-there "${few[@]}"
    diff -r few few-there > /dev/null || { failed=1; echo "AArch64 draws other images"; }
    "$arm" pack demo packed-there --size 64 -q
    for network in head_only block5; do
        row $network sums "AArch64, kernels neon" "$shm" 1 1
        PULMO_ISA=ref row $network sums "AArch64, kernels ref" "$shm" 1 1
        packed=packed-there row $network sums "AArch64, packed there" "$shm" 1 2
    done
    row head_only factors "AArch64, TCP" "$tcp" 3 1
}

echo "| trained | sent | transport, algorithm | ranks | threads | Head SHA-256 |"
echo "|---|---|---|---|---|---|"
if [ $choice = short ]; then
    row head_only sums "shared memory" "$shm" 1 1
    row head_only factors "shared memory" "$shm" 5 1
    row head_only sums "TCP" "$tcp" 2 2
    row head_only factors "TCP" "$tcp" 8 1
    row head_only sums "shared memory, tuned 6" "$(tuned 6)" 3 1
    row head_only sums "shared memory, libnbc 3" "$(libnbc 3)" 4 1
    row block5 sums "shared memory" "$shm" 1 2
    row block5 factors "TCP" "$tcp" 3 1
    for tier in $tiers; do PULMO_ISA=$tier row block5 sums "kernels $tier" "$shm" 1 1; done
    program="bash mixed.sh" row head_only sums "mixed kernels" "$shm" 3 1
    program="bash mixed.sh" row block5 sums "mixed kernels" "$shm" 3 1
    GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA row settings_on sums "C library without FMA" "$shm" 1 1
    program="bash mixed.sh" row settings_on sums "mixed kernels" "$shm" 3 1
    row from_bank sums "shared memory" "$shm" 2 1
elif [ $choice = all ]; then
    for exchange in sums factors; do
        for ranks in 1 2 3 4 5 8; do for threads in 1 2; do
            row head_only $exchange "shared memory" "$shm" $ranks $threads
            [ $ranks = 1 ] || row head_only $exchange "TCP" "$tcp" $ranks $threads
        done; done
        for algorithm in $algorithms; do row head_only $exchange "TCP, tuned $algorithm" "$tcp $(tuned "$algorithm")" 5 1; done
    done
    for algorithm in $algorithms; do for ranks in 2 3 4 5 8; do
        row head_only sums "shared memory, tuned $algorithm" "$(tuned "$algorithm")" $ranks 1
    done; done
    for algorithm in $sums; do for ranks in 3 4 8; do
        row head_only sums "shared memory, libnbc $algorithm" "$(libnbc "$algorithm")" $ranks 1
    done; done
    for ranks in 1 2 3 5 8; do row block5 sums "shared memory" "$shm" $ranks 1; done
    row block5 factors "shared memory" "$shm" 2 2
    row block5 factors "shared memory" "$shm" 8 1
    for algorithm in $algorithms; do row block5 sums "TCP, tuned $algorithm" "$tcp $(tuned "$algorithm")" 4 1; done
    for network in head_only block5 all settings_on from_bank; do
        kernels $network sums
        other_blas $network sums
        program="bash mixed.sh" row $network sums "mixed kernels" "$shm" 3 1
        GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA row $network sums "C library without FMA" "$shm" 1 1
    done
fi
[ -z "$arm" ] || aarch64
echo
if [ $failed = 0 ]; then echo "$rows runs, one model of each network"; else echo "$rows runs: models differ"; fi
exit $failed
