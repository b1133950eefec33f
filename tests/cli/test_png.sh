#!/usr/bin/env bash
# One image as a grey JPEG, as a JPEG of three equal channels, and as PNGs of the decoded pixels: the same bits through
# pack and evaluate, and through predict, with one view and with four.
. "$(dirname "$0")/common.sh"
PYTHON=/usr/bin/python3
"$PYTHON" -c 'import PIL, numpy, h5py' 2> /dev/null || { echo "skipped: needs python3-pil, python3-numpy, python3-h5py"; exit 77; }
make_small
small_train run env > train.txt 2>&1 || { cat train.txt; fail train; }

# The decoded pixels at full size, by Pillow: png/ as grey; odd/ as whatever PNG holds the same pixels. Noise beside
# the pictures, since a phantom is smooth.
"$PYTHON" - <<'END'
import os, random
from PIL import Image

def palette(grey):
    out = grey.copy().convert("P")
    order = list(range(256))
    random.Random(1).shuffle(order)
    out.putpalette([v for i in range(256) for v in 3 * [order.index(i)]])
    out.putdata([order[v] for v in grey.getdata()])
    return out

def sixteen(grey):
    out = Image.new("I", grey.size)
    out.putdata([257 * v for v in grey.getdata()])
    return out

kinds = [lambda grey: grey.convert("RGB"), lambda grey: grey.convert("LA"), lambda grey: grey.convert("RGBA"), palette, sixteen]
made = 0
for folder, _, names in sorted(os.walk("demo")):
    for name in sorted(names):
        if not name.endswith(".jpeg"):
            continue
        grey = Image.open(os.path.join(folder, name))
        assert grey.mode == "L"
        for into, image in (("png", grey), ("odd", kinds[made % len(kinds)](grey))):
            os.makedirs(folder.replace("demo", into, 1), exist_ok=True)
            image.save(os.path.join(folder.replace("demo", into, 1), name[:-5] + ".png"))
        made += 1
assert made == 46, made
END

for kind in png odd; do
    "$PULMO" pack "$kind" "packed-$kind" --size 64 -q
    "$PYTHON" - "$kind" <<'END' || fail "$kind: other pixels are packed than from JPEGs"
import glob, sys, h5py
names = sorted(glob.glob("packed/*-of-*.h5"))
assert len(names) == 3
for name in names:
    with h5py.File(name) as jpeg, h5py.File(name.replace("packed", "packed-" + sys.argv[1])) as png:
        assert jpeg["images"].shape == png["images"].shape
        assert (jpeg["images"][:] == png["images"][:]).all()
        assert (jpeg["labels"][:] == png["labels"][:]).all()
END
done

# What a list of scores holds beside the suffix of files.
scores() { sed -E 's/[.](jpeg|png)//; s,^(demo|png|odd)/,,' "$1"; }

# probabilities LIST FIRST: of test images, in columns from FIRST on, by path
probabilities() { scores "$1" | grep test/ | sed 's/^test,//' | cut -d, -f"1,$2-$(($2 + 1))" | sort; }

for tta in 1 4; do
    "$PULMO" evaluate run --data packed --set eval.tta=$tta --out "jpeg-$tta" > /dev/null 2>&1 || fail "evaluate, tta $tta"
    "$PULMO" predict run demo/test --set eval.tta=$tta > "jpeg-$tta.csv" 2> /dev/null || fail "predict, tta $tta"
    [ "$(wc -l < "jpeg-$tta.csv")" = 10 ] || fail "not 9 images predicted"
    cmp <(probabilities "jpeg-$tta/predictions.csv" 5) <(probabilities "jpeg-$tta.csv" 3) || fail "evaluate and predict differ, tta $tta"
    for kind in png odd; do
        "$PULMO" evaluate run --data "packed-$kind" --set eval.tta=$tta --out "$kind-$tta" > /dev/null 2>&1 || fail "$kind: evaluate, tta $tta"
        cmp <(scores "jpeg-$tta/predictions.csv") <(scores "$kind-$tta/predictions.csv") || fail "$kind: other scores, tta $tta"
        "$PULMO" predict run "$kind/test" --set eval.tta=$tta > "$kind-$tta.csv" 2> /dev/null || fail "$kind: predict, tta $tta"
        cmp <(scores "jpeg-$tta.csv") <(scores "$kind-$tta.csv") || fail "$kind: other predictions, tta $tta"
    done
done
cmp -s jpeg-1.csv jpeg-4.csv && fail "four views score as one does"

# explain takes them too, and a directory is searched by the first bytes of what has no suffix.
mkdir bare && cp "$(ls -d png/test/NORMAL/* | head -1)" bare/IM000001 && cp "$(ls -d demo/test/NORMAL/* | head -1)" bare/x.tmp
echo words > bare/README && printf 'GIF89a' > bare/logo && mkfifo bare/pipe
"$PULMO" predict run bare 2> /dev/null > bare.csv || fail "a directory of bare names"
[ "$(cut -d, -f1 bare.csv | tail -n +2 | tr '\n' ' ')" = "bare/IM000001 bare/x.tmp " ] || { cat bare.csv; fail "not the two images"; }
[ "$(sed -n 's/^bare.IM000001,//p' bare.csv)" = "$(sed -n 's/^bare.x.tmp,//p' bare.csv)" ] || fail "a JPEG and its PNG score otherwise"
"$PULMO" explain run bare --out maps > maps.csv 2> maps.err || { cat maps.err; fail explain; }
[ -s maps/IM000001.png ] && [ -s maps/x.png ] || { ls maps; fail "no overlays"; }

# What pack refuses, predict refuses, in the same words.
head -c 900 "$(ls -d png/test/NORMAL/* | head -1)" > cut.png
expect 65 "cut.png: is truncated: the file ends before the image does" "$PULMO" predict run cut.png
echo "JPEG and PNG give the same bits"
