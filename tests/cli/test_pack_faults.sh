#!/usr/bin/env bash
# Files that cannot be read now, and names that cannot be stored: a fault of the disk or the file server costs no image, one
# odd name costs one image and not the pack.
. "$(dirname "$0")/common.sh"
"$PULMO" demo-data demo --train 20 --val 0 --test 0 --seed 5 -q
pack() { "$PULMO" pack "$@" --size 48; }

# ---- a file whose read fails: the kernel answers EIO for the first byte of a process's memory ----
cp -r demo/train source
file=source/NORMAL/$(ls source/NORMAL | sed -n 7p)
mv "$file" kept.jpeg && ln -s /proc/self/mem "$file"
expect 74 "$file: cannot be read: Input/output error" pack source packed
grep -q "pack.exclude_pattern" out.txt || { cat out.txt; fail "the error names no way out"; }
[ ! -e packed/manifest.h5 ] || fail "a finished pack without the image"
rm "$file" && mv kept.jpeg "$file"
expect 0 "packed 20 images" pack source packed
! grep -q "refused" out.txt || { cat out.txt; fail "an image was refused"; }

# ---- a pack that cannot be read at the moment is neither replaced nor called another one ----
expect 0 "are what was packed" "$PULMO" pack --verify packed --source source
mv "$file" kept.jpeg && ln -s /proc/self/mem "$file"
expect 74 "1 file cannot be read at the moment" "$PULMO" pack --verify packed --source source
rm "$file"
expect 65 "1 thing differs" "$PULMO" pack --verify packed --source source
mv kept.jpeg "$file"
mv packed/manifest.h5 kept.h5 && ln -s manifest.h5 packed/manifest.h5 # a link to itself: ELOOP
expect 74 "packed/manifest.h5: cannot be looked at" pack source packed
rm packed/manifest.h5 && ln -s /proc/self/mem packed/manifest.h5
expect 74 "packed/manifest.h5" pack source packed
! grep -q "overwrite" out.txt || { cat out.txt; fail "the advice is to replace a pack that may be whole"; }
rm packed/manifest.h5 && mv kept.h5 packed/manifest.h5
expect 0 "nothing to do" pack source packed

# ---- names that are not UTF-8 ----
latin=$(printf 'M\xfcller')
cp "$file" "source/NORMAL/$latin.jpeg"
mkdir "source/PNEUMONIA/$latin" && cp "$file" "source/PNEUMONIA/$latin/a.jpeg"
expect 0 'refused: NORMAL/M\xfcller.jpeg: its name is not UTF-8' pack source named
grep -qF 'refused: PNEUMONIA/M\xfcller/a.jpeg: its name is not UTF-8' out.txt || { cat out.txt; fail "the file in a folder of such a name was not refused"; }
grep -q "packed 20 images" out.txt || { cat out.txt; fail "not all others were packed"; }
expect 0 "nothing to do" pack source named
expect 0 "are what was packed" "$PULMO" pack --verify named --source source
expect 65 "2 files cannot be used and pack.on_bad is fail" pack source failed --on-bad fail
mv "source/PNEUMONIA" "source/$latin"
expect 65 "the name of a class folder must be UTF-8" pack source folder
echo "an I/O fault is status 74, a name costs one file"
