"""What a Winograd tile size would cost in accuracy: VGG16's convolutions in float32 with F(m x m, 3x3), against
features computed in float64. A simulation with NumPy for choosing m; it measures no time.

    python bench/tile_sizes.py --weights FILE --golden FILE [--images N]

Each line: the tile size of blocks 1 to 5, multiplications an image in the products (10^9), and the relative RMS error with
the sum over input channels in one piece, and in pieces of 64 and of 32 channels that are then added.
"""
import argparse
import os
import sys

import h5py
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers"))
from peers import FEATURES, MEAN, POOL_AFTER, STD, read_safetensors  # noqa: E402

# Finite interpolation points: those of src/nn/kernels/points.h, and of the tile of 4 that was there before.
POINTS = {
    4: (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)),
    5: (8 / 32, -8 / 32, 27 / 32, -27 / 32, 56 / 32, -56 / 32),
    6: (0, 0.5, -0.5, 1, -1, 2, -2),
    7: (7 / 32, -7 / 32, 21 / 32, -21 / 32, 36 / 32, -36 / 32, 70 / 32, -70 / 32),
}
PLANS = ((4, 4, 4, 4, 4), (4, 4, 4, 4, 5), (6, 6, 6, 6, 5), (4, 4, 4, 7, 7), (6, 6, 7, 7, 5), (7, 7, 7, 7, 5), (7, 7, 7, 7, 7))


def vandermonde(points, columns):
    """Rows of powers; the last row is the point at infinity."""
    last = np.zeros((1, columns), np.longdouble)
    last[0, -1] = 1
    return np.vstack([np.array(points, np.longdouble)[:, None] ** np.arange(columns), last])


def transforms(m):
    """A^T (m, t), G (t, 3), B^T (t, t); rows of B^T are scaled by powers of two to norms near 1."""
    exact = vandermonde(POINTS[m], m + 2)
    inverse = np.linalg.inv(exact.astype(np.float64)).astype(np.longdouble)
    for _ in range(4):  # Newton's iteration, to the long type's precision
        inverse = inverse @ (2 * np.eye(m + 2, dtype=np.longdouble) - exact @ inverse)
    bt, g = inverse.T.copy(), vandermonde(POINTS[m], 3)
    scale = 2.0 ** np.round(np.log2(np.sqrt((bt**2).sum(1)).astype(np.float64)))
    return vandermonde(POINTS[m], m).T.astype(np.float64), (g * scale[:, None]).astype(np.float64), (bt / scale[:, None]).astype(np.float64)


def winograd(x, weight, m, piece):
    at, g, bt = transforms(m)
    t, (n, c, height, width), k = m + 2, x.shape, weight.shape[0]
    down, across = -(-height // m), -(-width // m)
    framed = np.zeros((n, c, down * m + 2, across * m + 2), np.float32)
    framed[:, :, 1:height + 1, 1:width + 1] = x
    s = framed.strides
    tiles = np.lib.stride_tricks.as_strided(framed, (n, c, down, across, t, t), (s[0], s[1], s[2] * m, s[3] * m, s[2], s[3]))
    u = np.einsum("ia,kcab,jb->ijck", g, weight.astype(np.float64), g).astype(np.float32)
    bt, at = bt.astype(np.float32), at.astype(np.float32)
    v = (bt @ np.ascontiguousarray(tiles.transpose(4, 5, 0, 2, 3, 1)).reshape(t, -1)).reshape(t, t, -1)
    v = np.stack([bt @ row for row in v]).reshape(t, t, -1, c)
    products = np.zeros((t, t, v.shape[2], k), np.float32)
    for i in range(t):
        for j in range(t):
            for first in range(0, c, piece or c):
                part = slice(first, first + (piece or c))
                products[i, j] += np.ascontiguousarray(v[i, j][:, part]) @ np.ascontiguousarray(u[i, j][part])
    y = (at @ products.reshape(t, -1)).reshape(m, t, -1)
    y = np.stack([at @ row for row in y]).reshape(m, m, n, down, across, k)
    return y.transpose(2, 5, 3, 0, 4, 1).reshape(n, k, down * m, across * m)[:, :, :height, :width]


def direct(x, weight):
    n, c, height, width = x.shape
    framed = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    taps = [framed[:, :, i:i + height, j:j + width] for i in range(3) for j in range(3)]
    columns = np.stack(taps, 2).reshape(n, c * 9, height * width)
    return (weight.reshape(len(weight), -1) @ columns).reshape(n, -1, height, width)


def features(x, weights, plan, piece):
    """The features, and multiplications an image in the products."""
    block, products = 0, 0
    for f in FEATURES:
        weight, m = weights[f"features.{f}.weight"], plan[block]
        if f == 0:
            y = direct(x, weight)
        else:
            y = winograd(x, weight, m, piece)
            products += -(-x.shape[2] // m) * -(-x.shape[3] // m) * (m + 2) ** 2 * weight.shape[0] * weight.shape[1]
        x = np.maximum(y + weights[f"features.{f}.bias"][None, :, None, None], 0)
        if f in POOL_AFTER:
            n, c, height, width = x.shape
            x = x.reshape(n, c, height // 2, 2, width // 2, 2).max((3, 5))
            block += 1
    return x, products


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--images", type=int, default=1)
    options = parser.parse_args()
    with h5py.File(options.golden) as file:
        pixels, truth = file["pixels"][:options.images], file["pool5"][:options.images].astype(np.float64)
    images = ((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    weights = read_safetensors(options.weights)
    print("| F(m×m, 3×3), m in blocks 1 to 5 | products, 10⁹ | error, one sum | sums of 64 | sums of 32 |\n|---|---|---|---|---|")
    for plan in PLANS:
        errors = []
        for piece in (0, 64, 32):
            got, products = features(images, weights, plan, piece)
            errors.append(np.sqrt(((got - truth) ** 2).sum() / (truth**2).sum()))
        print(f"| {' '.join(map(str, plan))} | {products / 1e9:.2f} | {' | '.join(f'{e:.1e}' for e in errors)} |", flush=True)


if __name__ == "__main__":
    main()
