#!/usr/bin/env bash
# What does Ctrl-C cost a run with fine-tuned convolutions? Trains configs/recommended.yaml on two ranks three times: to the end;
# interrupted as a terminal does it (SIGINT to the process group) under plain mpirun; interrupted under jobs/mpirun.sh. The
# interrupted ones are resumed by the same command.
#
#   bash bench/interrupt.sh PACKED [--after SECONDS] [--epochs N] [--pulmo PATH]
#
# --after (default 100): seconds of the run before SIGINT. What is lost is the time of both parts beyond that of the run that was
# not stopped: starting twice, and the batches after the last checkpoint. Ends with status 1 where models differ. The last
# line is one JSON object.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
after=100 epochs=4 pulmo=$here/build/release/bin/pulmo
[ $# -ge 1 ] || { echo "usage: interrupt.sh PACKED [--after SECONDS] [--epochs N] [--pulmo PATH]" >&2; exit 2; }
packed=$(realpath "$1")
shift
while [ $# -gt 0 ]; do
    case $1 in
        --after) after=$2 ;;
        --epochs) epochs=$2 ;;
        --pulmo) pulmo=$(realpath "$2") ;;
        *) echo "$1: not an option; see the head of $0" >&2; exit 2 ;;
    esac
    shift 2
done
work=$(mktemp -d "${TMPDIR:-/tmp}/pulmo-interrupt-XXXXXX")
trap 'rm -rf "$work"' EXIT
unset OMPI_MCA_odls_base_sigkill_timeout

train() { # RUN LAUNCHER...
    "${@:2}" --oversubscribe -n 2 "$pulmo" train -c "$here/configs/recommended.yaml" --set data.path="$packed" \
        --set train.run_dir="$work/$1" --set train.epochs="$epochs" --set train.patience=0 --set eval.threshold=0.5 \
        >> "$work/$1.txt" 2>> "$work/$1.err"
}
seconds() { date +%s.%N; }
minus() { awk "BEGIN { printf \"%.1f\", $1 - $2 }"; }
head_of() { sed -n 's/^Head SHA-256[: ]*//p' "$work/$1.txt" | tail -1; }

began=$(seconds)
train whole mpirun
whole=$(minus "$(seconds)" "$began")
echo "whole: $whole s" >&2

# lost RUN LAUNCHER...: seconds beyond the whole run's
lost() {
    local run=$1 began first again pid
    shift
    began=$(seconds)
    set -m
    train "$run" "$@" &
    pid=$!
    set +m
    sleep "$after"
    kill -0 "$pid" 2> /dev/null || { echo "$run ended within $after s; give a smaller --after" >&2; exit 2; }
    kill -INT -- "-$pid"
    wait "$pid" || true
    first=$(minus "$(seconds)" "$began")
    began=$(seconds)
    train "$run" "$@"
    again=$(minus "$(seconds)" "$began")
    echo "$run: $first s, then $again s" >&2
    [ "$(head_of "$run")" = "$(head_of whole)" ] || { echo "$run: another model than the run that was not stopped" >&2; exit 1; }
    minus "$(awk "BEGIN { print $first + $again }")" "$whole"
}
killed=$(lost killed mpirun)
asked=$(lost asked bash "$here/jobs/mpirun.sh")
echo "{\"whole_s\": $whole, \"after_s\": $after, \"lost_mpirun_s\": $killed, \"lost_jobs_mpirun_s\": $asked}"
