"""DICOM files for tests, written by the standard library alone, and what pulmo must make of them.

    dicoms.py make DIRECTORY       odd and good files, and expected.txt: "FILE ok" or "FILE WORDS of its refusal"
    dicoms.py compare DIRECTORY PACKED   every good file of DIRECTORY in PACKED against the formulas below and Pillow's
                                   resize, to the bit; prints how many were compared
    dicoms.py of IMAGE FILE        the pixels of a grey image as 8 bits, full range, no window
    dicoms.py copy FOLDER TO [MODALITY]   the same for every JPEG below FOLDER; of 12 bits with a window, of that modality
"""
import glob
import math
import os
import random
import struct
import sys
import zlib

EXPLICIT, IMPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99"
BIG_ENDIAN, RLE, JPEG2000, BASELINE = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90",
                                       "1.2.840.10008.1.2.4.50")
LONG = ("OB", "OW", "SQ", "UN")
US, SS = "US", "SS"


# ---- writing ----

def number(vr, value, end):
    return struct.pack(end + ("h" if vr == SS else "H"), value)


def element(tag, vr, value, explicit=True, end="<"):
    """`value` is bytes, text, an int, a list of ints, or for SQ a list of lists of elements."""
    if vr == "SQ":
        items = b"".join(b"".join(element(*e, explicit, end) for e in item) for item in value)
        body = struct.pack(end + "HHI", 0xFFFE, 0xE000, len(items)) + items
    elif isinstance(value, int):
        body = number(vr, value, end)
    elif isinstance(value, list):
        body = b"".join(number(vr, v, end) for v in value)
    else:
        body = value.encode("latin-1") if isinstance(value, str) else value
    if len(body) % 2:
        body += b"\0" if vr in ("UI", "OB") else b" "
    head = struct.pack(end + "HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return head + struct.pack(end + "I", len(body)) + body
    if vr in LONG:
        return head + vr.encode() + b"\0\0" + struct.pack(end + "I", len(body)) + body
    return head + vr.encode() + struct.pack(end + "H", len(body)) + body


def fragments(frame):
    if len(frame) % 2:
        frame += b"\0"
    item = struct.pack("<HHI", 0xFFFE, 0xE000, len(frame)) + frame
    return (struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) + item +
            struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def dicom(values, rows, columns, bits=12, signed=0, allocated=16, modality="DX", photometric="MONOCHROME2",
          transfer=EXPLICIT, patient=None, extra=(), frame=None, samples=1, drop=()):
    """A file of rows x columns stored values; `extra` elements, (tag, VR, value), come in the order of tags."""
    end, explicit = (">" if transfer == BIG_ENDIAN else "<"), transfer != IMPLICIT
    elements = [(0x00080060, "CS", modality), (0x00280002, US, samples), (0x00280004, "CS", photometric),
                (0x00280010, US, rows), (0x00280011, US, columns), (0x00280100, US, allocated),
                (0x00280101, US, bits), (0x00280102, US, bits - 1), (0x00280103, US, signed)] + list(extra)
    if patient is not None:
        elements.append((0x00100020, "LO", patient))
    if frame is None and values is not None:
        kind = "B" if allocated == 8 else ("h" if signed else "H")
        pixels = struct.pack(f"{end}{len(values)}{kind}", *values)
        elements.append((0x7FE00010, "OB" if allocated == 8 else "OW", pixels))
    body = b"".join(element(*e, explicit, end) for e in sorted(elements) if e[0] not in drop)
    if frame is not None:
        body += fragments(frame)
    if transfer == DEFLATED:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = packer.compress(body) + packer.flush()
    meta = element(0x00020010, "UI", transfer)
    return bytes(128) + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + body


def save(path, data):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def rle(values, rows, columns):
    """Two segments, high bytes and low bytes, each row a literal run (PS3.5, annex G)."""
    segments = []
    for shift in (8, 0):
        plane = bytes(v >> shift & 0xFF for v in values)
        runs = b"".join(bytes([columns - 1]) + plane[y * columns:(y + 1) * columns] for y in range(rows))
        segments.append(runs + b"\0" * (len(runs) % 2))
    return struct.pack("<16I", 2, 64, 64 + len(segments[0]), *[0] * 13) + b"".join(segments)


# ---- the way from stored values to grey, PS3.3 C.11, written once more ----

def linear(c, w):
    return lambda x: ((x - (c - 0.5)) / (w - 1) + 0.5)


def exact(c, w):
    return lambda x: (x - c) / w + 0.5


def sigmoid(c, w):
    return lambda x: 1 / (1 + math.exp(-4 * (x - c) / w))


def full(low, high):
    return lambda x: (x - low) / (high - low)


def table(first, bits, values):
    return lambda x: values[min(max(math.floor(x + 0.5) - first, 0), len(values) - 1)] / ((1 << bits) - 1)


def grey(values, way, inverted=False):
    levels = [math.floor(min(max(way(v), 0), 1) * 255 + 0.5) for v in values]
    return [255 - level for level in levels] if inverted else levels


# ---- the files ----

ROWS, COLUMNS = 57, 61


def film(rng, low, high):
    """A soft slope with noise: no two alike."""
    tilt = rng.random()
    return [min(max(round(low + (high - low) * (0.1 + 0.7 * (tilt * x / COLUMNS + (1 - tilt) * y / ROWS)) +
                          rng.gauss(0, (high - low) / 40)), low), high) for y in range(ROWS) for x in range(COLUMNS)]


def good_files():
    """{name: (file, grey)}"""
    rng, out = random.Random(7), {}

    def add(name, way, low=0, high=4095, inverted=False, **options):
        values = film(rng, low, high)
        if options.get("transfer") == RLE:
            options["frame"] = rle(values, ROWS, COLUMNS)
        out[name] = (dicom(values, ROWS, COLUMNS, patient=name, **options), grey(values, way, inverted))

    window = [(0x00281050, "DS", "2000\\10"), (0x00281051, "DS", "3000\\20")]
    rescale = [(0x00281052, "DS", "-1000"), (0x00281053, "DS", "0.5")]
    steps = [round(1023 * (i / 4095) ** 2) for i in range(4096)]
    lut = [[(0x00283002, US, [4096, 0, 10]), (0x00283006, "OW", struct.pack("<4096H", *steps))]]
    signed_steps = [(i * 4) for i in range(64)]
    signed_lut = [[(0x00283002, SS, [64, -32, 8]), (0x00283006, "OW", struct.pack("<64H", *signed_steps))]]
    add("twelve", full(0, 4095))
    add("ten", full(0, 1023), high=1023, bits=10)
    add("sixteen", full(0, 65535), high=65535, bits=16)
    add("eight", full(0, 255), high=255, bits=8, allocated=8)
    add("signed", full(-2048, 2047), low=-2048, high=2047, signed=1)
    add("mono1", full(0, 4095), inverted=True, photometric="MONOCHROME1")
    add("inverse", full(0, 4095), inverted=True, extra=[(0x20500020, "CS", "INVERSE")])
    add("mono1-inverse", full(0, 4095), inverted=True, photometric="MONOCHROME1", extra=[(0x20500020, "CS", "INVERSE")])
    add("window", linear(2000, 3000), extra=window)
    add("exact", exact(2000, 3000), extra=window + [(0x00281056, "CS", "LINEAR_EXACT")])
    add("sigmoid", sigmoid(2000, 3000), extra=window + [(0x00281056, "CS", "SIGMOID")])
    add("rescaled", lambda x: linear(2000, 3000)(0.5 * x - 1000), extra=window + rescale)
    add("voi-table", table(0, 10, steps), extra=window + [(0x00283010, "SQ", lut)])
    add("modality-table", lambda x: steps[x] / 1023, extra=[(0x00283000, "SQ", lut)])
    add("signed-table", table(-32, 8, signed_steps), low=-60, high=60, signed=1, extra=[(0x00283010, "SQ", signed_lut)])
    add("implicit", linear(2000, 3000), extra=window, transfer=IMPLICIT)
    add("big-endian", linear(2000, 3000), extra=window, transfer=BIG_ENDIAN)
    add("deflated", full(0, 4095), transfer=DEFLATED)
    add("rle", full(0, 4095), transfer=RLE)
    add("cr", full(0, 4095), modality="CR")
    return out


def odd_files():
    """{name: (file, words of the refusal)}"""
    rng = random.Random(8)
    values = film(rng, 0, 4095)
    plain = dicom(values, ROWS, COLUMNS)

    def of(words, **options):
        return dicom(values, ROWS, COLUMNS, **options), words

    nested = struct.pack("<HH2sHIHHI", 8, 0x1140, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    jpeg_head = b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 11, 8, 60000, 60000, 1) + b"\1\x11\0"
    return {
        "truncated": (plain[:-1000], "is truncated"),
        "truncated-head": (plain[:170], "is truncated"),
        "frames": of("has 7 frames; must be 1", extra=[(0x00280008, "IS", "7")]),
        "colour": of("is in colour (RGB", photometric="RGB", samples=3),
        "palette": of("is in colour (PALETTE COLOR", photometric="PALETTE COLOR"),
        "ct": of("is of modality CT", modality="CT"),
        "no-modality": of("is of modality (none)", drop=(0x00080060,)),
        "no-pixels": (dicom(None, ROWS, COLUMNS), "without pixels"),
        "no-rows": of("has no Rows", drop=(0x00280010,)),
        "jpeg2000": (dicom(None, ROWS, COLUMNS, transfer=JPEG2000, frame=b"\xff\x4f\xff\x51" + bytes(60)), "JPEG 2000"),
        "huge": (dicom([0] * 8, 65535, 65535), "65535 x 65535 is more than"),
        "short-pixels": (dicom([0] * 8, 4000, 4000), "is truncated: its pixels are 16 bytes"),
        "huge-jpeg": (dicom(None, ROWS, COLUMNS, bits=8, allocated=8, transfer=BASELINE, frame=jpeg_head), "is damaged: says 61 columns"),
        "no-jpeg": (dicom(None, ROWS, COLUMNS, bits=8, allocated=8, transfer=BASELINE, frame=bytes(40)), "said to be JPEG"),
        "cut-rle": (dicom(None, ROWS, COLUMNS, transfer=RLE, frame=rle(values, ROWS, COLUMNS)[:900]), "cannot be decoded"),
        "cut-deflate": (dicom(values, ROWS, COLUMNS, transfer=DEFLATED)[:-500], "is truncated: its deflated"),
        "long-element": (plain + struct.pack("<HH2sHI", 0x7FE1, 0x10, b"OB", 0, 0xFFFFFFF0), "of which 0 are there"),
        "deep": (plain[:-1] + b"\0" + nested * 20000, "sequences within one another"),
        "unknown-transfer": of("transfer syntax 1.2.3.4.5", transfer="1.2.3.4.5"),
        "thirty-two-bits": of("has 32 bits of 32", bits=32, allocated=32),
        "one-bit": of("has 1 bits of 16", bits=1),
        "no-width": of("WindowWidth 0", extra=[(0x00281050, "DS", "1"), (0x00281051, "DS", "0")]),
        "no-slope": of("RescaleSlope 0", extra=[(0x00281053, "DS", "0")]),
        "short-table": of("lookup table has 3 values", extra=[(0x00283010, "SQ", [[
            (0x00283002, US, [4096, 0, 10]), (0x00283006, "OW", bytes(6))]])]),
        "garbage": (bytes(128) + b"DICM" + random.Random(9).randbytes(5000), "is"),
        "empty-set": (bytes(128) + b"DICM", "does not say its transfer syntax"),
    }


def make(directory):
    lines = []
    for name, (data, _) in good_files().items():
        save(f"{directory}/{name}.dcm", data)
        lines.append(f"{name}.dcm ok")
    for name, (data, words) in odd_files().items():
        save(f"{directory}/{name}.dcm", data)
        lines.append(f"{name}.dcm {words}")
    with open(f"{directory}/expected.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def compare(packed):
    import h5py
    import numpy
    from PIL import Image
    good, compared = good_files(), 0
    for name in glob.glob(f"{packed}/*-of-*.h5"):
        with h5py.File(name) as shard:
            for path, patient, pixels in zip(shard["paths"][:], shard["groups"][:], shard["images"][:]):
                base = os.path.basename(path.decode()).rsplit(".", 1)[0]
                if base not in good:
                    continue
                levels = numpy.array(good[base][1], numpy.uint8).reshape(ROWS, COLUMNS)
                height, width, _ = pixels.shape
                wanted = numpy.asarray(Image.fromarray(levels).resize((width, height), Image.BILINEAR))
                assert (pixels == wanted[:, :, None]).all(), f"{base}: other pixels than the formulas give"
                assert patient.decode() == base, f"{base}: its patient is {patient}"
                compared += 1
    print(compared)


def film_of(path, modality):
    from PIL import Image
    image = Image.open(path).convert("L")
    values, rows, columns = list(image.tobytes()), image.height, image.width
    if not modality:
        return dicom(values, rows, columns, bits=8, allocated=8)
    window = [(0x00281050, "DS", "2000"), (0x00281051, "DS", "3000")]
    return dicom([16 * v for v in values], rows, columns, modality=modality, extra=window)


def main():
    if sys.argv[1] == "make":
        make(sys.argv[2])
    elif sys.argv[1] == "compare":
        compare(sys.argv[3])
    elif sys.argv[1] == "copy":
        modality = sys.argv[4] if len(sys.argv) > 4 else None
        for folder, _, names in os.walk(sys.argv[2]):
            for name in (n for n in names if n.endswith(".jpeg")):
                to = os.path.join(sys.argv[3], os.path.relpath(folder, sys.argv[2]), name.rsplit(".", 1)[0] + ".dcm")
                save(to, film_of(os.path.join(folder, name), modality))
    else:
        save(sys.argv[3], film_of(sys.argv[2], None))


if __name__ == "__main__":
    main()
