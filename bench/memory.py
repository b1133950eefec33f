#!/usr/bin/env python3
"""Peak memory of packing and of training with fresh augmentation, for a small and a large data set.

    bench/memory.py --weights FILE [--pulmo PATH] [--images 5000,50000] [--folder DIR] [--ranks 1,2]

For each number of images a data set is made in DIR (a temporary directory): class folders below train/, and 200 images of
val. Each image is a grey JPEG of 64 x 64 pixels of its own, drawn by
this script. `pulmo pack --size 64` and one epoch of `pulmo train` on FILE's convolutions (build/release/tests/make_weights makes
a small file) run on each number of ranks, training also from 50 images a shard. What is compared is the kernel's high-water
mark of the largest process (ru_maxrss). The last line is one JSON object: bytes each further image costs.
Needs the standard library alone."""
import argparse
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile

SIDE = 64
BLOCKS = (SIDE // 8) ** 2
DC_COUNTS = [0, 1, 5, 1, 1, 1, 1, 1, 1] + [0] * 7  # the DC code of ITU-T T.81, table K.3
DC_CODES = {0: "00", 1: "010", 2: "011", 3: "100", 4: "101", 5: "110", 6: "1110", 7: "11110", 8: "111110"}


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def head():
    """Everything up to the scan's data: steps of 8 levels in DC, and an AC code that only knows the end of a block."""
    return (b"\xff\xd8" + segment(0xDB, bytes([0]) + bytes([8] * 64)) + segment(0xC0, struct.pack(">BHHBBBB", 8, SIDE, SIDE, 1, 1, 0x11, 0))
            + segment(0xC4, bytes([0x00] + DC_COUNTS + list(range(12)))[:17 + sum(DC_COUNTS)])
            + segment(0xC4, bytes([0x10, 1] + [0] * 15 + [0])) + segment(0xDA, bytes([1, 1, 0, 0, 63, 0])))


def jpeg(rng, start):
    bits, last = [], 0
    for _ in range(BLOCKS):
        level = rng.randrange(-100, 100)
        change, last = level - last, level
        size = abs(change).bit_length()
        bits.append(DC_CODES[size])
        if size:
            bits.append(format(change if change > 0 else change + (1 << size) - 1, f"0{size}b"))
        bits.append("0")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return start + data.replace(b"\xff", b"\xff\x00") + b"\xff\xd9"


def make_images(folder, images):
    rng, start = random.Random(images), head()
    for split, count in (("train", images), ("val", 200)):
        for label in ("a", "b"):
            os.makedirs(os.path.join(folder, split, label))
        for i in range(count):
            with open(os.path.join(folder, split, "ab"[i % 2], f"{split}-{i:06}.jpeg"), "wb") as file:
                file.write(jpeg(rng, start))


def peak_bytes(command, ranks):
    """Runs it; the largest process' high-water mark."""
    if ranks > 1:
        command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] + command
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            sys.exit(f"{' '.join(command)}: status {process.returncode}\n{said.read().decode()}")
    return usage.ru_maxrss * 1024


def measure(options, images, folder):
    source, packed, many, run = (os.path.join(folder, name) for name in ("source", "packed", "many", "run"))
    pulmo, peaks = os.path.abspath(options.pulmo), {}
    make_images(source, images)
    pack = [pulmo, "pack", source, packed, "--size", str(SIDE), "-q"]
    train = [pulmo, "train", "-q", "--overwrite", "--weights", options.weights, "--set", f"train.run_dir={run}", "--set", "train.epochs=1",
             "--set", "model.hidden=[16]", "--set", "train.threads=1", "--set"]
    for ranks in options.ranks:
        shutil.rmtree(packed, ignore_errors=True)
        peaks[f"pack, {ranks} rank(s)"] = peak_bytes(pack, ranks)
        peaks[f"train, {ranks} rank(s)"] = peak_bytes(train + [f"data.path={packed}"], ranks)
    subprocess.run([pulmo, "pack", source, many, "--size", str(SIDE), "-q", "--set", "pack.shard_images=50"], check=True)
    peaks["train, 50 images a shard"] = peak_bytes(train + [f"data.path={many}"], 1)
    return peaks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--pulmo", default="build/release/bin/pulmo")
    parser.add_argument("--images", type=lambda text: [int(n) for n in text.split(",")], default=[5000, 50000])
    parser.add_argument("--ranks", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--folder", help="where data sets are made (default: a temporary directory)")
    options = parser.parse_args()
    peaks = {}
    for images in options.images:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for what, peak in measure(options, images, folder).items():
                print(f"{images:7} images  {what:26} {peak / 1e6:8.1f} MB", file=sys.stderr)
                peaks.setdefault(what, []).append(peak)
    apart = options.images[-1] - options.images[0]
    print(json.dumps({what: round((values[-1] - values[0]) / apart, 1) for what, values in peaks.items()} if apart else {}))


if __name__ == "__main__":
    main()
