"""A training step above a cut, pulmo beside PyTorch: the same weights, the same features at the cut, the same head.

    finetune.py --tool build/release/tests/finetune_step --weights FILE [--check] [--trainable block5 all ...]
                [--batch 32] [--threads 2] [--rounds 3] [--seconds 5] [--compile] [--default-layout]

--check compares one step's loss and every gradient (relative RMS error a tensor against PyTorch in float64) and
exits with 1 where one is off. Otherwise the two are timed, interleaved: forward, loss, backward and Adam of all
that is above the cut. PyTorch runs channels last, with --compile compiled as well, with --default-layout in that as
well; the fastest counts. PyTorch keeps the memory it frees (glibc's MALLOC_MMAP_MAX_ and its like): it is faster so.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

HIDDEN, CLASSES = 256, 2
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 28)}
FROZEN = {"block5": 4, "block4": 3, "block3": 2, "block2": 1, "all": 0}


def read_safetensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    return {name: np.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]], np.float32).reshape(e["shape"])
            for name, e in header.items() if name != "__metadata__"}


def layers_above(weights, frozen):
    """(N, pool follows) of the convolutions above the cut: 2 apart in a block, 3 across a pool."""
    numbers = sorted({int(name.split(".")[1]) for name in weights})
    block, out = 1, []
    for i, n in enumerate(numbers):
        pool = i + 1 == len(numbers) or numbers[i + 1] - n == 3
        if block > frozen:
            out.append((n, pool))
        block += pool
    return out


def network(weights, frozen, side):
    net, channels = [], 3
    for n, pool in layers_above(weights, frozen):
        w = weights[f"features.{n}.weight"]
        conv = torch.nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1)
        conv.weight.data, conv.bias.data = torch.tensor(w), torch.tensor(weights[f"features.{n}.bias"])
        net += [conv, torch.nn.ReLU(inplace=True)] + ([torch.nn.MaxPool2d(2)] if pool else [])
        channels, side = w.shape[0], side // 2 if pool else side
    net += [torch.nn.Flatten(), torch.nn.Linear(channels * side * side, HIDDEN), torch.nn.ReLU(inplace=True), torch.nn.Linear(HIDDEN, CLASSES)]
    return torch.nn.Sequential(*net)


def cut_shape(weights, frozen):
    first = layers_above(weights, frozen)[0][0]
    return weights[f"features.{first}.weight"].shape[1], 224 >> frozen


def check(options, weights, trainable):
    frozen = FROZEN[trainable]
    channels, side = cut_shape(weights, frozen)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([options.tool, options.weights, trainable, str(options.threads), str(options.batch), "1", folder], check=True)
        load = lambda name, kind: np.fromfile(os.path.join(folder, name), kind)
        before, after = load("before.f32", np.float32).astype(np.float64), load("after.f32", np.float32).astype(np.float64)
        features, labels = load("features.f32", np.float32), load("labels.i32", np.int32)
        with open(os.path.join(folder, "loss.txt"), encoding="ascii") as file:
            loss = float(file.read())
    net = network(weights, frozen, side).double()
    at = 0
    for parameter in net.parameters():
        parameter.data = torch.tensor(before[at:at + parameter.numel()]).reshape(parameter.shape)
        at += parameter.numel()
    x = torch.tensor(features, dtype=torch.float64).reshape(-1, channels, side, side)
    theirs = torch.nn.functional.cross_entropy(net(x), torch.tensor(labels.astype(np.int64)))
    theirs.backward()
    worst, at = 0.0, 0
    for name, parameter in net.named_parameters():
        mine, wanted = (before - after)[at:at + parameter.numel()], parameter.grad.numpy().ravel()
        at += parameter.numel()
        # Parameters are float32: their difference is off by up to half a unit in the last place of either.
        rounding = np.sqrt((np.spacing(np.abs(before[at - parameter.numel():at]).astype(np.float32)).astype(np.float64) ** 2).sum())
        error = max(0.0, float(np.sqrt(((mine - wanted) ** 2).sum()) - rounding) / float(np.sqrt((wanted ** 2).sum())))
        worst = max(worst, error)
        if options.verbose:
            print(f"  {name:12s} |gradient| {np.sqrt((wanted ** 2).sum()):.3e} error {error:.1e}")
    off = abs(loss - theirs.item()) / abs(theirs.item())
    print(f"{trainable}: loss off by {off:.1e}, gradients by at most {worst:.1e} (relative, against PyTorch {torch.__version__} in float64)")
    # A ReLU or a maximum within single precision's rounding of its neighbour takes the other side, and its gradient with it.
    return off < 1e-5 and worst < 5e-3


def torch_rate(weights, options, frozen, layout, compiled):
    channels, side = cut_shape(weights, frozen)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net = network(weights, frozen, side).train()
    x = torch.randn(options.batch, channels, side, side)
    x = x if channels == 3 else x.relu()
    if layout == "channels last":
        net, x = net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    y = torch.arange(options.batch) % CLASSES
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-5, foreach=False, fused=True)
    run = torch.compile(net) if compiled else net

    def step():
        optimiser.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(run(x), y).backward()
        optimiser.step()
    step()
    step()
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < options.seconds or steps < 3:
        step()
        steps += 1
    return steps * options.batch / (time.perf_counter() - start)


def measure(options, weights, trainable):
    frozen, rates = FROZEN[trainable], {}
    variants = [("default layout", False)] if options.default_layout else []
    variants += [("channels last", False)] + ([("channels last", True)] if options.compile else [])
    for _ in range(options.rounds):
        for layout, compiled in variants:
            name = f"PyTorch {torch.__version__}, {layout}{', compiled' if compiled else ''}"
            rates.setdefault(name, []).append(torch_rate(weights, options, frozen, layout, compiled))
        done = subprocess.run([options.tool, options.weights, trainable, str(options.threads), str(options.batch), str(options.seconds)],
                              check=True, capture_output=True, text=True,
                              env={k: v for k, v in os.environ.items() if k not in KEEP_MEMORY})
        rates.setdefault("pulmo", []).append(json.loads(done.stdout.splitlines()[-1])["images_per_second"])
    fastest = max((n for n in rates if n != "pulmo"), key=lambda n: statistics.median(rates[n]))
    print(f"\n{trainable}: batch {options.batch}, {options.threads} thread(s), median of {options.rounds} interleaved rounds\n")
    print("| step | images/s | min–max |\n|---|---|---|")
    for name, values in rates.items():
        print(f"| {name} | {statistics.median(values):.1f} | {min(values):.1f}–{max(values):.1f} |")
    ratio = statistics.median(p / r for p, r in zip(rates["pulmo"], rates[fastest]))
    print(f"\npulmo against the fastest ({fastest}): {ratio:.2f}×", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--trainable", nargs="+", default=["block5", "all"], choices=FROZEN)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--compile", action="store_true", help="time a compiled network as well")
    parser.add_argument("--default-layout", action="store_true", help="time the default layout as well")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not options.check and not KEEP_MEMORY.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP_MEMORY})
    weights = read_safetensors(options.weights)
    if options.check:
        sys.exit(0 if all([check(options, weights, t) for t in options.trainable]) else 1)
    for trainable in options.trainable:
        measure(options, weights, trainable)


if __name__ == "__main__":
    main()
