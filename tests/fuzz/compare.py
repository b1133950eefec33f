"""compare.py PROGRAM FILE-or-DIRECTORY...: the pixels that pulmo makes of JPEGs and PNGs against Pillow's, of DICOM
files against pydicom's stored values, to the bit. PROGRAM is build/release/tests/decode_images. What pulmo refuses is
passed over; what pulmo takes and the other refuses is counted. Inputs are a fuzz corpus: build/fuzz/corpus/image.

Pillow cuts colours of 16 bits to 8, and takes the transparent grey of fewer than 8 bits for one of 8: such PNGs are
passed over. Of DICOM only what needs no window is compared: 8 bits,
full range, no tables."""
import io
import pathlib
import struct
import subprocess
import sys
import warnings

import numpy
from PIL import Image, ImageFile, ImageOps

try:
    import pydicom
except ImportError:
    pydicom = None
Image.MAX_IMAGE_PIXELS = None
ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.simplefilter("ignore")
COUNTS = {"equal": 0, "differ": 0, "refused by pulmo": 0, "refused by the other": 0, "not compared": 0}


def ours(program, path):
    """(H, W, C), or None where pulmo refuses."""
    out = subprocess.run([program, "any", str(path)], stdout=subprocess.PIPE, check=True).stdout
    line, _, pixels = out.partition(b"\n")
    words = line.rsplit(b": ", 1)[-1].split()
    if len(words) != 3 or not all(word.isdigit() for word in words):
        return None
    shape = [int(word) for word in words]
    return numpy.frombuffer(pixels, "uint8").reshape(shape) if len(pixels) == numpy.prod(shape) else None


def of_png(data):
    bits, kind = struct.unpack(">BB", data[24:26])
    if bits == 16 or (bits < 8 and kind == 0 and b"tRNS" in data):
        return None
    image = Image.open(io.BytesIO(data))
    image.load()
    image = ImageOps.exif_transpose(image)
    if kind in (4, 6) or "transparency" in image.info:
        rgba = numpy.asarray(image.convert("RGBA")).astype(int)
        return ((rgba[..., :3] * rgba[..., 3:] + 127) // 255).astype("uint8")
    return numpy.asarray(image.convert("RGB"))


def of_jpeg(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return numpy.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def of_dicom(data):
    if not pydicom:
        return None
    file = pydicom.dcmread(io.BytesIO(data))
    words = "WindowCenter", "ModalityLUTSequence", "VOILUTSequence", "RescaleSlope", "PresentationLUTShape"
    if file.get("BitsStored") != 8 or any(word in file for word in words) or file.get("PixelRepresentation"):
        return None
    values = file.pixel_array
    if values.ndim != 2:
        return None
    values = 255 - values if file.PhotometricInterpretation == "MONOCHROME1" else values
    return numpy.repeat(values.astype("uint8")[..., None], 3, axis=2)


def theirs(data):
    if data[:4] == b"\x89PNG":
        return of_png(data)
    return of_jpeg(data) if data[:3] == b"\xff\xd8\xff" else of_dicom(data)


def compare(program, path):
    mine = ours(program, path)
    if mine is None:
        return "refused by pulmo"
    try:
        other = theirs(path.read_bytes())
    except Exception as why:  # other programs refuse in many ways
        print(f"{path}: taken by pulmo, refused by the other: {why}")
        return "refused by the other"
    if other is None:
        return "not compared"
    if mine.shape[:2] == other.shape[:2] and (numpy.broadcast_to(mine, other.shape) == other).all():
        return "equal"
    print(f"{path}: other pixels")
    return "differ"


def main():
    for name in sys.argv[2:]:
        path = pathlib.Path(name)
        for file in sorted(path.iterdir()) if path.is_dir() else [path]:
            COUNTS[compare(sys.argv[1], file)] += 1
    print(", ".join(f"{count} {what}" for what, count in COUNTS.items()))
    sys.exit(COUNTS["differ"] > 0)


main()
