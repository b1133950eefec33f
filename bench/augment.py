#!/usr/bin/env python3
"""What training does to an image, against torchvision with the same parameters.

    bench/augment.py SOURCE [--tool build/release/tests/augment_images] [--images 8] [--draws 50000]

SOURCE is a folder of JPEGs; its first images are taken as grey, 224 x 224. A line an operation: the mean and the largest
difference in levels of 255, and the share of pixels that are within one level, two pixels away from a border: torchvision cuts the crop
out before it resizes, pulmo looks half a pixel across its edge; torchvision blends the edge of a rotated image with the black beyond,
pulmo ends it at half a pixel. "composed" has crop, flip, rotation and shift in
one: torchvision samples the image at each step, pulmo once; both are also held against torch's grid_sample of the one map.
Then what is drawn: the largest distance between the cumulative distributions of pulmo's and torchvision's parameters
(Kolmogorov and Smirnov's; chance alone stays below the limit named in 99.9 of 100 cases).
The last line is one JSON object; exit status 1 if an operation is off. Needs torch, torchvision, NumPy and Pillow."""
import argparse
import json
import math
import os
import subprocess
import sys

import numpy
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomAffine, RandomErasing, RandomResizedCrop
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

SIDE = 224
BILINEAR = InterpolationMode.BILINEAR
CROP = (31, 17, 150, 171)  # y, x, height, width
SHIFT = (13, -9)           # px


def crop(image):
    return F.resized_crop(image, *CROP, [SIDE, SIDE], BILINEAR, antialias=True)


def rotate(image):
    return F.rotate(image, 11.5, BILINEAR)


def shift(image):
    return F.affine(image, 0, list(SHIFT), 1, [0, 0], BILINEAR)


def scale(image, factor):
    return F.affine(image, 0, [0, 0], factor, [0, 0], BILINEAR)


def blur(image, sigma):
    return F.gaussian_blur(image, [2 * math.ceil(3 * sigma) + 1] * 2, [sigma, sigma])


def levels(image):
    return (image * 255).round().to(torch.uint8)


CROP_KEY = "crop=" + ",".join(map(str, CROP))
SHIFT_KEY = f"shift={SHIFT[0] / SIDE!r},{SHIFT[1] / SIDE!r}"
OPERATIONS = {  # name: pulmo's parameters, torchvision's way, largest mean difference
    "RandomResizedCrop": ([CROP_KEY], crop, 0.01),
    "RandomHorizontalFlip": (["flip=1"], F.horizontal_flip, 0),
    "RandomRotation": (["angle=11.5"], rotate, 0.01),
    "RandomAffine.translate": ([SHIFT_KEY], shift, 0.01),
    "RandomAffine.scale, smaller": (["scale=0.8"], lambda image: scale(image, 0.8), 0.01),
    "RandomAffine.scale, larger": (["scale=1.3"], lambda image: scale(image, 1.3), 0.01),
    "ColorJitter.brightness": (["brightness=1.3"], lambda image: F.adjust_brightness(image, 1.3), 0.001),
    "ColorJitter.contrast": (["contrast=1.4"], lambda image: F.adjust_contrast(image, 1.4), 0.001),
    "adjust_gamma": (["gamma=1.7"], lambda image: F.adjust_gamma(image, 1.7), 0.001),
    "adjust_sharpness": (["sharpness=1.8"], lambda image: F.adjust_sharpness(image, 1.8), 0.001),
    "GaussianBlur": (["blur=1.7"], lambda image: blur(image, 1.7), 0.001),
    "RandomAutocontrast": (["autocontrast=1"], F.autocontrast, 0.001),
    "RandomEqualize": (["equalize=1"], lambda image: F.equalize(levels(image)).float() / 255, 0.001),
    "composed": ([CROP_KEY, "flip=1", "angle=11.5", SHIFT_KEY], lambda image: shift(rotate(F.horizontal_flip(crop(image)))), 3.0),
}


def sampled_once(image):
    """The composed operations as one map, through torch's grid_sample."""
    y, x = torch.meshgrid(torch.arange(SIDE, dtype=torch.float64), torch.arange(SIDE, dtype=torch.float64), indexing="ij")
    middle, angle = (SIDE - 1) / 2, math.radians(11.5)
    x, y = x - middle - SHIFT[0], y - middle - SHIFT[1]
    x, y = math.cos(angle) * x - math.sin(angle) * y, math.sin(angle) * x + math.cos(angle) * y
    x, y = middle - x, middle + y  # the flip
    x, y = CROP[1] + (x + 0.5) * CROP[3] / SIDE, CROP[0] + (y + 0.5) * CROP[2] / SIDE
    grid = torch.stack((2 * x / SIDE - 1, 2 * y / SIDE - 1), -1)[None]
    return torch.nn.functional.grid_sample(image[None].double(), grid, "bilinear", "zeros", align_corners=False)[0].float()


def pulmo(tool, pixels, keys):
    done = subprocess.run([tool, "apply", str(SIDE), str(SIDE)] + keys, input=pixels.tobytes(), stdout=subprocess.PIPE, check=True)
    return torch.from_numpy(numpy.frombuffer(done.stdout, numpy.float32).reshape(1, SIDE, SIDE).copy())


def inside(way):
    """Where an image of 1 everywhere stays 1, two pixels further in; without the outermost two."""
    kept = way(torch.ones(1, SIDE, SIDE))
    kept[:, :2], kept[:, -2:], kept[:, :, :2], kept[:, :, -2:] = 0, 0, 0, 0
    return -torch.nn.functional.max_pool2d(-kept, 5, 1, 2) > 0.999


def compare(tool, pictures, keys, way, mask):
    apart = []
    for pixels in pictures:
        theirs = way(torch.from_numpy(pixels)[None].float() / 255)
        apart.append((pulmo(tool, pixels, keys) - theirs).abs()[mask] * 255)
    apart = torch.cat(apart)
    figures = {"mean": (apart.mean(), 4), "most": (apart.max(), 3), "within_one": ((apart <= 1).float().mean(), 5)}
    return {name: round(float(value), digits) for name, (value, digits) in figures.items()}


def distance(ours, theirs):
    ours, theirs = numpy.sort(ours), numpy.sort(theirs)
    values = numpy.concatenate((ours, theirs))
    below = [numpy.searchsorted(values_of, values, "right") / len(values_of) for values_of in (ours, theirs)]
    return float(abs(below[0] - below[1]).max())


def compare_draws(tool, count):
    done = subprocess.run([tool, "draw", str(SIDE), str(SIDE), str(count)], stdout=subprocess.PIPE, check=True)
    ours = numpy.array([line.split() for line in done.stdout.decode().splitlines()], float)
    torch.manual_seed(0)
    image = torch.zeros(1, SIDE, SIDE)
    crops = numpy.array([RandomResizedCrop.get_params(image, (0.08, 1), (3 / 4, 4 / 3)) for _ in range(count)], float)
    affine = [RandomAffine.get_params((-15, 15), (0.1, 0.05), None, None, [SIDE, SIDE]) for _ in range(count)]
    jitter = v2.ColorJitter(brightness=0.4)
    bright = [jitter.make_params([image])["brightness_factor"] for _ in range(count)]
    erased = numpy.array([RandomErasing.get_params(image, (0.02, 0.33), (0.3, 3.3), [0.0])[:4] for _ in range(count)], float)
    pairs = {"crop " + name: (ours[:, k], crops[:, k]) for k, name in enumerate(("y", "x", "height", "width"))}
    pairs["crop area"] = (ours[:, 2] * ours[:, 3], crops[:, 2] * crops[:, 3])
    pairs["flip"] = (ours[:, 4], (torch.rand(count) < 0.5).numpy().astype(float))
    pairs["angle"] = (ours[:, 5], numpy.array([a[0] for a in affine]))
    pairs["shift x"] = (numpy.rint(ours[:, 6] * SIDE), numpy.array([a[1][0] for a in affine], float))
    pairs["shift y"] = (numpy.rint(ours[:, 7] * SIDE), numpy.array([a[1][1] for a in affine], float))
    pairs["brightness"] = (ours[:, 8], numpy.array([float(b) for b in bright]))
    pairs.update({"erased " + name: (ours[:, 9 + k], erased[:, k]) for k, name in enumerate(("y", "x", "height", "width"))})
    return {name: round(distance(*pair), 5) for name, pair in pairs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--tool", default="build/release/tests/augment_images")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--draws", type=int, default=50000)
    options = parser.parse_args()
    names = sorted(os.path.join(folder, name) for folder, _, files in os.walk(options.source) for name in files
                   if name.lower().endswith((".jpeg", ".jpg")))
    pictures = [numpy.asarray(Image.open(name).convert("L").resize((SIDE, SIDE), Image.BILINEAR)).copy() for name in names[:options.images]]
    found, off = {}, []
    print(f"{'':28}{'mean':>9}{'most':>9}  within one level")
    for name, (keys, way, limit) in OPERATIONS.items():
        geometric = name.startswith("Random") and not name.endswith(("contrast", "Equalize")) or name == "composed"
        mask = inside(way) if geometric else torch.ones(1, SIDE, SIDE, dtype=torch.bool)
        found[name] = compare(options.tool, pictures, keys, way, mask)
        if name == "composed":
            found["composed, sampled once"] = compare(options.tool, pictures, keys, sampled_once, mask)
            limits = {name: limit, "composed, sampled once": 0.01}
        else:
            limits = {name: limit}
        for which, most in limits.items():
            print(f"{which:28}{found[which]['mean']:9.4f}{found[which]['most']:9.3f}  {100 * found[which]['within_one']:.3f} %")
            off += [which] if found[which]["mean"] > most else []
    draws, chance = compare_draws(options.tool, options.draws), 1.95 * math.sqrt(2 / options.draws)
    print(f"\ndistance of distributions, {options.draws} draws; limit {chance:.5f}")
    for name, apart in draws.items():
        print(f"{name:28}{apart:9.5f}")
        off += [name] if apart > chance else []
    print(json.dumps({"operations": found, "draws": draws, "limit": round(chance, 5), "off": off}))
    sys.exit(1 if off else 0)


if __name__ == "__main__":
    main()
