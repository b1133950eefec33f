"""Computes the known answer of src/weights/answer.c with PyTorch in float64.

    python3 bench/known_answer.py vgg16_features.safetensors

Needs torch and safetensors. The image is (3, 64, 64), RGB: byte (37 c + 11 y + 7 x + (c + 1) x y) mod 256,
over 255, then torchvision's mean and deviation. Of the features f (512, 2, 2), flat, the answer has 16
sums: answer[j] = sum over i with i mod 16 = j of f[i] (1 + (i / 16) mod 7).
"""
import sys

import torch
from safetensors.torch import load_file

CONVS = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]


def main():
    weights = load_file(sys.argv[1])
    c, y, x = torch.meshgrid(torch.arange(3), torch.arange(64), torch.arange(64), indexing="ij")
    pixels = (37 * c + 11 * y + 7 * x + (c + 1) * x * y) % 256
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(3, 1, 1)
    f = ((pixels.double() / 255 - mean) / std)[None]
    for at, n in enumerate(CONVS):
        f = torch.relu(torch.nn.functional.conv2d(f, weights[f"features.{n}.weight"].double(),
                                                  weights[f"features.{n}.bias"].double(), padding=1))
        if at == len(CONVS) - 1 or CONVS[at + 1] - n == 3:
            f = torch.nn.functional.max_pool2d(f, 2)
    f = f.flatten()
    i = torch.arange(len(f))
    for j in range(16):
        print(f"{(f * (1 + (i // 16) % 7))[i % 16 == j].sum().item():.12g},")


main()
