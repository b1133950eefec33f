#!/usr/bin/env bash
# The contact sheet: a PNG, the same bytes for the same arguments, others for another seed or augmentation.
. "$(dirname "$0")/common.sh"
make_small
expect 0 "8 images as packed and in the first 6 epochs" "$PULMO" preview packed --out one.png
[ "$(head -c 8 one.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] || fail "one.png is no PNG"
"$PULMO" preview packed --out two.png -q && cmp one.png two.png || fail "the same arguments, another sheet"
"$PULMO" preview packed --out seed.png -q --set train.seed=1 && ! cmp -s one.png seed.png || fail "the seed changes nothing"
"$PULMO" preview packed --out blur.png -q --set augment.blur='[1, 2]' && ! cmp -s one.png blur.png || fail "blur changes nothing"
expect 0 "11 images as packed" "$PULMO" preview packed --out val.png --split val --rows 40 --views 0
expect 65 "no split" "$PULMO" preview packed --split none
expect 65 "not a packed data set" "$PULMO" preview demo
expect 2 "augment.noise" "$PULMO" preview packed --set augment.noise=2
expect 2 "a packed directory is needed" "$PULMO" preview
expect 74 "absent/sheet.png" "$PULMO" preview packed --out absent/sheet.png
echo "contact sheets as they should be"
