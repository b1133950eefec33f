#!/usr/bin/env python3
"""Time and memory to pack many images with a table, and to add some with --update.

    bench/growth.py [--pulmo PATH] [--images 100000] [--more 1000] [--ranks 2] [--folder DIR]

Draws JPEGs of 224 x 224 pixels, each of its own, three to a patient, and a table with path,
patient, label. `pulmo pack` splits them on --ranks ranks; then --more images are added below the
same folder and to the table, and `pulmo pack --update` packs those. A third command, the same
update again, has nothing to decode: what it takes is reading the folder and the table.
Memory is the kernel's high-water mark (ru_maxrss) of the largest rank.
The last line is one JSON object. Needs Pillow and NumPy (Debian: python3-pil, python3-numpy)."""
import argparse
import csv
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time

import numpy
from PIL import Image

SIDE = 224
BELOW = 1000  # images a folder
RANK = r"""
import os, resource, subprocess, sys
status = subprocess.run(sys.argv[2:]).returncode
with open(sys.argv[1] + "." + os.environ.get("OMPI_COMM_WORLD_RANK", "0"), "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(status)
"""


def name_of(number):
    return f"images_{number // BELOW:03d}/{number:08d}.jpg"


def draw(task):
    """Broad soft shapes and a little grain, as a film has them."""
    folder, number = task
    rng = numpy.random.default_rng(number)
    coarse = rng.integers(0, 256, (9, 9), dtype=numpy.uint8)
    picture = numpy.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.BICUBIC), numpy.int16)
    grain = rng.integers(-6, 7, (SIDE, SIDE), dtype=numpy.int16)
    pixels = numpy.clip(picture + grain, 0, 255).astype(numpy.uint8)
    Image.fromarray(pixels).save(os.path.join(folder, name_of(number)), quality=85)


def draw_all(folder, numbers):
    for first in sorted({number // BELOW for number in numbers}):
        os.makedirs(os.path.join(folder, f"images_{first:03d}"), exist_ok=True)
    with multiprocessing.Pool() as pool:
        for _ in pool.imap_unordered(draw, ((folder, n) for n in numbers), chunksize=64):
            pass


def write_table(path, count):
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "patient", "label"])
        for number in range(count):
            label = "Pneumonia" if number // 3 % 4 == 0 else "No Finding"
            rows.writerow([name_of(number), f"P{number // 3:07d}", label])


def pack(arguments, folder, packed, further):
    """Seconds of the wall clock and kB of the largest rank."""
    memory = os.path.join(folder, "memory")
    command = ["mpirun", "-n", str(arguments.ranks)] if arguments.ranks > 1 else []
    command += [sys.executable, "-c", RANK, memory, arguments.pulmo, "pack"]
    command += [os.path.join(folder, "films"), packed, "--quiet"]
    command += ["--set", f"pack.table={os.path.join(folder, 'labels.csv')}"]
    command += ["--set", "pack.table_path=path", "--set", "pack.table_label=label"]
    command += ["--set", "pack.table_patient=patient"]
    command += ["--val-fraction", "0.1", "--test-fraction", "0.1"] + further
    began = time.monotonic()
    subprocess.run(command, check=True)
    seconds = time.monotonic() - began
    used = [int(open(f"{memory}.{rank}").read()) for rank in range(arguments.ranks)]
    return round(seconds, 2), max(used)


def measure(arguments, folder):
    films = os.path.join(folder, "films")
    table = os.path.join(folder, "labels.csv")
    packed = os.path.join(folder, "packed")
    draw_all(films, range(arguments.images))
    write_table(table, arguments.images)
    whole = pack(arguments, folder, packed, [])
    print(f"pack    {arguments.images} images: {whole[0]} s, {whole[1] // 1024} MB a rank", flush=True)
    every = arguments.images + arguments.more
    draw_all(films, range(arguments.images, every))
    write_table(table, every)
    update = pack(arguments, folder, packed, ["--update"])
    print(f"update  {arguments.more} more: {update[0]} s, {update[1] // 1024} MB a rank", flush=True)
    again = pack(arguments, folder, packed, ["--update"])
    print(f"nothing to do: {again[0]} s (reads the folder and the table)", flush=True)
    share = (update[0] - again[0]) / whole[0]
    print(f"update without reading: {share:.1%} of the pack's time")
    return {"images": arguments.images, "more": arguments.more, "ranks": arguments.ranks,
            "pack_s": whole[0], "pack_kb": whole[1], "update_s": update[0],
            "update_kb": update[1], "reading_s": again[0], "update_share": round(share, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pulmo", default="build/release/bin/pulmo")
    parser.add_argument("--images", type=int, default=100000)
    parser.add_argument("--more", type=int, default=1000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--folder", help="kept; the default is a temporary one")
    arguments = parser.parse_args()
    arguments.pulmo = os.path.abspath(arguments.pulmo)
    folder = os.path.abspath(arguments.folder) if arguments.folder else tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    try:
        print(json.dumps(measure(arguments, folder)))
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
