#!/usr/bin/env python3
"""Packed pixels against Pillow's, and Pillow's speed on the same files.

    bench/pixels.py SOURCE PACKED [--limit N]

SOURCE is the folder that `pulmo pack SOURCE PACKED` was given. Every packed image is compared with
Image.open -> EXIF orientation -> 16 bits by round(v / 257) -> over black -> convert("RGB") -> resize(BILINEAR)
of its source; exit status 1 if a sample differs by more than one level or more than 0.1 % differ at all (for
--decode exact; Pillow cuts 16-bit colours to their upper 8 bits, which is a level away, two with alpha).
The last line is one JSON object, with Pillow's images a second of processor time: decoding and resizing as grey where
the file is grey, as RGB always, decoding alone, and in draft mode (scaled decoding).
Needs Pillow, NumPy and h5py (Debian: python3-pil, python3-numpy, python3-h5py)."""
import argparse
import glob
import json
import os
import sys
import time

import h5py
import numpy
from PIL import Image, ImageOps


def packed_images(directory):
    """(path of the source, (H, W, C) pixels) of every packed image."""
    for name in sorted(glob.glob(os.path.join(glob.escape(directory), "*-*-of-*.h5"))):
        with h5py.File(name) as shard:
            for path, pixels in zip(shard["paths"][:], shard["images"]):
                yield path.decode(), pixels


def transparent_level(path, image):
    """The level that tRNS of a grey PNG calls transparent; Pillow gives it as stored, and the pixels as 8 bits."""
    with open(path, "rb") as file:
        bits = file.read(25)[24]
    most = (1 << min(bits, 8)) - 1
    return image.info["transparency"] * 255 // most


def over_black(path, image):
    if image.mode in ("1", "L") and "transparency" in image.info:
        key = transparent_level(path, image)
        grey = numpy.array(image.convert("L"))
        grey[grey == key] = 0
        return Image.fromarray(grey)
    if image.mode.endswith("A") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGB", image.size)
        black.paste(image, mask=image.getchannel("A"))
        return black
    return image


def sixteen_bits(image):
    grey = numpy.asarray(image).astype(int)
    key = image.info.get("transparency", -1)
    levels = numpy.where(grey == key, 0, (grey + 128) // 257)
    return Image.fromarray(levels.astype(numpy.uint8))


def as_documented(path):
    """8 bits, upright, over black: docs/reference/formats.md."""
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):
            return sixteen_bits(image)
        return over_black(path, image)


def pillow_pixels(path, width, height):
    image = as_documented(path).convert("RGB")
    return numpy.asarray(image.resize((width, height), Image.BILINEAR)).astype(int)


def compare(source, packed, limit, pixels_of=pillow_pixels):
    worst, equal, samples, sizes = 0, 0, 0, {}
    for number, (path, pixels) in enumerate(packed_images(packed)):
        if number == limit:
            break
        height, width, channels = pixels.shape
        theirs = pixels_of(os.path.join(source, path), width, height)
        apart = abs(numpy.broadcast_to(pixels, (height, width, 3)).astype(int) - theirs)
        if apart.max() > 1:
            print(f"{path}: {(apart > 1).sum()} samples differ by up to {apart.max()} levels")
        worst = max(worst, int(apart.max()))
        equal += int((apart == 0).sum())
        samples += apart.size
        sizes[path] = (width, height)
    return worst, equal / max(samples, 1), sizes


def pillow_rate(source, sizes, prepare, resize=True):
    """Images a second of processor time, file reading included."""
    spent = 0.0
    for path, size in sizes.items():
        began = time.process_time()
        with Image.open(os.path.join(source, path)) as image:
            image = prepare(image, size)
            image.load()
            if resize:
                image.resize(size, Image.BILINEAR)
        spent += time.process_time() - began
    return round(len(sizes) / spent, 1)


def as_draft(image, size):
    image.draft(None, size)
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("packed")
    parser.add_argument("--limit", type=int, default=-1, help="compare only the first images")
    options = parser.parse_args()
    worst, equal, sizes = compare(options.source, options.packed, options.limit)
    if not sizes:
        sys.exit(f"{options.packed}: holds no shards; make them with: pulmo pack {options.source} {options.packed}")
    print(json.dumps({
        "images": len(sizes), "worst_level": worst, "equal": equal,
        "pillow_grey_per_second": pillow_rate(options.source, sizes, lambda image, size: image),
        "pillow_rgb_per_second": pillow_rate(options.source, sizes, lambda image, size: image.convert("RGB")),
        "pillow_decode_per_second": pillow_rate(options.source, sizes, lambda image, size: image, resize=False),
        "pillow_draft_per_second": pillow_rate(options.source, sizes, as_draft),
    }))
    sys.exit(0 if worst <= 1 and equal >= 0.999 else 1)


if __name__ == "__main__":
    main()
