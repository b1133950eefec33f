#!/usr/bin/env bash
# Another launcher behind Open MPI's options, for tests: bash mpirun.sh LAUNCHER WORDS-OF-MPIRUN...
# Hydra (MPICH, Intel MPI, MVAPICH) runs more ranks than there are CPUs, and as root, without being told; -x NAME=VALUE is
# its -env.
launcher=$1
shift
words=()
options=yes # until the program's name
while [ $# -gt 0 ]; do
    case $options$1 in
    yes--oversubscribe | yes--allow-run-as-root) ;;
    yes--bind-to) shift ;;
    yes-x) words+=(-env "${2%%=*}" "${2#*=}"); shift ;;
    yes-n | yes-np) words+=(-n "$2"); shift ;;
    *:) words+=("$1"); options=yes ;;
    yes-*) words+=("$1") ;;
    *) words+=("$1"); options=no ;;
    esac
    shift
done
exec "$launcher" "${words[@]}"
