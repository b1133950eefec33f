#!/usr/bin/env python3
"""How surely a sketch tells a picture again, by which `pulmo evaluate` finds pictures that a run was trained on.

overlap.py PULMO SOURCE [--copies 200]

Packs SOURCE (class folders of images) and counts the pairs of different pictures whose sketches are within a distance:
what would be taken for one picture and is not. Pairs that pack itself knows as one picture (equal files, equal pixels,
pixels that correlate above 0.98) are left out. Then alters copies of some images in ways that happen between hospitals
and counts those that are still told. Needs numpy, h5py, Pillow.
"""
import argparse
import pathlib
import random
import re
import subprocess
import tempfile

import h5py
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

LIMIT = 300  # LOOKS_DISTANCE2 of src/infer/overlap_match.c
WITHIN = (200, LIMIT, 400, 500, 600, 800, 1000)


def pack(pulmo, source, to):
    subprocess.run([pulmo, "pack", source, to, "--patients-unknown", "--allow-leaks", "-q"], check=True, stderr=subprocess.DEVNULL)
    with h5py.File(to / "manifest.h5") as manifest:
        paths = [path.decode() for split in manifest["splits"].values() for path in split["paths"][:]]
        sketches = np.concatenate([split["sketches"][:].view(np.int8) for split in manifest["splits"].values()])
        audit = {name: [line.decode() for line in lines[:]] for name, lines in manifest["audit"].items()}
    return paths, sketches.astype(np.float32), audit


def sets_of_one_picture(paths, audit):
    """For each image a number that images of one picture share."""
    place = {path: i for i, path in enumerate(paths)}
    parent = list(range(len(paths)))

    def find(i):
        while parent[i] != i:
            i = parent[i]
        return i

    for line in audit.get("identical", []) + audit.get("similar", []):
        line = re.sub(r"( \(in different classes!\)|: the same pixels)", "", line)
        one, other = re.split(" [=~] ", line)
        a, b = sorted((find(place[one]), find(place[other])))
        parent[b] = a
    return np.array([find(i) for i in range(len(paths))])


def false_matches(paths, sketches, audit):
    picture = sets_of_one_picture(paths, audit)
    square = (sketches * sketches).sum(1)
    pairs, near = 0, []
    for first in range(0, len(paths), 512):
        rows = slice(first, first + 512)
        distance = square[rows, None] + square[None] - 2 * sketches[rows] @ sketches.T
        later = np.arange(len(paths))[None] > np.arange(len(paths))[rows, None]
        different = later & (picture[rows, None] != picture[None])
        pairs += int(different.sum())
        near.append(distance[different & (distance <= WITHIN[-1])])
    near = np.sort(np.concatenate(near))
    print(f"{len(paths)} images, {pairs} pairs of different pictures; the nearest are {near[0]:.0f} apart")
    for limit in WITHIN:
        count = int((near <= limit).sum())
        print(f"  within {limit:5d}: {count:4d} pairs, {count / pairs:.1e} of all")


def gamma(image, power):
    return image.point([round(255 * (i / 255) ** power) for i in range(256)])


def crop(image, part):
    across, down = round(part * image.width), round(part * image.height)
    return image.crop((across, down, image.width - across, image.height - down))


def letter(image):
    marked = image.copy()
    side = image.width // 10
    ImageDraw.Draw(marked).rectangle((side // 3, side // 3, side * 4 // 3, side * 4 // 3), fill=255)
    return marked


ALTERED = {
    "JPEG, quality 90": (lambda image: image, 90),
    "JPEG, quality 50": (lambda image: image, 50),
    "JPEG, quality 20": (lambda image: image, 20),
    "half the size": (lambda image: image.resize((image.width // 2, image.height // 2), Image.BILINEAR), 90),
    "contrast x 0.7": (lambda image: ImageEnhance.Contrast(image).enhance(0.7), 90),
    "brightness x 1.2": (lambda image: ImageEnhance.Brightness(image).enhance(1.2), 90),
    "contrast x 1.3": (lambda image: ImageEnhance.Contrast(image).enhance(1.3), 90),
    "gamma 1.3": (lambda image: gamma(image, 1.3), 90),
    "gamma 0.7": (lambda image: gamma(image, 0.7), 90),
    "1 % cut from each side": (lambda image: crop(image, 0.01), 90),
    "2 % cut from each side": (lambda image: crop(image, 0.02), 90),
    "turned by 1 degree": (lambda image: image.rotate(1, Image.BILINEAR), 90),
    "turned by 2 degrees": (lambda image: image.rotate(2, Image.BILINEAR), 90),
    "histogram equalised": (ImageOps.equalize, 90),
    "white square of a tenth": (letter, 90),
    "mirrored": (ImageOps.mirror, 90),
}


def copies_told(pulmo, source, count, scratch):
    files = sorted(path for path in pathlib.Path(source).rglob("*") if path.suffix.lower() in (".jpeg", ".jpg", ".png"))
    files = random.Random(1).sample(files, min(count, len(files)))
    for i, path in enumerate(files):
        image = Image.open(path).convert("L")
        for name, (alter, quality) in {"as it is": (lambda image: image, None), **ALTERED}.items():
            folder = scratch / "altered" / name
            folder.mkdir(parents=True, exist_ok=True)
            if quality:
                alter(image).save(folder / f"{i:05d}.jpg", quality=quality)
            else:
                image.save(folder / f"{i:05d}.png")
    paths, sketches, _ = pack(pulmo, scratch / "altered", scratch / "altered.packed")
    at = {str(pathlib.PurePath(path).with_suffix("")): i for i, path in enumerate(paths)}
    print(f"{len(files)} images, altered; squared distance of sketches from the image as it is")
    for name in ALTERED:
        pairs = [(at[f"as it is/{i:05d}"], at[f"{name}/{i:05d}"]) for i in range(len(files))]
        distance = np.array([((sketches[a] - sketches[b]) ** 2).sum() for a, b in pairs])
        print(f"  {name:24s} median {np.median(distance):6.0f}  largest {distance.max():6.0f}  told {(distance <= LIMIT).mean():6.1%}")


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("pulmo")
    words.add_argument("source")
    words.add_argument("--copies", type=int, default=200)
    asked = words.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        false_matches(*pack(asked.pulmo, asked.source, scratch / "packed"))
        copies_told(asked.pulmo, asked.source, asked.copies, scratch)


if __name__ == "__main__":
    main()
