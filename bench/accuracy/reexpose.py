#!/usr/bin/env python3
"""Copies of a folder of class folders as another machine might have taken them.

    reexpose.py SOURCE DESTINATION [--every N] [--match REGEX]

writes DESTINATION/CHANGE/test/CLASS/NAME, JPEG, one tree a change below, ready for `pulmo pack`. None
of the changes is one that `pulmo train` makes of its images by the same code: they are Pillow's. Needs Pillow, numpy.
"""
import argparse
import pathlib
import re

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps


def gamma(exponent):
    table = [round(255 * (i / 255) ** exponent) for i in range(256)]
    return lambda image, rng: image.point(table)


def contrast(factor):
    return lambda image, rng: ImageEnhance.Contrast(image).enhance(factor)


def closer(part_x, part_y):
    """The middle of the image, as a closer or otherwise shaped film would show it."""
    x, y = (1 - part_x) / 2, (1 - part_y) / 2

    def change(image, rng):
        w, h = image.size
        return image.resize((w, h), Image.BILINEAR, (x * w, y * h, (1 - x) * w, (1 - y) * h))

    return change


def collimated(image, rng):
    w, h = image.size
    framed = Image.new("L", (w, h))
    framed.paste(image.resize((round(0.82 * w), round(0.9 * h)), Image.BILINEAR), (round(0.09 * w), round(0.05 * h)))
    return framed


def tilted(image, rng):
    return image.rotate(rng.choice([-9, 9]), Image.BILINEAR, translate=(int(rng.integers(-12, 13)), int(rng.integers(-12, 13))))


def grain(image, rng):
    noisy = np.asarray(image, np.float32) + rng.normal(0, 9, (image.size[1], image.size[0]))
    return Image.fromarray(np.clip(noisy + 0.5, 0, 255).astype(np.uint8))


CHANGES = {
    "as-it-is": lambda image, rng: image,
    "darker": gamma(1.7),
    "lighter": gamma(0.6),
    "flat": contrast(0.6),
    "hard": contrast(1.5),
    "equalized": lambda image, rng: ImageOps.equalize(image),
    "zoomed": closer(0.8, 0.8),
    "collimated": collimated,
    "tilted": tilted,
    "soft": lambda image, rng: image.filter(ImageFilter.GaussianBlur(1.3)),
    "grain": grain,
    "wide": closer(1, 0.8),
    "upright": closer(0.8, 1),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("destination", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=1, help="take every N-th image of a class (default 1: all)")
    parser.add_argument("--match", default="", help="take only names that hold this regular expression")
    arguments = parser.parse_args()
    for folder in sorted(p for p in arguments.source.iterdir() if p.is_dir()):
        names = sorted(p for p in folder.iterdir() if re.search(arguments.match, p.name))[:: arguments.every]
        for number, name in enumerate(names):
            image = Image.open(name).convert("L")
            for change, function in CHANGES.items():
                to = arguments.destination / change / "test" / folder.name / name.name
                to.parent.mkdir(parents=True, exist_ok=True)
                rng = np.random.default_rng([number, sorted(CHANGES).index(change)])
                function(image, rng).save(to, quality=40 if change == "grain" else 92)


if __name__ == "__main__":
    main()
