#!/usr/bin/env python3
"""Screens an idea for a recipe in PyTorch, small and in bfloat16, before pulmo is taught it: every layer of VGG16 trained
on the family split, judged on the validations of study.py. What a screening finds is a reason to train it with pulmo, not
a result.

    screen.py WORK NAME [--size 128] [--crop 0.08] [--epochs 8] [--photometric light|strong] [--normalise none|bands|local]
              [--first-block 1] [--lr-decay 1] [--seed 1] [--weights FILE]

WORK holds family/ and re-exposed/ as study.py makes them. Scores go to WORK/screened/NAME.npz; the table to stdout.
Needs torch, safetensors, numpy, scipy, scikit-learn, Pillow.
"""
import argparse
import pathlib
import re

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from scipy.ndimage import gaussian_filter
from sklearn.metrics import roc_auc_score

CLASSES = ("NORMAL", "PNEUMONIA")
LAYOUT = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")
BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
MEAN, STD = (torch.tensor(v)[None, :, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
RESHAPED, CLOSER = ("wide", "upright"), ("wide", "zoomed")
SIGMAS = (0, 1, 2, 4, 8, 16, 32)
MIDDLE = slice(45, 180)  # of 224: where the chest is


# ---- images ----

def load(folder):
    """(images (N, 224, 224) uint8, labels, patients)"""
    images, labels, patients = [], [], []
    for label, name in enumerate(CLASSES):
        for path in sorted((folder / name).iterdir()):
            images.append(np.asarray(Image.open(path).convert("L")))
            labels.append(label)
            named = re.match(r"(person\d+_[a-z]+|(?:NORMAL2-)?IM-\d+)", path.name)
            patients.append(named[1])
    return np.stack(images), np.array(labels), np.array(patients)


def bands(image):
    smooth = [image.astype(np.float32)] + [gaussian_filter(image.astype(np.float32), s) for s in SIGMAS[1:]]
    return [fine - coarse for fine, coarse in zip(smooth, smooth[1:])]


def energy(band):
    return float(np.sqrt((band[MIDDLE, MIDDLE] ** 2).mean()))


def normalised(images, how, reference):
    """Each band-pass image scaled to a common energy: of the middle, or around each pixel (after Philipsen 2015)."""
    if how == "none":
        return images
    out = []
    for image in images:
        total = np.zeros(image.shape, np.float32)
        for band, wanted in zip(bands(image), reference):
            have = energy(band)
            if how == "local":
                have = np.maximum(np.sqrt(gaussian_filter(band * band, 28)), 0.25 * have)
            total += band * (wanted / (have + 1e-3))
        out.append(np.clip(total + 118, 0, 255).astype(np.uint8))
    return np.stack(out)


# ---- augmentation ----

def between(low, high, n):
    return torch.rand(n) * (high - low) + low


def cropped(x, size, smallest):
    """RandomResizedCrop of this part of the area and ratio 3/4 to 4/3, ten degrees, mirrored; sampled at twice the size."""
    n = len(x)
    part, ratio = between(smallest, 1, n), torch.exp(between(-np.log(4 / 3), np.log(4 / 3), n))
    w, h = (part * ratio).sqrt().clamp(max=1), (part / ratio).sqrt().clamp(max=1)
    x0, y0 = between(-1, 1, n) * (1 - w), between(-1, 1, n) * (1 - h)
    turn, flip = between(-10, 10, n) * np.pi / 180, (torch.rand(n) < 0.5).float() * 2 - 1
    rows = torch.stack([flip * w * turn.cos(), -h * turn.sin(), x0], 1), torch.stack([flip * w * turn.sin(), h * turn.cos(), y0], 1)
    grid = F.affine_grid(torch.stack(rows, 1), (n, 1, 2 * size, 2 * size), align_corners=False)
    return F.avg_pool2d(F.grid_sample(x[:, None].float(), grid, align_corners=False), 2)


def contrasted(x, factor, shift):
    mean = x.mean((1, 2, 3), keepdim=True)
    return (x - mean) * factor[:, None, None, None] + mean + 255 * shift[:, None, None, None]


def relit(x, how):
    """light: contrast and brightness a little; strong: these, gamma, noise and blur, each image at a strength of its own."""
    n = len(x)
    if how == "light":
        return contrasted(x, between(0.8, 1.2, n), between(-0.1, 0.1, n))
    k = torch.rand(n)
    gamma = torch.exp(k * between(-0.69, 0.69, n))[:, None, None, None]
    x = 255 * (x.clamp(0, 255) / 255) ** gamma
    x = contrasted(x, 1 + k * between(-0.5, 0.5, n), 0.5 * k * between(-0.4, 0.4, n))
    x = x + torch.randn_like(x) * (255 * k * between(0, 0.06, n))[:, None, None, None]
    at = torch.arange(-4, 5).float()
    for i, sigma in enumerate((k * between(0, 2, n) * x.shape[-1] / 224).tolist()):
        if sigma > 0.2:
            kernel = torch.exp(-at * at / (2 * sigma * sigma))
            kernel = kernel / kernel.sum()
            padded = F.pad(x[i:i + 1], (4, 4, 4, 4), mode="reflect")
            x[i:i + 1] = F.conv2d(F.conv2d(padded, kernel[None, None, None]), kernel[None, None, :, None])
    return x


def as_input(x):
    return ((x.clamp(0, 255).expand(-1, 3, -1, -1) / 255 - MEAN) / STD).to(memory_format=torch.channels_last)


# ---- the network ----

class Network(torch.nn.Module):
    def __init__(self, weights):
        super().__init__()
        layers, channels = [], 3
        for width in LAYOUT:
            if width == "pool":
                layers.append(torch.nn.MaxPool2d(2))
                continue
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU(inplace=True)]
            channels = width
        self.features = torch.nn.Sequential(*layers)
        self.head = torch.nn.Sequential(torch.nn.Dropout(0.3), torch.nn.Linear(channels, 2))
        stored = {re.sub(r"^.*features\.", "", k): v.float() for k, v in load_file(weights).items() if "features." in k}
        self.features.load_state_dict({k: stored[k] for k in self.features.state_dict()})

    def forward(self, x):
        return self.head(self.features(x).float().mean((2, 3)))


def groups_of(network, o):
    """The head at 1e-3; the topmost block at 1e-4, each below it at lr-decay of the one above."""
    groups = [{"params": list(network.head.parameters()), "base": 1e-3}]
    for number, layers in enumerate(BLOCKS, 1):
        parameters = [p for i in layers for p in network.features[i].parameters()]
        if number < o.first_block:
            for p in parameters:
                p.requires_grad = False
        else:
            groups.append({"params": parameters, "base": 1e-4 * o.lr_decay ** (5 - number)})
    return groups


def trained(images, labels, o):
    torch.manual_seed(o.seed)
    rng, network = np.random.default_rng(o.seed), Network(o.weights).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(groups_of(network, o), weight_decay=0.01)
    average = [p.detach().clone() for p in network.parameters()]
    steps, step = o.epochs * (len(images) // 32), 0
    for epoch in range(o.epochs):
        order, losses = rng.permutation(len(images)), []
        for first in range(0, len(order) - 31, 32):
            at = order[first:first + 32]
            for group in optimiser.param_groups:
                group["lr"] = group["base"] * min(1, (step + 1) / 60) * 0.5 * (1 + np.cos(np.pi * step / steps))
            x = as_input(relit(cropped(images[at], o.size, o.crop), o.photometric))
            with torch.autocast("cpu", torch.bfloat16):
                said = network(x)
            loss = F.cross_entropy(said.float(), labels[at])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            losses.append(loss.item())
            keep = min(0.99, step / (step + 10))
            for p, a in zip(network.parameters(), average):
                a.mul_(keep).add_(p.detach(), alpha=1 - keep)
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}", flush=True)
    for p, a in zip(network.parameters(), average):
        p.data.copy_(a)
    return network.eval()


def margins(network, images, size):
    out = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for part in torch.from_numpy(images).split(32):
            x = F.interpolate(part[:, None].float(), (size, size), mode="bilinear", antialias=True)
            said = network(as_input(x)).float()
            out.append(said[:, 1] - said[:, 0])
    return torch.cat(out).numpy()


# ---- judging ----

def table(scores, name):
    val, labels = scores["val"]
    threshold = np.sort(val[labels == 1])[int(0.07 * (labels == 1).sum())]  # sensitivity >= 0.93

    def figures(said, truth):
        return roc_auc_score(truth, said), ((said >= threshold) == truth).mean(), ((said >= 0) == truth).mean()

    def closer(change):
        (normal, a), (ill, b) = scores[change], scores["as-it-is"]
        return np.r_[normal[a == 0], ill[b == 1]], np.r_[a[a == 0], b[b == 1]]
    changes = [c for c in scores if c not in ("val", "family", "as-it-is", *RESHAPED)]
    rows = {
        "family": figures(*scores["family"]),
        "re-exposed": np.mean([figures(*scores[c]) for c in changes], 0),
        "reshaped": np.mean([figures(*scores[c]) for c in RESHAPED], 0),
        "closer normals": np.mean([figures(*closer(c)) for c in CLOSER], 0),
    }
    rows["mean of the four"] = np.mean(list(rows.values()), 0)
    print("| screened | validation | AUC | accuracy, sensitivity>=0.93 | accuracy, 0.5 |\n|---|---|---|---|---|")
    for validation, row in rows.items():
        print(f"| {name} | {validation} | {row[0]:.3f} | {row[1]:.3f} | {row[2]:.3f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("name")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--crop", type=float, default=0.08)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--photometric", choices=("light", "strong"), default="light")
    parser.add_argument("--normalise", choices=("none", "bands", "local"), default="none")
    parser.add_argument("--first-block", type=int, default=1)
    parser.add_argument("--lr-decay", type=float, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weights", default="vgg16_features.safetensors")
    o = parser.parse_args()
    images, labels, patients = load(o.work / "family/train")
    reference = np.median([[energy(b) for b in bands(image)] for image in images[::20]], 0)
    images = normalised(images, o.normalise, reference)
    everyone = np.unique(patients)
    held = np.isin(patients, np.random.default_rng(o.seed).permutation(everyone)[: len(everyone) // 10])
    network = trained(torch.from_numpy(images[~held]), torch.from_numpy(labels[~held]).long(), o)
    scores = {"val": (margins(network, images[held], o.size), labels[held])}
    folders = {"family": o.work / "family/test", **{p.name: p / "test" for p in sorted((o.work / "re-exposed").iterdir())}}
    for name, folder in folders.items():
        tested, truth, _ = load(folder)
        scores[name] = margins(network, normalised(tested, o.normalise, reference), o.size), truth
    (o.work / "screened").mkdir(exist_ok=True)
    np.savez(o.work / "screened" / f"{o.name}.npz", **{k: np.stack(v) for k, v in scores.items()})
    table(scores, o.name)


if __name__ == "__main__":
    main()
