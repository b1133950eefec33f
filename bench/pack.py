#!/usr/bin/env python3
"""Packing against Pillow, on the same bytes, by turns in one run.

    bench/pack.py SOURCE [--pulmo PATH] [--rounds 5] [--repeat 31]

SOURCE is class folders of JPEGs. They are also converted to grey PNGs of full size, which are packed as --png-repeat
links each and compared with Pillow likewise. Each round times Pillow on every file (open, decode, resize to 224 x 224
bilinear: as grey where the file is grey, as RGB always, in draft mode; reading included) and `pulmo bench pack` with one
thread and with two (everything: listing, reading, SHA-256, decoding, resizing, audit, writing shards and manifest). Pillow does a pass before and one after;
pulmo packs --repeat links to every file, so that its fixed costs count as they do in a data set of some size. Rates are
images a second of the wall clock, medians over the rounds; a ratio is the median of the rounds' ratios, whose neighbouring
measurements suffer alike from whatever else the machine does. The last line is one JSON object.
Needs Pillow (Debian: python3-pil)."""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

from PIL import Image

SIZE = (224, 224)
RATIOS = {
    "exact_to_pillow_grey": ("pulmo_exact", "pillow_grey"),
    "exact_to_pillow_rgb": ("pulmo_exact", "pillow_rgb"),
    "fast_to_pillow_draft": ("pulmo_fast", "pillow_draft"),
    "png_to_pillow_png": ("pulmo_png", "pillow_png"),
    "threads_2_to_1": ("pulmo_exact_2_threads", "pulmo_exact"),
}


def files_of(source):
    for folder, _, names in sorted(os.walk(source)):
        for name in sorted(names):
            if name.lower().endswith((".jpeg", ".jpg", ".png")):
                yield os.path.join(folder, name)


def grey(image):
    return image


def rgb(image):
    return image.convert("RGB")


def draft(image):
    image.draft(None, SIZE)
    return image


def pillow(files, prepare):
    began = time.perf_counter()
    for path in files:
        with Image.open(path) as image:
            prepare(image).resize(SIZE, Image.BILINEAR)
    return len(files) / (time.perf_counter() - began)


def pulmo(program, source, threads, decode, seconds):
    done = subprocess.run([program, "bench", "pack", "--source", source, "--threads", str(threads), "--decode", decode,
                           "--seconds", str(seconds)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.decode().splitlines()[-1])["images_per_second"]


def convert_all(source, into):
    for path in files_of(source):
        to = os.path.splitext(os.path.join(into, os.path.relpath(path, source)))[0] + ".png"
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with Image.open(path) as image:
            image.convert("L").save(to)


def link_all(source, repeat, into):
    for path in files_of(source):
        folder, name = os.path.split(os.path.relpath(path, source))
        os.makedirs(os.path.join(into, folder), exist_ok=True)
        for k in range(repeat):
            os.symlink(os.path.abspath(path), os.path.join(into, folder, f"{k}x{name}"))


def around(rate, before, after):
    """Two passes of Pillow with a run of pulmo between them, as one rate."""
    return 2 / (1 / before[rate] + 1 / after[rate])


def measure_pillow(files):
    return {"grey": pillow(files, grey), "rgb": pillow(files, rgb)}


def measure_jpeg(options, files, many):
    def pack(threads, decode):
        return pulmo(options.pulmo, many, threads, decode, options.seconds)
    before = measure_pillow(files)
    exact = pack(1, "exact")
    after = measure_pillow(files)
    return {
        "pillow_grey": around("grey", before, after), "pillow_rgb": around("rgb", before, after), "pulmo_exact": exact,
        "pulmo_exact_2_threads": pack(2, "exact"), "pillow_draft": pillow(files, draft), "pulmo_fast": pack(1, "fast"),
    }


def measure_png(options, files, many):
    return {"pillow_png": pillow(files, grey), "pulmo_png": pulmo(options.pulmo, many, 1, "exact", options.seconds)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--pulmo", default="build/release/bin/pulmo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=31, help="links to each file (31: of 168, a common training set's 5,216); 0: no JPEGs")
    parser.add_argument("--png-repeat", type=int, default=3, help="links to each PNG; 0: no PNGs")
    parser.add_argument("--seconds", type=int, default=2, help="of pulmo bench pack, a measurement")
    options = parser.parse_args()
    files = list(files_of(options.source))
    rates = {}
    with tempfile.TemporaryDirectory() as many, tempfile.TemporaryDirectory() as pngs, \
            tempfile.TemporaryDirectory() as many_pngs:
        link_all(options.source, options.repeat, many)
        if options.png_repeat > 0:
            convert_all(options.source, pngs)
            link_all(pngs, options.png_repeat, many_pngs)
        for _ in range(options.rounds):
            measured = {}
            if options.repeat > 0:
                measured.update(measure_jpeg(options, files, many))
            if options.png_repeat > 0:
                measured.update(measure_png(options, list(files_of(pngs)), many_pngs))
            for name, rate in measured.items():
                rates.setdefault(name, []).append(rate)
    figures = {name: round(statistics.median(values), 1) for name, values in rates.items()}
    figures["images"] = len(files)
    for name, (above, below) in RATIOS.items():
        if above not in rates:
            continue
        ratios = [x / y for x, y in zip(rates[above], rates[below])]
        figures[name] = round(statistics.median(ratios), 3)
        figures[name + "_range"] = [round(min(ratios), 3), round(max(ratios), 3)]
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
