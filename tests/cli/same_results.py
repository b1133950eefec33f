#!/usr/bin/env python3
"""same_results.py FIRST.h5 OTHER.h5...: results.h5 of runs of one configuration hold the same, but for /provenance.
checkpoint.h5 too, and but for the digests that it keeps of its contents, /provenance among them.

Every object, every attribute and every value, bit for bit; 1 with the first difference otherwise.
"""
import sys

import h5py
import numpy as np

DATED = {"provenance", "content_digests"}


def bits(value):
    """What a value is, also where it is not a number: references are the same by what they name."""
    array = np.asarray(value)
    return (array.shape, str(array.dtype), array.tolist() if array.dtype.hasobject else array.tobytes())


def attributes(item):
    scales = {"REFERENCE_LIST", "DIMENSION_LIST", "content_sha256"}  # addresses in the file; of all contents
    return {name: bits(value) for name, value in item.attrs.items() if name not in scales}


def contents(path):
    found = {}
    with h5py.File(path) as f:
        found["/"] = attributes(f)
        f.visititems(lambda name, item: found.update({name: (attributes(item), bits(item[()]) if isinstance(item, h5py.Dataset) else None)}))
    return {name: held for name, held in found.items() if name.split("/")[0] not in DATED}


first = contents(sys.argv[1])
for path in sys.argv[2:]:
    other = contents(path)
    different = [name for name in first.keys() | other.keys() if first.get(name) != other.get(name)]
    if different:
        sys.exit(f"{sys.argv[1]} and {path} differ in {', '.join(sorted(different))}")
print(f"{len(first)} objects are the same")
