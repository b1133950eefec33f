#!/usr/bin/env python3
"""Damaged and odd PNGs, written here from the specification as PngSuite's are, and what pack must say of them.

    odd_pngs.py make DIR       writes DIR/NAME.png and DIR/expected.txt: NAME ok, or NAME and a word of the refusal
    odd_pngs.py compare SOURCE PACKED   every packed PNG against Pillow's pixels of its source, to one level
compare needs Pillow, NumPy and h5py."""
import os
import struct
import sys
import zlib

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
NAMES = {GREY: "grey", RGB: "rgb", PALETTE: "palette", GREY_ALPHA: "grey-alpha", RGBA: "rgba"}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
SIGNATURE = b"\x89PNG\r\n\x1a\n"


# ---- writing ----

def chunk(kind, body=b""):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(width, height, bits, kind, interlace=0, compression=0, filtering=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, compression, filtering, interlace))


def level(x, y, c, most):
    """A smooth picture with a disc, of `most` + 1 levels."""
    inside = (x - 40) ** 2 + (y - 30) ** 2 < 400
    return (37 * x + 23 * y + 700 * inside + 350 * c) % 1000 * most // 999


def packed(samples, bits):
    if bits == 16:
        return b"".join(struct.pack(">H", v) for v in samples)
    out, each = bytearray(), 8 // bits
    for i in range(0, len(samples), each):
        byte = 0
        for k, v in enumerate(samples[i:i + each]):
            byte |= v << (8 - bits * (k + 1))
        out.append(byte)
    return bytes(out)


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filtered(row, above, kind, step):
    out = bytearray([kind])
    for i, v in enumerate(row):
        a, b, c = row[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
        out.append((v - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) & 255)
    return bytes(out)


def scanlines(width, height, bits, kind, interlace=0, most=None):
    n, most = SAMPLES[kind], (1 << bits) - 1 if most is None else most
    step = max(1, n * bits // 8)
    out = []
    for x0, y0, dx, dy in ADAM7 if interlace else [(0, 0, 1, 1)]:
        if x0 >= width:
            continue
        above = None
        for number, y in enumerate(range(y0, height, dy)):
            row = packed([level(x, y, c, most) for x in range(x0, width, dx) for c in range(n)], bits)
            out.append(filtered(row, above or bytes(len(row)), number % 5, step))
            above = row
    return b"".join(out)


def palette(colours, grey=False):
    return chunk(b"PLTE", bytes((67 * i + (0 if grey else 40 * c)) % 256 for i in range(colours) for c in range(3)))


def png(kind=GREY, bits=8, width=90, height=70, interlace=0, before=b"", after=b"", stream=None, idat=1 << 30, most=None):
    if stream is None:
        stream = zlib.compress(scanlines(width, height, bits, kind, interlace, most))
    colours = palette(1 << bits) if kind == PALETTE and b"PLTE" not in before else b""
    parts = [chunk(b"IDAT", stream[i:i + idat]) for i in range(0, len(stream), idat)]
    return SIGNATURE + header(width, height, bits, kind, interlace) + colours + before + b"".join(parts) + after + chunk(b"IEND")


# ---- damage ----

def at(data, kind):
    """Where the chunk's length stands."""
    return data.index(kind) - 4


def changed(data, where, new):
    return data[:where] + bytes(new) + data[where + len(new):]


def wrong_sum(data, kind):
    """One bit of the chunk's checksum."""
    start = at(data, kind)
    last = start + 11 + struct.unpack(">I", data[start:start + 4])[0]
    return changed(data, last, [data[last] ^ 1])


def with_header(data, *fields):
    return SIGNATURE + header(*fields) + data[8 + 25:]


def exif(orientation, little):
    order = "<" if little else ">"
    start = (b"II*\0" if little else b"MM\0*") + struct.pack(order + "IH", 8, 1)
    return chunk(b"eXIf", start + struct.pack(order + "HHIHHI", 0x0112, 3, 1, orientation, 0, 0))


def bad_files():
    grey, colours = png(), png(PALETTE, before=palette(200) + chunk(b"tRNS", bytes(range(100))), most=199)
    text = png(before=chunk(b"tEXt", b"Comment\0words"))
    stream = zlib.compress(scanlines(90, 70, 8, GREY))
    short = zlib.compress(scanlines(90, 60, 8, GREY))
    long = zlib.compress(scanlines(90, 80, 8, GREY))
    return {
        "empty": (b"", "empty"),
        "four-bytes": (grey[:4], "truncated"),
        "signature-only": (SIGNATURE, "truncated"),
        "cut-in-header": (grey[:20], "truncated"),
        "cut-before-image": (grey[:33], "truncated"),
        "cut-in-image": (grey[:len(grey) // 2], "truncated"),
        "cut-interlaced": (png(interlace=1)[:900], "truncated"),
        "no-end": (grey[:-12], "truncated"),
        "cut-in-end": (grey[:-1], "truncated"),
        "crc-header": (wrong_sum(grey, b"IHDR"), "IHDR: CRC error"),
        "crc-palette": (wrong_sum(colours, b"PLTE"), "PLTE: CRC error"),
        "crc-trns": (wrong_sum(colours, b"tRNS"), "tRNS: CRC error"),
        "crc-image": (wrong_sum(grey, b"IDAT"), "IDAT: CRC error"),
        "crc-text": (wrong_sum(text, b"tEXt"), "tEXt: CRC error"),
        "crc-end": (wrong_sum(grey, b"IEND"), "IEND: CRC error"),
        "bit-in-image": (changed(grey, at(grey, b"IDAT") + 500, [grey[at(grey, b"IDAT") + 500] ^ 8]), "is damaged"),
        "zero-width": (with_header(grey, 0, 70, 8, GREY), "width is zero"),
        "zero-height": (with_header(grey, 90, 0, 8, GREY), "height is zero"),
        "huge": (with_header(grey, 0x7FFFFFFF, 0x7FFFFFFF, 8, GREY), "is more than"),
        "beyond-31-bits": (with_header(grey, 0xFFFFFFFF, 70, 8, GREY), "is damaged"),
        "large": (with_header(grey, 20000, 20000, 8, RGB), "pack.pixels_max raises the limit"),
        "long-side": (with_header(grey, 1000001, 1, 8, GREY), "a side of more than"),
        "claims-more-rows": (with_header(grey, 90, 13000, 8, GREY), "Not enough image data"),
        "claims-fewer-rows": (with_header(grey, 90, 10, 8, GREY), "is damaged"),
        "three-bits": (with_header(grey, 90, 70, 3, GREY), "bit depth"),
        "palette-of-16-bits": (with_header(grey, 90, 70, 16, PALETTE), "is damaged"),
        "colour-type-1": (with_header(grey, 90, 70, 8, 1), "color type"),
        "compression-1": (with_header(grey, 90, 70, 8, GREY, 0, 1), "compression"),
        "filter-1": (with_header(grey, 90, 70, 8, GREY, 0, 0, 1), "filter"),
        "interlace-2": (with_header(grey, 90, 70, 8, GREY, 2), "interlace"),
        "no-palette": (SIGNATURE + header(90, 70, 8, PALETTE) + chunk(b"IDAT", stream) + chunk(b"IEND"), "Missing PLTE"),
        "index-beyond-palette": (png(PALETTE, before=palette(200), most=200), "palette of 200"),
        "index-beyond-interlaced": (png(PALETTE, 4, before=palette(9), most=9, interlace=1), "palette of 9"),
        "no-image": (png(stream=b""), "IEND: out of place"),
        "no-zlib": (png(stream=bytes(3000)), "is damaged: IDAT"),
        "raw-deflate": (png(stream=stream[2:-4]), "is damaged: IDAT"),
        "wrong-adler": (png(stream=changed(stream, len(stream) - 1, [stream[-1] ^ 1])), "incorrect data check"),
        "too-few-rows": (png(stream=short), "Not enough image data"),
        "too-many-rows": (png(stream=long), "Too much image data"),
        "behind-the-stream": (png(stream=stream + b"more"), "Extra compressed data"),
        "filter-type-9": (png(stream=zlib.compress(b"\x09" + scanlines(90, 70, 8, GREY)[1:])), "bad adaptive filter"),
        "unknown-critical": (png(before=chunk(b"CgBI", bytes(4))), "unhandled critical chunk"),
        "two-headers": (png(before=header(90, 70, 8, GREY)), "IHDR: out of place"),
        "line-ends-changed": (grey.replace(b"\r\n", b"\n", 1), "ASCII conversion"),
        "signature-of-seven-bits": (b"\x09" + grey[1:], "is not a JPEG, a PNG or a DICOM file but something else"),
        "chunk-of-2-GiB": (changed(text, at(text, b"tEXt"), [0x7F, 255, 255, 255]), "truncated"),
    }


def good_files():
    files = {}
    for kind, depths in DEPTHS.items():
        for bits in depths:
            for interlace in (0, 1):
                name = f"{NAMES[kind]}-{bits}" + ("-interlaced" if interlace else "")
                files[name] = png(kind, bits, interlace=interlace)
    for bits in (1, 2, 4, 8, 16):
        key = level(3, 4, 0, (1 << bits) - 1)
        files[f"transparent-grey-{bits}"] = png(GREY, bits, before=chunk(b"tRNS", struct.pack(">H", key)))
    key = struct.pack(">HHH", *(level(3, 4, c, 255) for c in range(3)))
    files["transparent-rgb-8"] = png(RGB, before=chunk(b"tRNS", key))
    for bits in (1, 2, 4, 8):
        some = bytes(37 * i % 256 for i in range((1 << bits) - 1))
        files[f"transparent-palette-{bits}"] = png(PALETTE, bits, before=palette(1 << bits) + chunk(b"tRNS", some))
    files["grey-palette"] = png(PALETTE, before=palette(256, grey=True))
    files["palette-beside-rgb"] = png(RGB, before=palette(7))
    for n in range(1, 9):
        place = "before" if n % 2 else "after"
        files[f"orientation-{n}"] = png(RGB, **{place: exif(n, n > 4)})
    gamma = chunk(b"gAMA", struct.pack(">I", 100000))
    files["gamma"] = png(before=gamma)
    files["bad-profile"] = png(before=chunk(b"iCCP", b"name\0\0nothing"))
    files["texts"] = png(before=chunk(b"tEXt", b"Comment\0" + b"x" * 100000) + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900000))),
                         after=chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"))
    files["unknown-chunk"] = png(before=chunk(b"puLm", bytes(300)))
    files["animation"] = png(before=chunk(b"acTL", struct.pack(">II", 1, 0)))
    files["idat-of-one-byte"] = png(width=30, height=20, idat=1)
    files["empty-idat"] = png(before=chunk(b"IDAT"))
    files["stored"] = png(stream=zlib.compress(scanlines(90, 70, 8, GREY), 0))
    files["garbage-after-end"] = png() + os.urandom(500)
    files["one-pixel"] = png(width=1, height=1)
    files["one-pixel-interlaced"] = png(RGBA, 16, 1, 1, interlace=1)
    files["one-row"] = png(width=70000, height=1, most=200)
    files["one-column-interlaced"] = png(width=1, height=3000, interlace=1)
    files["not-as-named"] = png()
    return {name: (data, "ok") for name, data in files.items()}


def make(directory):
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, "expected.txt"), "w", encoding="utf-8") as expected:
        for name, (data, word) in sorted({**good_files(), **bad_files()}.items()):
            full = name + (".jpeg" if name == "not-as-named" else ".png")
            with open(os.path.join(directory, full), "wb") as out:
                out.write(data)
            print(full, word, file=expected)


def written_pixels(width, height, bits, kind):
    """(H, W, 1 or 3) levels of 0 to 255 of the picture as it was written, over black, by the documented rule."""
    import numpy
    n, most = SAMPLES[kind], (1 << bits) - 1
    samples = numpy.array([[[level(x, y, c, most) for c in range(n)] for x in range(width)] for y in range(height)], dtype=float)
    alpha = samples[..., -1:] / most if kind in (GREY_ALPHA, RGBA) else 1
    return numpy.floor(samples[..., :1 if n < 3 else 3] * alpha * 255 / most + 0.5).astype("uint8")


def compare(source, directory):
    """Pillow knows no 16-bit colours: those are compared with what was written."""
    import numpy
    from PIL import Image
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../bench"))
    import pixels

    def pixels_of(path, width, height):
        with open(path, "rb") as file:
            fields = struct.unpack(">16xIIBB", file.read(26))
        if fields[2:] in ((16, RGB), (16, GREY_ALPHA), (16, RGBA)):
            whole = numpy.broadcast_to(written_pixels(*fields), (fields[1], fields[0], 3))
            return numpy.asarray(Image.fromarray(whole).resize((width, height), Image.BILINEAR)).astype(int)
        return pixels.pillow_pixels(path, width, height)

    worst, equal, sizes = pixels.compare(source, directory, -1, pixels_of)
    if worst > 1 or equal < 1:
        sys.exit(f"{directory}: {worst} levels from the pixels that are right, {equal} of the samples equal")
    print(len(sizes))


if __name__ == "__main__":
    {"make": make, "compare": compare}[sys.argv[1]](*sys.argv[2:])
