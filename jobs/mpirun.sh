#!/usr/bin/env bash
# mpirun whose ranks get to hear of Ctrl-C, SIGTERM and the end of its terminal (SIGHUP; not under nohup).
# Takes what mpirun takes:
#
#   bash jobs/mpirun.sh -n 2 pulmo train -c recommended --set ...
#
# Open MPI's mpirun answers both signals by killing its ranks in the middle of what they do (version 4
# two seconds later, version 5 at once), and ends with status 1. Here mpirun does not get them: its
# ranks are asked, by SIGUSR1, to write a checkpoint and end with status 75. A second one goes to
# mpirun itself.
set -u
export PULMO_MPIRUN=1 # tells pulmo that it is here

asked=0
ask() {
    asked=$((asked + 1))
    if [ "$asked" = 1 ]; then kill -USR1 "$launcher"; else kill -TERM "$launcher"; fi 2>/dev/null
}

# Where it does not come through this script, a signal leaves ranks ten seconds for a checkpoint.
export OMPI_MCA_odls_base_sigkill_timeout=${OMPI_MCA_odls_base_sigkill_timeout:-10}
# In the background, which must not read from the terminal, with a process group of its own.
if [ -t 0 ]; then exec </dev/null; fi
launcher=''
trap 'ask' INT TERM HUP
set -m
mpirun "$@" &
launcher=$!
set +m
status=0
wait "$launcher" || status=$?
while kill -0 "$launcher" 2>/dev/null; do
    status=0
    wait "$launcher" || status=$?
done
exit "$status"
