#!/usr/bin/env bash
# From a clone to a trained model: installs packages, builds, gets the VGG16 weights, packs, trains
# on all cores with mpirun, and ends with the test result.
#
#   bash jobs/quickstart.sh             on demo data, drawn first (minutes)
#   bash jobs/quickstart.sh DATA_DIR    on your images: train/ val/ test/ with class folders,
#                                       class folders alone, or what `pulmo pack` wrote
#   bash jobs/quickstart.sh DATA_DIR -- OPTIONS
#                                       with options for `pulmo pack` (--patients-unknown,
#                                       --set pack.group_pattern=..., ...) and `pulmo train` (the
#                                       others, as --set train.epochs=10)
#
# What is there already is kept: run twice, it does nothing twice; interrupted, it resumes. Writes
# below runs/ in the repository, or below $PULMO_RUNS. With $PULMO naming a program that is there,
# packages and build are left out: so does "pulmo quickstart", which is this script.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runs=${PULMO_RUNS:-$root/runs}
pulmo=${PULMO:-$root/build/release/bin/pulmo}

say() { printf '%s\n' "$*" >&2; }
step() { say "== $(printf '%4d s' "$SECONDS")  $*"; }
fail() { local status=$1; shift; say "quickstart: $*"; exit "$status"; }

# Runs a command whose output matters only when it fails.
quietly() { # log, command...
    local log=$1 status=0
    shift
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ "$status" != 0 ]; then
        tail -n 30 "$log" >&2
        fail "$status" "this command failed; its whole output is in $log: $*"
    fi
}

build() {
    cd "$root"
    quietly "$runs/configure.log" cmake --preset release
    quietly "$runs/build.log" cmake --build --preset release --parallel "$(nproc)" --target pulmo
    cd - >/dev/null
}

get_weights() {
    if [ -n "${PULMO_WEIGHTS:-}" ]; then
        [ -r "$PULMO_WEIGHTS" ] || fail 65 "PULMO_WEIGHTS: $PULMO_WEIGHTS cannot be read; name the file, or unset it to have the weights fetched"
        step "weights: $PULMO_WEIGHTS"
    else
        step "weights: from the cache, or fetched once (64 MB)"
        "$pulmo" weights fetch </dev/null || exit
    fi
}

# How many ranks: one a physical core that may be used, and no more than memory holds.
count_ranks() {
    local cores cpus memory_mb quota
    cpus=$(nproc)
    cores=$(lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^#' | sort -u | wc -l) || cores=0
    if [ "$cores" -lt 1 ] || [ "$cores" -gt "$cpus" ]; then cores=$cpus; fi
    # A container may be given less time than CPUs.
    if read -r quota period 2>/dev/null </sys/fs/cgroup/cpu.max && [ "$quota" != max ]; then
        quota=$(((quota + period - 1) / period))
        if [ "$quota" -lt "$cores" ]; then cores=$quota; fi
    fi
    memory_mb=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo 2>/dev/null || echo 0)
    while [ "$cores" -gt 1 ] && [ "$memory_mb" -gt 0 ] && [ $((700 + cores * 600)) -gt "$memory_mb" ]; do
        cores=$((cores - 1))
    done
    echo "$cores"
}

# Sets `launch`. Open MPI must be told that it may start so many ranks, and as root.
choose_launcher() { # ranks
    launch=(bash "$root/jobs/mpirun.sh" -n "$1")
    mpirun --version 2>/dev/null | grep "Open MPI" >/dev/null || return 0
    launch+=(--bind-to none)
    if [ -z "${SLURM_JOB_ID:-}" ]; then launch+=(--host "localhost:$1"); fi
    if [ "$(id -u)" = 0 ]; then launch+=(--allow-run-as-root); fi
    # Containers often forbid one process to read another's memory; messages go through a buffer then.
    export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
}

stored() { [ -f "$1/results.h5" ] && "$pulmo" inspect "$1/results.h5"; }
finished() { stored "$1" 2>/dev/null | grep -E '^ +state +finished$' >/dev/null; }

train() { # packed, run directory, configuration, further options...
    local ranks status=0 threads=1 more=()
    # A threshold is between two classes; of more, the most probable one is taken.
    if "$pulmo" inspect "$1/manifest.h5" | grep -E '^ +classes .*,.*,' >/dev/null; then more=(--set eval.threshold=0.5); fi
    more+=("${@:4}")
    if finished "$2"; then
        local theirs
        theirs=$(stored "$2" | awk '/^  [\/]/ { group = $1 } group == "/provenance" && $1 == "@data_path" { sub(/^ *@data_path */, ""); print }')
        if [ -n "$theirs" ] && [ "$theirs" != "$(realpath "$1")" ]; then
            fail 2 "$2 holds the finished run of other data ($theirs); remove it, or set PULMO_RUNS to another directory"
        fi
        step "train: $2 holds the finished run; nothing to do"
        return
    fi
    ranks=$(count_ranks)
    # The configurations' batches of 32 are 4 units of work: further cores become threads.
    if [ "$ranks" -gt 4 ]; then threads=$((ranks / 4)); ranks=4; fi
    choose_launcher "$ranks"
    step "train: $ranks ranks of $threads threads, $3.yaml, into $2"
    "${launch[@]}" "$pulmo" train -c "$3" --set data.path="$1" --set train.run_dir="$2" \
        --set train.threads="$threads" "${more[@]}" </dev/null || status=$?
    if [ "$status" = 75 ]; then fail 75 "interrupted; the same command resumes from the checkpoint in $2"; fi
    if [ "$status" != 0 ]; then fail "$status" "training failed (see above)"; fi
}

# The stored result, from results.h5: the same whether it was trained now or before.
show_result() { # run directory
    local name
    stored "$1" | awk '
        /^  demo +1/ { demo = 1 }
        /^  [\/]/ { group = $1 }
        group == "/test" && /^ +@/ { value[substr($1, 2)] = $2 }
        END {
            if (demo) print "DEMO data: drawn phantoms, not medical images"
            if (!("accuracy" in value)) { print "No test split: nothing to report on"; exit }
            printf "Test accuracy: %.4f (95 %% CI %.4f–%.4f)", value["accuracy"], value["accuracy_low95"], value["accuracy_high95"]
            if ("sensitivity" in value) printf "  sensitivity %.4f  specificity %.4f", value["sensitivity"], value["specificity"]
            printf "  AUC %.4f\n", value["auc"]
        }'
    printf 'Run directory: %s\n' "$1"
    for name in results.h5 model.h5 predictions.csv history.csv report.html; do
        if [ -f "$1/$name" ]; then printf '  %s\n' "$1/$name"; fi
    done
}

# Which command an option is for: sets `for_pack` and `for_train`.
share_options() { # options...
    while [ $# -gt 0 ]; do
        case $1 in
            --patients-unknown | --allow-leaks | --drop-leaks | --set=pack.*) for_pack+=("$1") ;;
            --val-fraction=* | --test-fraction=* | --seed=* | --size=* | --decode=* | --on-bad=*) for_pack+=("$1") ;;
            --val-fraction | --test-fraction | --seed | --size | --decode | --on-bad)
                [ $# -gt 1 ] || fail 2 "$1 needs a value"
                for_pack+=("$1" "$2"); shift ;;
            --set)
                [ $# -gt 1 ] || fail 2 "--set needs KEY=VALUE"
                case $2 in pack.*) for_pack+=(--set "$2") ;; *) for_train+=(--set "$2") ;; esac
                shift ;;
            *) for_train+=("$1") ;;
        esac
        shift
    done
}

# A finished run answers only for the options it was made with.
check_options() { # run directory, options...
    local run=$1 file=$1.options
    shift
    if finished "$run" && [ "$(cat "$file" 2>/dev/null)" != "$*" ]; then
        fail 2 "$run holds the finished run of other options ($(cat "$file" 2>/dev/null || true)); remove it, or set PULMO_RUNS to another directory"
    fi
    printf '%s\n' "$*" >"$file"
}

main() {
    local data='' name=demo packed config=demo for_pack=() for_train=()
    case ${1:-} in -h | --help) sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;; esac
    if [ $# -gt 0 ] && [ "$1" != -- ]; then data=$1; shift; fi
    if [ $# -gt 0 ] && [ "$1" != -- ]; then fail 2 "one DATA_DIR at a time, options behind --; got also: $*"; fi
    if [ $# -gt 0 ]; then shift; fi
    if [ -n "$data" ]; then
        [ -d "$data" ] || fail 2 "$data: is not a directory; give a folder that holds class folders of images"
        data=$(cd "$data" && pwd)
        name=$(basename "$data")
        config=recommended
        for_pack=(--set pack.val_fraction=0.15 --set pack.test_fraction=0.15)
    fi
    share_options "$@"
    mkdir -p "$runs" || fail 74 "$runs: cannot be made; set PULMO_RUNS to a directory that can be written"
    runs=$(cd "$runs" && pwd)
    packed=$runs/$name-packed

    if [ -z "${PULMO:-}" ]; then
        step "packages"
        bash "$root/jobs/install-packages.sh"
        step "build"
        build
    fi
    get_weights
    if [ -z "$data" ]; then
        step "demo data (drawn, not medical images)"
        data=$runs/demo-data
        "$pulmo" demo-data "$data"
    fi
    if [ -f "$data/manifest.h5" ]; then
        packed=$data
        step "pack: $data is packed already"
    else
        step "pack: $data"
        "$pulmo" pack "$data" "$packed" "${for_pack[@]}" >&2 \
            || fail $? "packing failed (see above); for a fresh start remove $packed and $runs/$name, or set PULMO_RUNS"
    fi
    check_options "$runs/$name" "$@"
    train "$packed" "$runs/$name" "$config" "${for_train[@]}"
    step "done"
    show_result "$runs/$name"
}

main "$@"
