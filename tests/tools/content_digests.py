"""Recomputes the digests of a pulmo file's values with h5py and hashlib, from the rules in
docs/reference/files.md alone: status 0 where /content_digests and content_sha256 are these."""
import hashlib
import sys

import h5py
import numpy


def shape_line(dtype, shape, ending=""):
    kinds = {"i": "int", "u": "uint", "f": "float", "S": "string"}
    words = [kinds[dtype.kind], str(dtype.itemsize), *map(str, shape)]
    return (" ".join(words) + ending + "\n").encode()


def raw(identifier, dtype, shape):
    """The values as they are stored, whatever they would mean to Python."""
    out = numpy.zeros(shape, dtype=dtype)
    if isinstance(identifier, h5py.h5a.AttrID):
        identifier.read(out, mtype=identifier.get_type())
    elif out.size:
        identifier.read(h5py.h5s.ALL, h5py.h5s.ALL, out, identifier.get_type())
    return out.tobytes()


def of_references(file, value):
    text = b"references\n"
    for item in numpy.ravel(value):
        if isinstance(item, numpy.void):  # REFERENCE_LIST: a dataset and its dimension
            text += file[item[0]].name.encode() + b"\0" + str(item[1]).encode() + b"\0"
        else:  # DIMENSION_LIST: the scales of a dimension
            for reference in item:
                text += file[reference].name.encode() + b"\0"
    return text


def attributes(file, name, thing):
    for key in thing.attrs:
        if (name, key) == ("/", "content_sha256"):
            continue
        identifier = thing.attrs.get_id(key)
        if key in ("DIMENSION_LIST", "REFERENCE_LIST"):
            text = of_references(file, thing.attrs[key])
        else:
            dtype = identifier.dtype
            text = shape_line(dtype, identifier.shape) + raw(identifier, dtype, identifier.shape)
        yield f"{name}@{key}", text


def contents(file):
    things = {"/": file}
    file.visititems(lambda name, thing: things.__setitem__("/" + name, thing))
    for name, thing in things.items():
        if name == "/content_digests":
            continue
        if isinstance(thing, h5py.Dataset):
            by_rows = name + "_xxh3" in things
            text = shape_line(thing.id.dtype, thing.shape, " rows" if by_rows else "")
            if not by_rows:
                text += raw(thing.id, thing.id.dtype, thing.shape)
            yield name, text
        yield from attributes(file, name, thing)


def main():
    with h5py.File(sys.argv[1]) as file:
        found = {name: hashlib.sha256(text).hexdigest() for name, text in contents(file)}
        lines = sorted((name.encode(), digest) for name, digest in found.items())
        text = b"".join(digest.encode() + b"  " + name + b"\n" for name, digest in lines)
        stored = file["content_digests"][()]
        root = file.attrs.get_id("content_sha256")
        digest = raw(root, root.dtype, root.shape).rstrip(b"\0").decode()
    if text != stored:
        wrong = set(text.splitlines()) ^ set(stored.splitlines())
        sys.exit("other digests:\n" + "\n".join(sorted(line.decode() for line in wrong)))
    if digest != hashlib.sha256(stored).hexdigest():
        sys.exit("content_sha256 is not the digest of /content_digests")
    print(f"{sys.argv[1]}: {len(lines)} digests")


main()
