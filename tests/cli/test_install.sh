#!/usr/bin/env bash
# What cmake --install puts under a prefix works from an empty directory, without the checkout.
. "$(dirname "$0")/common.sh"
build=$(cd "$(dirname "$PULMO")/.." && pwd)
prefix=$WORK/prefix
cmake --install "$build" --prefix "$prefix" > installed.txt || { cat installed.txt; fail "cmake --install"; }
for file in bin/pulmo share/man/man1/pulmo.1 share/bash-completion/completions/pulmo share/zsh/site-functions/_pulmo \
    share/fish/vendor_completions.d/pulmo.fish share/doc/pulmo/LICENSE share/doc/pulmo/README.md share/doc/pulmo/docs/README.md \
    share/pulmo/configs/recommended.yaml libexec/pulmo/fetch-weights; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
[ -x "$prefix/bin/pulmo" ] && [ -x "$prefix/libexec/pulmo/fetch-weights" ] || fail "programs are not executable"
[ -z "$(find "$prefix" -name '*.a' -o -name '*.o' -o -name '*.h')" ] || fail "parts of the build are installed"
"$prefix/bin/pulmo" help --man | cmp - "$prefix/share/man/man1/pulmo.1" || fail "the manual page is another program's"

# Where weights are missing, the program names the program that was installed with it.
(unset PULMO_WEIGHTS; XDG_CACHE_HOME=$WORK/nothing expect 65 "run $prefix/libexec/pulmo/fetch-weights" "$prefix/bin/pulmo" weights check)

# Pages find each other where they are installed, but for what only the checkout has.
links() { grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//; s/#.*//; /:/d; /^$/d'; }
while read -r page; do
    while read -r link; do
        [ -e "$(dirname "$page")/$link" ] || [ -e "$PULMO_SOURCE/$(dirname "${page#"$prefix"/share/doc/pulmo/}")/$link" ] ||
            fail "$page links to $link, which is nowhere"
        case $link in *.md) [ -e "$(dirname "$page")/$link" ] || fail "$page links to $link, which is not installed" ;; esac
    done < <(links "$page")
done < <(find "$prefix/share/doc/pulmo" -name '*.md')

# The whole way, with the installed program and configuration, from a directory that holds nothing.
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
mkdir empty home && cd empty
PATH=$prefix/bin:$PATH HOME=$WORK/home
pulmo demo-data demo --train 26 --val 11 --test 9 --seed 3 -q
pulmo pack demo packed --size 64 -q
pulmo train -c "$prefix/share/pulmo/configs/demo.yaml" --set data.path=packed --set train.run_dir=run --set train.epochs=1 -q > train.txt 2>&1 ||
    { cat train.txt; fail "the installed program does not train"; }
pulmo predict run demo/test -q > predictions.csv
[ "$(wc -l < predictions.csv)" = 10 ] || fail "$(wc -l < predictions.csv) lines of predictions"
[ "$(find . -maxdepth 1 -mindepth 1 | sort | tr '\n' ' ')" = "./demo ./packed ./predictions.csv ./run ./train.txt " ] || { ls -la; fail "something else was written"; }
[ -z "$(find "$WORK/home" -mindepth 1)" ] || fail "something was written into the home directory"
# shellcheck source=/dev/null
. "$prefix/share/bash-completion/completions/pulmo"
COMP_LINE="pulmo export --format=o" COMP_POINT=23 COMPREPLY=()
_pulmo
[ "${COMPREPLY[*]}" = onnx ] || fail "the installed completion: ${COMPREPLY[*]}"
echo "the installation works from an empty directory"
