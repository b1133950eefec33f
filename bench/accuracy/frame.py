#!/usr/bin/env python3
"""Frames every image of a study alike: registered to a mean chest, then cut out around the lungs.

    frame.py WORK FRAMED [--half-width 0.7] [--top -0.7] [--bottom 0.76]

WORK holds family/ and re-exposed/ as study.py makes them; FRAMED gets the same trees, which screen.py reads. The mean chest
is made of 300 training images of each class, in rounds of registering and averaging (an atlas of one image, after Candemir
2014); an image's scales and shifts are those of the best correlation, by gradient ascent from three starts. Bounds are in
the mean chest's coordinates, -1 to 1. Needs torch, numpy, Pillow.
"""
import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

SIDE, CHEST = 64, 48  # of an image while it is registered; of the mean chest
STARTS = ((0.0, 0, 0, 0), (0.2, 0.2, 0, 0), (-0.2, -0.2, 0, 0))  # log scale x, y; shift x, y


def smooth(x, sigma):
    at = torch.arange(-int(3 * sigma), int(3 * sigma) + 1).float()
    kernel = torch.exp(-at * at / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    x = F.pad(x, (len(at) // 2,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(x, kernel[None, None, None]), kernel[None, None, :, None])


def local(images):
    """Local contrast: what is left of light and tone does not steer the registration."""
    x = F.interpolate(torch.from_numpy(images)[:, None].float(), (SIDE, SIDE), mode="area")
    x = x - smooth(x, 10)
    return smooth(x / (smooth(x * x, 10).sqrt() + 6), 1)


def grid(placed, bounds, side):
    (left, right), (top, bottom) = bounds
    sx, sy, x, y = placed[:, 0].exp(), placed[:, 1].exp(), placed[:, 2], placed[:, 3]
    zero = torch.zeros_like(x)
    across = torch.stack([sx * (right - left) / 2, zero, x + sx * (left + right) / 2], 1)
    down = torch.stack([zero, sy * (bottom - top) / 2, y + sy * (top + bottom) / 2], 1)
    return F.affine_grid(torch.stack([across, down], 1), (len(x), 1, side, side), align_corners=False)


WHOLE = (-1, 1), (-1, 1)


def likeness(x, chest, placed):
    """Correlation where both are, times the root of the part of the chest that the image has."""
    at = grid(placed, WHOLE, CHEST)
    inside = (at.abs() <= 1).all(-1).float()[:, None]
    count = inside.sum((1, 2, 3), keepdim=True).clamp(min=1)
    seen = F.grid_sample(x, at, align_corners=False, padding_mode="border")
    a = (seen - (seen * inside).sum((1, 2, 3), keepdim=True) / count) * inside
    b = (chest - (chest * inside).sum((1, 2, 3), keepdim=True) / count) * inside
    correlation = (a * b).sum((1, 2, 3)) / ((a * a).sum((1, 2, 3)) * (b * b).sum((1, 2, 3)) + 1e-6).sqrt()
    return correlation * (count.flatten() / CHEST**2).sqrt()


def placed_from(x, chest, start, steps=30):
    placed = torch.tensor(start).repeat(len(x), 1).requires_grad_()
    optimiser = torch.optim.Adam([placed], lr=0.05)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        scales = placed[:, :2]
        odd = 0.1 * ((scales - scales.mean(1, keepdim=True)) ** 2).sum() + 0.05 * (placed**2).sum()
        optimiser.zero_grad()
        (odd - likeness(x, chest, placed).sum()).backward()
        optimiser.step()
    return placed.detach()


def register(x, chest, starts=STARTS):
    tried = torch.stack([placed_from(x, chest, start) for start in starts])
    with torch.no_grad():
        best = torch.stack([likeness(x, chest, placed) for placed in tried]).argmax(0)
    return tried[best, torch.arange(len(x))]


def mean_chest(images):
    """Alike on both sides: which is the heart's is not given by the mean."""
    x = local(images)
    chest = F.interpolate(x.mean(0, keepdim=True), (CHEST, CHEST), mode="bilinear", antialias=True)
    for rounds in range(6):
        chest = (chest + chest.flip(3)) / 2
        placed = register(x, chest, STARTS[:1] if rounds < 3 else STARTS)
        placed = placed - placed.mean(0)
        at = grid(placed, WHOLE, CHEST)
        chest = F.grid_sample(x, at, align_corners=False, padding_mode="border").mean(0, keepdim=True)
    return (chest + chest.flip(3)) / 2


def read(paths):
    return np.stack([np.asarray(Image.open(path).convert("L")) for path in paths])


def framed(images, chest, bounds):
    at = grid(register(local(images), chest), bounds, images.shape[-1])
    out = F.grid_sample(torch.from_numpy(images)[:, None].float(), at, align_corners=False, padding_mode="border")
    return out[:, 0].round().clamp(0, 255).byte().numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("framed", type=pathlib.Path)
    parser.add_argument("--half-width", type=float, default=0.7)
    parser.add_argument("--top", type=float, default=-0.7)
    parser.add_argument("--bottom", type=float, default=0.76)
    o = parser.parse_args()
    torch.set_num_threads(1)
    rng, some = np.random.default_rng(1), []
    for folder in sorted((o.work / "family/train").iterdir()):
        some += list(rng.permutation(sorted(folder.iterdir()))[:300])
    chest, bounds = mean_chest(read(some)), ((-o.half_width, o.half_width), (o.top, o.bottom))
    for folder in sorted({path.parent for path in o.work.glob("*/**/*.jpeg")}):
        paths, to = sorted(folder.iterdir()), o.framed / folder.relative_to(o.work)
        to.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(paths), 500):
            part = paths[first:first + 500]
            for path, image in zip(part, framed(read(part), chest, bounds)):
                Image.fromarray(image).save(to / f"{path.stem}.png")


if __name__ == "__main__":
    main()
