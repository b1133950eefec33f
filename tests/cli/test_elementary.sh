#!/usr/bin/env bash
# Elementary functions give the bits that are known where the C library has other code for its own: as on a processor without
# AVX2 and fused multiply-adds.
. "$(dirname "$0")/common.sh"
program=$TOOLS/t_core_elementary
here=$("$program" 2> /dev/null) || fail "other bits than are known"
there=$(GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F "$program" 2> /dev/null) || fail "other bits without AVX2 and FMA"
library() { grep -o "the C library's exp: .*" <<< "$1"; }
[ -n "$(library "$here")" ] || { echo "$here"; fail "no word on the C library"; }
if [ "$(library "$here")" = "$(library "$there")" ]; then
    echo "skipped: GLIBC_TUNABLES change nothing here: this C library has one exp, or this processor no FMA"
    exit 77
fi
echo "$(library "$here"), without FMA $(library "$there"): ours are the same"
