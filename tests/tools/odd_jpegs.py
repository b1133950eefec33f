#!/usr/bin/env python3
"""Damaged and odd JPEGs, made here, and what pack must say of them.

    odd_jpegs.py make DIR       writes DIR/NAME.jpeg and DIR/expected.txt: NAME ok, or NAME and a word of the refusal
    odd_jpegs.py compare SOURCE PACKED   every packed image against Pillow's pixels of its source, to the last bit
Needs Pillow; compare needs NumPy and h5py."""
import glob
import io
import os
import struct
import sys

from PIL import Image, ImageOps


def picture(width=90, height=70, mode="L"):
    image = Image.new(mode, (width, height))
    bands = len(mode) if mode != "L" else 1
    values = [tuple((3 * x + 2 * y + 60 * (((x - 40) ** 2 + (y - 30) ** 2) < 400) + 35 * c) % 256 for c in range(bands))
              for y in range(height) for x in range(width)]
    image.putdata(values if bands > 1 else [v[0] for v in values])
    return image


def jpeg(image=None, **options):
    out = io.BytesIO()
    (image or picture()).save(out, "JPEG", **{"quality": 90, **options})
    return out.getvalue()


def segment(data, marker):
    """Where the segment's marker stands."""
    at = 2
    while data[at + 1] != marker:
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return at


def changed(data, at, new):
    return data[:at] + bytes(new) + data[at + len(new):]


def frame(data):
    return segment(data, 0xC0)


def scan_data(data):
    at = segment(data, 0xDA)
    return at + 2 + struct.unpack(">H", data[at + 2:at + 4])[0]


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return jpeg(exif=tags)


def component_ids(data, ids):
    at, scan = frame(data), segment(data, 0xDA)
    for k, value in enumerate(ids):
        data = changed(data, at + 10 + 3 * k, [value])
        data = changed(data, scan + 5 + 2 * k, [value])
    return data


def in_format(name):
    out = io.BytesIO()
    picture(40, 40).save(out, name)
    return out.getvalue()


def all_files():
    grey, colour = jpeg(), jpeg(picture(mode="RGB"))
    progressive = jpeg(progressive=True)
    middle = (scan_data(grey) + len(grey)) // 2
    files = {
        "cut-in-header": (grey[:100], "truncated"),
        "cut-before-scan": (grey[:scan_data(grey)], "truncated"),
        "cut-in-scan": (grey[:middle], "truncated"),
        "cut-colour": (colour[:len(colour) * 2 // 3], "truncated"),
        "cut-progressive": (progressive[:len(progressive) // 2], "truncated"),
        "no-end-marker": (grey[:-2], "truncated"),
        "three-bytes": (grey[:3], "truncated"),
        "empty": (b"", "empty"),
        "png": (in_format("PNG"), "ok"),
        "gif": (in_format("GIF"), "not a JPEG, a PNG or a DICOM file but a GIF"),
        "bmp": (in_format("BMP"), "not a JPEG, a PNG or a DICOM file but a BMP"),
        "tiff": (in_format("TIFF"), "not a JPEG, a PNG or a DICOM file but a TIFF"),
        "text": (b"a line of text\n", "not a JPEG"),
        "html": (b"<!DOCTYPE html><title>404 Not Found</title>", "not a JPEG"),
        "zeros": (bytes(3000), "not a JPEG"),
        "marker-only": (b"\xff\xd8\xff\xd9", "cannot be decoded"),
        "huge": (changed(grey, frame(grey) + 5, struct.pack(">HH", 65000, 65000)), "pixels"),
        "zero-height": (changed(grey, frame(grey) + 5, [0, 0]), "cannot be decoded"),
        "zero-width": (changed(grey, frame(grey) + 7, [0, 0]), "cannot be decoded"),
        "twelve-bits": (changed(grey, frame(grey) + 4, [12]), "cannot be decoded"),
        "lossless": (changed(grey, frame(grey) + 1, [0xC3]), "cannot be decoded"),
        "hierarchical": (changed(grey, frame(grey) + 1, [0xC5]), "cannot be decoded"),
        "five-components": (changed(grey, frame(grey) + 9, [5]), "cannot be decoded"),
        "stray-restart": (changed(grey, middle, [0xFF, 0xD3]), "damaged"),
        "bad-huffman-table": (changed(grey, segment(grey, 0xC4) + 5, [255] * 8), "cannot be decoded"),
        "no-tables": (grey[:segment(grey, 0xC4)] + grey[segment(grey, 0xDA):], "ok"), # the standard ones are meant
        "early-end": (changed(grey, middle, [0xFF, 0xD9]), "damaged"),
        "another-segment-in-scan": (changed(grey, middle, [0xFF, 0xFE, 0x7F]), "premature end of data"),
        "grey": (grey, "ok"),
        "progressive": (progressive, "ok"),
        "progressive-colour": (jpeg(picture(mode="RGB"), progressive=True), "ok"),
        "best-quality": (jpeg(quality=100), "ok"),
        "worst-quality": (jpeg(quality=1), "ok"),
        "optimised": (jpeg(optimize=True), "ok"),
        "cmyk": (jpeg(picture(mode="CMYK")), "ok"),
        "profile": (jpeg(icc_profile=bytes(4000)), "ok"),
        "comment": (jpeg(comment=b"x" * 60000), "ok"),
        "garbage-after-end": (grey + os.urandom(500), "ok"),
        "one-pixel": (jpeg(picture(1, 1)), "ok"),
        "one-pixel-colour": (jpeg(picture(1, 1, "RGB")), "ok"),
        "one-row": (jpeg(picture(65500, 1)), "ok"),
        "one-column": (jpeg(picture(1, 9000)), "ok"),
        "ids-0-1-2": (component_ids(colour, [0, 1, 2]), "ok"),
        "ids-rgb": (component_ids(colour, [82, 71, 66]), "ok"),
        "fill-bytes": (grey[:2] + b"\xff" * 9 + grey[2:], "ok"),
        "not-as-named": (jpeg(), "ok"),
    }
    for k, name in enumerate(("444", "422", "420")):
        files["sampling-" + name] = (jpeg(picture(91, 71, "RGB"), subsampling=k), "ok")
    for orientation in range(1, 9):
        files[f"orientation-{orientation}"] = (exif(orientation), "ok")
    try:
        files["restarts"] = (jpeg(restart_marker_rows=1), "ok")
        files["restarts-colour"] = (jpeg(picture(mode="RGB"), restart_marker_blocks=3), "ok")
    except TypeError:
        pass # an older Pillow knows no restarts
    return files


def make(directory):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "expected.txt"), "w") as expected:
        for name, (data, word) in sorted(all_files().items()):
            full = name + (".png" if name == "not-as-named" else ".jpeg")
            with open(os.path.join(directory, full), "wb") as out:
                out.write(data)
            print(full, word, file=expected)


def compare(source, packed):
    import h5py
    import numpy
    count = 0
    for shard_name in glob.glob(os.path.join(packed, "*-of-*.h5")):
        with h5py.File(shard_name) as shard:
            for path, pixels in zip(shard["paths"][:], shard["images"]):
                with Image.open(os.path.join(source, path.decode())) as image:
                    image = ImageOps.exif_transpose(image).convert("RGB").resize(pixels.shape[1::-1], Image.BILINEAR)
                wanted = numpy.asarray(image)
                if not (numpy.broadcast_to(pixels, wanted.shape) == wanted).all():
                    sys.exit(f"{path.decode()}: other pixels than Pillow's")
                count += 1
    print(count)


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
