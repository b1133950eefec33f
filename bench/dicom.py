#!/usr/bin/env python3
"""Grey levels of DICOM files against pydicom's, and pydicom's speed.

    bench/dicom.py --tool build/release/tests/decode_images [FILE_OR_FOLDER...]
    bench/dicom.py --tool build/release/tests/decode_images --speed [--rounds N]

Without files: those that come with pydicom and pydicom-data. Every file that pulmo takes, of any modality, is compared
with pydicom's stored values through apply_modality_lut and apply_voi_lut and the rule of docs/reference/formats.md for
the rest; exit status 1 if a pixel differs by more than one level of 255. The files that pulmo refuses are listed with
its reason. --speed: seconds of processor time, reading included, to decode and resize an uncompressed file of 12 bits,
2,500 x 2,000, with a window, to 224 x 224.
Needs pydicom, NumPy, Pillow; pylibjpeg, pylibjpeg-libjpeg and pyjpegls for compressed files (PyPI)."""
import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy
import pydicom
from PIL import Image
from pydicom.pixels import apply_modality_lut, apply_voi_lut

warnings.filterwarnings("ignore")


# ---- pydicom's levels ----

def stored_range(ds):
    bits = ds.BitsStored
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if ds.PixelRepresentation else (0, (1 << bits) - 1)


def table_of(ds, name):
    sequence = getattr(ds, name, None)
    return sequence[0] if sequence else None


def output_range(ds):
    """What apply_modality_lut can give for BitsStored bits."""
    table = table_of(ds, "ModalityLUTSequence")
    if table:
        return 0, (1 << table.LUTDescriptor[2]) - 1
    slope, intercept = float(getattr(ds, "RescaleSlope", 1)), float(getattr(ds, "RescaleIntercept", 0))
    ends = [slope * end + intercept for end in stored_range(ds)]
    return min(ends), max(ends)


def has_window(ds):
    return getattr(ds, "WindowCenter", None) not in (None, "") and getattr(ds, "WindowWidth", None) not in (None, "")


def levels(ds):
    """(H, W) float, 0 to 255, not rounded."""
    stored = ds.pixel_array
    if ds.BitsStored < ds.BitsAllocated:  # bits above those stored hold nothing
        mask = (1 << ds.BitsStored) - 1
        stored = stored.astype(numpy.int32) & mask
        if ds.PixelRepresentation:
            stored = numpy.where(stored > mask >> 1, stored - mask - 1, stored)
    values = apply_modality_lut(stored, ds)
    low, high = output_range(ds)
    table = table_of(ds, "VOILUTSequence")
    if table:
        values, low, high = apply_voi_lut(values, ds), 0, (1 << table.LUTDescriptor[2]) - 1
    elif has_window(ds):
        values = apply_voi_lut(values, ds)
    grey = numpy.clip((values.astype(numpy.float64) - low) / (high - low), 0, 1) * 255
    inverted = ds.PhotometricInterpretation == "MONOCHROME1" or getattr(ds, "PresentationLUTShape", "") == "INVERSE"
    return 255 - grey if inverted else grey


# ---- pulmo's ----

def decoded(tool, path):
    """pulmo's pixels, or its reason."""
    out = subprocess.run([tool, "any", path], stdout=subprocess.PIPE, check=True).stdout
    line, pixels = out.split(b"\n", 1)
    said = line.decode(errors="replace")[len(path) + 2:]
    sides = said.split(" ")
    if len(sides) != 3 or not all(side.isdigit() for side in sides):
        return None, said
    return numpy.frombuffer(pixels, numpy.uint8).reshape([int(side) for side in sides]), ""


def find(places):
    found = []
    for place in places:
        for folder, _, names in os.walk(place):
            found += [os.path.join(folder, name) for name in names]
        if os.path.isfile(place):
            found.append(place)
    return sorted(found)


def known_places():
    places = [os.path.join(os.path.dirname(pydicom.__file__), "data", "test_files")]
    try:
        import data_store
        places.append(os.path.dirname(data_store.__file__) if data_store.__file__ else list(data_store.__path__)[0])
    except ImportError:
        pass
    return places


def is_dicom(path):
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def compare(tool, places):
    refused, worst, taken, wrong = collections.Counter(), 0.0, 0, 0
    for path in filter(is_dicom, find(places)):
        pixels, reason = decoded(tool, path)
        name = os.path.basename(path)
        if pixels is None:
            print(f"refused  {name}: {reason}")
            refused[reason.split(";")[0][:60]] += 1
            continue
        taken += 1
        try:
            theirs = levels(pydicom.dcmread(path, force=True))
        except Exception as thrown:  # what pydicom cannot read is no reference
            print(f"no reference  {name}: pydicom: {thrown}")
            continue
        if pixels.shape[2] != 1 or pixels.shape[:2] != theirs.shape:
            print(f"WRONG  {name}: {pixels.shape}, not {theirs.shape}")
            wrong += 1
            continue
        apart = float(abs(pixels[:, :, 0] - theirs).max())
        worst = max(worst, apart)
        wrong += apart > 1
        print(f"{'WRONG' if apart > 1 else 'same'}  {name}: {apart:.3f} levels apart at most, "
              f"{int(pixels.min())} to {int(pixels.max())}")
    print(f"{taken} files are taken, {sum(refused.values())} refused; {worst:.3f} levels of 255 apart at most")
    return 1 if wrong or not taken else 0


# ---- speed ----

def write_film(path, rows=2000, columns=2500):
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian
    rng = numpy.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(200, 3800, (40, 50)).astype(numpy.float32))
    film = numpy.asarray(coarse.resize((columns, rows), Image.BICUBIC)) + rng.normal(0, 20, (rows, columns))
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality, ds.PatientID = meta.MediaStorageSOPClassUID, "1.2.3", "DX", "1"
    ds.Rows, ds.Columns, ds.SamplesPerPixel, ds.PhotometricInterpretation = rows, columns, 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.RescaleSlope, ds.RescaleIntercept, ds.WindowCenter, ds.WindowWidth = 1, 0, 2048, 3600
    ds.PixelData = numpy.clip(film, 0, 4095).astype("<u2").tobytes()
    ds.save_as(path)


def pydicom_once(path):
    """As a program would that knows its files: no masks, no clipping."""
    ds = pydicom.dcmread(path)
    grey = apply_voi_lut(apply_modality_lut(ds.pixel_array, ds), ds) * (255 / 4095) + 0.5
    return Image.fromarray(grey.astype(numpy.uint8)).resize((224, 224), Image.BILINEAR)


def speed(tool, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "film.dcm")
        write_film(path)
        ours, theirs = [], []
        for _ in range(rounds):
            out = subprocess.run([tool, "any", "--size", "224", "--times", "20", path], stdout=subprocess.PIPE, check=True)
            ours.append(float(out.stdout.decode().split()[-2]))
            began = time.process_time()
            for _ in range(5):
                pydicom_once(path)
            theirs.append((time.process_time() - began) / 5)
    print(f"pulmo {min(ours) * 1000:.1f} ms, pydicom {pydicom.__version__} and Pillow {min(theirs) * 1000:.1f} ms a file: "
          f"{min(theirs) / min(ours):.2f} times as fast")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tool", required=True)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("places", nargs="*")
    given = parser.parse_args()
    if given.speed:
        speed(given.tool, given.rounds)
        return 0
    return compare(given.tool, given.places or known_places())


sys.exit(main())
