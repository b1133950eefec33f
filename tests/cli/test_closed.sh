#!/usr/bin/env bash
# Standard descriptors that are closed before the program begins (2>&-, as some daemons leave them): no file gets their numbers,
# so that nothing that is printed is written into one.
. "$(dirname "$0")/common.sh"
make_small
"$PULMO" pack demo closed --size 64 <&- 2>&- || fail "pack without standard error: status $?"
for file in packed/*.h5; do cmp "$file" "closed/$(basename "$file")" || fail "pack wrote messages into its files"; done
"$PULMO" verify closed > /dev/null 2>&1 || fail "what was packed is damaged"

small_train open env > open.txt 2> /dev/null
small_train shut env > shut.txt 2>&- || fail "train without standard error: status $?"
[ "$(head_of shut.txt)" = "$(head_of open.txt)" ] || fail "another model"
for file in model.h5 history.csv predictions.csv; do cmp "open/$file" "shut/$file" || fail "train wrote messages into $file"; done
"$PULMO" verify shut > /dev/null 2>&1 || fail "what was trained is damaged"

# What cannot be printed is an error, not lost.
status=0
"$PULMO" predict open demo/test >&- 2> said.txt || status=$?
[ "$status" = 74 ] && grep -q "cannot write to standard output" said.txt || { cat said.txt; fail "status $status without standard output"; }
"$PULMO" evaluate open --data packed --out scored >&- 2>&- && fail "evaluate printed to nowhere with status 0"
"$PULMO" verify scored > /dev/null 2>&1 || fail "what was evaluated is damaged"
echo "nothing is printed into files"
