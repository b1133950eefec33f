#!/usr/bin/env bash
# A pack says by what its images were decoded: JPEG's words as ever, since digests cover them; others by their own names.
. "$(dirname "$0")/common.sh"
command -v python3 > /dev/null || { echo "skipped: needs python3"; exit 77; }
"$PULMO" demo-data demo --train 8 --val 0 --test 0 --seed 3 -q
python3 - << 'PYTHON'
import os, random, struct, zlib
side = 96
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def png(seed):
    draw = random.Random(seed)
    rows = b"".join(b"\0" + bytes(draw.randrange(256) for _ in range(side)) for _ in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for i in range(8):
    folder = f"png/train/{('NORMAL', 'PNEUMONIA')[i % 2]}"
    os.makedirs(folder, exist_ok=True)
    # The suffix does not tell.
    open(f"{folder}/IM-{i:04}-0001.jpeg", "wb").write(png(i))
PYTHON
exact="libjpeg, accurate integer DCT"

# decoded PACK WORDS: in the manifest and in each shard
decoded() {
    local file
    for file in "$1"/manifest.h5 "$1"/train-*.h5; do
        "$PULMO" inspect "$file" > inspect.txt
        grep -qE "^  decode +$2\$" inspect.txt || { grep decode inspect.txt; fail "$file: not \"$2\""; }
    done
}
"$PULMO" pack demo jpegs --size 64 -q && decoded jpegs "$exact"
"$PULMO" pack demo fast --size 64 --decode fast -q && decoded fast "libjpeg, scaled integer DCT"
"$PULMO" pack png pngs --size 64 -q && decoded pngs "libpng, all depths to 8 bits"
cp -r demo mixed.source && cp png/train/NORMAL/IM-0000-0001.jpeg mixed.source/train/NORMAL/IM-0500-0001.jpeg
mixed="JPEG: $exact; PNG: libpng, all depths to 8 bits"
"$PULMO" pack mixed.source mixed --size 64 -q && decoded mixed "$mixed"

# A PNG joins a pack of JPEGs: old shards stay as they were, and the pack says both.
cp -r jpegs grown
expect 0 "1 file is new" "$PULMO" pack mixed.source grown --size 64 --update
"$PULMO" inspect grown/manifest.h5 | grep -qE "^  decode +$mixed\$" || { "$PULMO" inspect grown/manifest.h5 | grep decode; fail "the words of an update"; }
expect 0 "are what was packed" "$PULMO" pack --verify grown --source mixed.source
cp png/train/PNEUMONIA/IM-0001-0001.jpeg mixed.source/train/PNEUMONIA/person501_bacteria_1.jpeg
expect 0 "1 file is new" "$PULMO" pack mixed.source grown --size 64 --update
"$PULMO" inspect grown/manifest.h5 | grep -qE "^  decode +$mixed\$" || fail "the words of a second update"

# Where nothing is a JPEG, fast decoding is not claimed, and what predict does is recorded all the same.
"$PULMO" pack png quick --size 64 --decode fast -q && decoded quick "libpng, all depths to 8 bits"
"$PULMO" inspect quick/manifest.h5 | grep -qE "^  decoding +fast" || fail "the manner is not recorded"
