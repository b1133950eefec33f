#!/usr/bin/env bash
# One table of commands: --help, the manual page, completion and what is accepted agree.
. "$(dirname "$0")/common.sh"

offered() { "$PULMO" help --complete "$@" | cut -f1; }
commands=$(offered "" | grep -v -e '^-' -e '^help$')
[ "$(wc -w <<< "$commands")" -ge 13 ] || fail "commands: $commands"
[ "$commands" = "$("$PULMO" --help | sed -n 's/^  \([a-z-]*\)  .*/\1/p')" ] || fail "--help lists other commands"
"$PULMO" help --man > pulmo.1
page_of() { awk -v name="$1" '/^\.S[SH] /{on = ($0 == ".SS pulmo " name)} on' pulmo.1 | sed 's/\\-/-/g; s/\\f[A-Z]//g'; }

# ---- every command ----
for command in $commands; do
    "$PULMO" "$command" --help > help.txt || fail "$command --help: status $?"
    grep -q "^Usage: pulmo $command " help.txt || fail "$command --help has no usage"
    "$PULMO" help "$command" | cmp - help.txt || fail "help $command differs from $command --help"
    "$PULMO" "$command" --usage > /dev/null || fail "$command --usage: status $?"
    sed -nE 's/^ +(-., )?--([a-z-]+).*/\2/p' help.txt | sort > options.txt
    offered "$command" -- | sed 's/^--//' | sort | cmp - options.txt || fail "$command: completion offers other options than --help"
    awk '/^[a-z]+:$/ {s = substr($1, 1, length($1) - 1)} /^Exit|^In the file/ {s = ""} s && /^  [a-z0-9_]+ / {print s "." $1 "="}' help.txt > keys.txt
    offered "$command" --set "" | cmp - keys.txt || fail "$command: completion offers other keys than --help"
    page_of "${command//-/\\\\-}" > page.txt
    grep -q "^pulmo $command " page.txt || fail "the manual page has no use of $command"
    while read -r option; do
        case $option in config | set | quiet | verbose | help | usage | version) continue ;; esac
        grep -q -- "^--$option\(=\|\$\)" page.txt || fail "the manual page of $command lacks --$option"
    done < options.txt
    cp options.txt "options-$command.txt"
done
for option in config set quiet verbose help usage version; do
    grep -q -- "\\\\-\\\\-$option\\\\fR" pulmo.1 || fail "the manual page lacks --$option"
done
"$PULMO" train --help | awk '/^[a-z]+:$/,/^$/' > keys.txt
[ "$(wc -l < keys.txt)" -gt 100 ] || fail "keys: $(wc -l < keys.txt) lines"
diff <(sed 's/-/\\-/g' keys.txt | sed '/^$/d') <(sed '/^pack:$/,/^augment:$/{/^augment:$/!d}' pulmo.1) | grep '^<' && fail "the manual page lacks keys"
if command -v man > /dev/null; then
    [ -z "$(MANWIDTH=100 man -l --warnings pulmo.1 2>&1 > page.txt)" ] || fail "the manual page has mistakes of roff"
    grep -q "optim:" page.txt || fail "the manual page shows no keys"
fi

# ---- the page of commands ----
page=$PULMO_SOURCE/docs/reference/commands.md
for command in $commands; do
    grep -q "^| \`pulmo $command[ \`]" "$page" || fail "docs/reference/commands.md lacks $command"
done
for status in 0 1 2 65 74 75; do
    grep -q "^| $status |" "$page" || fail "docs/reference/commands.md lacks status $status"
    "$PULMO" train --help | grep -q "^ *$status  " || fail "--help lacks status $status"
done
sed -n '/^\.SH ENVIRONMENT/,/^\.SH SIGNALS/s/^\\fB\([A-Z_0-9]*\)\\fR$/\1/p' pulmo.1 > variables.txt
[ "$(wc -l < variables.txt)" -ge 3 ] || fail "variables: $(cat variables.txt)"
while read -r variable; do
    grep -q "^| \`$variable\` |" "$page" || fail "docs/reference/commands.md lacks $variable"
done < variables.txt
for what in --help --version "help --man"; do
    status=0
    # shellcheck disable=SC2086 # two words
    "$PULMO" $what > /dev/full 2> error.txt || status=$?
    [ "$status" = 74 ] && grep -q "cannot write to standard output" error.txt || fail "a full disk at $what: status $status"
done

# ---- nothing is accepted that help does not show; all that it shows is ----
try() { # try COMMAND OPTION SHOWN: status 2 in any case, since the setting is refused at the latest
    local status=0 refused
    "$PULMO" "$1" --set refused "--$2" > out.txt 2>&1 < /dev/null || status=$?
    refused=$(grep -c "^pulmo $1: there is no option --$2" out.txt || true)
    [ "$status" = 2 ] && [ $((refused + $3)) = 1 ] || { cat out.txt; fail "pulmo $1 --$2: status $status, refused $refused, shown $3"; }
}
for command in $commands; do
    grep -v -x -e help -e usage -e version "options-$command.txt" > own.txt
    while read -r option; do try "$command" "$option" 1; done < own.txt
    for option in HANG program-name; do try "$command" "$option" 0; done # which argp has, and hides
done
# Each option at one of the commands that do not have it, another one each time.
turn=0
while read -r option; do
    grep -L "^$option" options-*.txt | sed 's/^options-//; s/.txt$//' > lacking.txt # nor one that it is short for
    lacking=$(wc -l < lacking.txt)
    [ "$lacking" -gt 0 ] || continue
    turn=$((turn + 1))
    try "$(sed -n "$((turn % lacking + 1))p" lacking.txt)" "$option" 0
done < <(sort -u options-*.txt)
[ "$turn" -ge 30 ] || fail "only $turn options were tried elsewhere"

# ---- close names ----
expect 2 "pulmo train: there is no option --weigths; did you mean --weights?" "$PULMO" train --weigths x
expect 2 "did you mean --set train.epochs=VALUE?" "$PULMO" train --epochs 5
expect 2 "did you mean --set optim.weight_decay=VALUE?" "$PULMO" train --weight-decay=0.1
expect 2 "pulmo train: there is no option -x" "$PULMO" train -qx
expect 2 "there is no option --nothing-like-it" "$PULMO" inspect --nothing-like-it
expect 2 "did you mean train?" "$PULMO" tran
expect 2 "did you mean train?" "$PULMO" help tran
expect 2 "did you mean evaluate?" "$PULMO" eval
grep -q "Usage:" out.txt && fail "a near command and the whole usage besides"
expect 2 "did you mean pack?" "$PULMO" PACK
expect 2 "did you mean demo-data?" "$PULMO" help Demo
expect 2 "did you mean train?" "$PULMO" training
expect 2 "Usage: pulmo COMMAND" "$PULMO" nothing-like-it
# What follows an option is its value, whatever it looks like; what follows -- is no option.
expect 2 "RUN is needed" "$PULMO" report --out --weigths
expect 74 "--weigths" "$PULMO" inspect -- --weigths

# ---- completion, as bash calls it ----
# shellcheck source=/dev/null
. "$PULMO_SOURCE/docs/completion/pulmo.bash"
completes() { # completes LINE CANDIDATES
    COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=()
    _pulmo
    [ "${COMPREPLY[*]}" = "$2" ] || fail "\"$1\" completes to \"${COMPREPLY[*]}\", not \"$2\""
}
completes "$PULMO tr" "train"
completes "$PULMO help de" "demo-data"
completes "$PULMO configs reco" "recommended"
completes "$PULMO configs recommended reco" ""
completes "$PULMO train --ov" "--overwrite"
completes "$PULMO train -q --set train.che" "train.checkpoint_batches= train.checkpoint_seconds="
completes "$PULMO train --set model.pool=a" "avg avgmax"
completes "$PULMO train --set=model.pool=m" "max"
completes "$PULMO sweep --grid model.pool=avg,m" "avg,max"
completes "$PULMO predict run image.jpeg --format " "csv json"
completes "$PULMO export --format=o" "onnx"
completes "$PULMO evaluate run --split t" "train test"
completes "$PULMO bench --threads 2 a" "allreduce"
completes "$PULMO weights " "fetch check"
completes "$PULMO weights check " ""
completes "$PULMO train -c re" "recommended"
completes "$PULMO pack -c sets/c" "sets/chexpert sets/covid-19-radiography"
completes "$PULMO train -c my" "" # files, by the shell
completes "$PULMO nonsense --" ""
if command -v fish > /dev/null; then
    fish_completes() {
        local found
        found=$(HOME=$WORK fish -c "source '$PULMO_SOURCE/docs/completion/pulmo.fish'; complete -C '$PULMO $1'" | cut -f1 | tr '\n' ' ')
        [ "$found" = "$2" ] || fail "fish completes \"$1\" to \"$found\", not \"$2\""
    }
    fish_completes "train --set model.pool=a" "model.pool=avg model.pool=avgmax "
    fish_completes "export --format=" "--format=onnx --format=safetensors "
    fish_completes "train -c pulmo." "pulmo.1 "
fi
! command -v zsh > /dev/null || zsh -n "$PULMO_SOURCE/docs/completion/_pulmo" || fail "the completion for zsh does not parse"
echo "help, the manual page, completion and the parser agree"
