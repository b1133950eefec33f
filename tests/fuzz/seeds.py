"""seeds.py DIRECTORY: small files of every kind that fuzz targets read, in DIRECTORY/TARGET. By the standard
library; JPEGs where Pillow is installed, Keras' files where h5py is."""
import gzip
import io
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = HERE.parent.parent
TOOLS = HERE.parent / "tools"
OUT = pathlib.Path(sys.argv[1])
RNG = random.Random(1)
LAYERS = [(16, 3), (16, 16)]  # outputs and inputs of convolutions
NUMBERS = [0, 3]              # of torchvision's features


def save(target, name, data):
    directory = OUT / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / name).write_bytes(data.encode() if isinstance(data, str) else data)


def floats(count):
    return struct.pack(f"<{count}f", *(RNG.gauss(0, 0.1) for _ in range(count)))


def tensors():
    """Name, shape and values of a network of two convolutions."""
    for number, (outs, ins) in zip(NUMBERS, LAYERS):
        yield f"features.{number}.weight", [outs, ins, 3, 3], floats(outs * ins * 9)
        yield f"features.{number}.bias", [outs], floats(outs)


# ---- weights ----

def safetensors():
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, shape, values in tensors():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(values)]}
        body += values
    text = json.dumps(header).encode()
    save("safetensors", "two-layers", struct.pack("<Q", len(text)) + text + body)


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def ints(values):
    return b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"


def strides(shape):
    steps = [1]
    for size in shape[:0:-1]:
        steps.insert(0, steps[0] * size)
    return steps


def state(parts):
    out = b"\x80\x02ccollections\nOrderedDict\n)R("
    for key, (name, shape, values) in enumerate(parts):
        out += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\nFloatStorage\n"
        out += text(str(key)) + text("cpu") + b"J" + struct.pack("<i", len(values) // 4) + b"tQK\0"
        out += ints(shape) + ints(strides(shape)) + b"\x89ccollections\nOrderedDict\n)RtR"
    return out + b"u."


def torch():
    parts = list(tensors())
    head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}("
    stream = head + text("little_endian") + b"\x88u." + state(parts) + b"\x80\x02]("
    stream += b"".join(text(str(key)) for key in range(len(parts))) + b"e."
    stream += b"".join(struct.pack("<Q", len(values) // 4) + values for _, _, values in parts)
    save("torch", "stream", stream)
    for method, word in (zipfile.ZIP_STORED, "stored"), (zipfile.ZIP_DEFLATED, "deflated"):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", method) as out:
            out.writestr("m/data.pkl", state(parts))
            out.writestr("m/byteorder", "little")
            for key, (_, _, values) in enumerate(parts):
                out.writestr(f"m/data/{key}", values)
        save("torch", word, archive.getvalue())


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, values):
    return field(5, field(1, name) + b"".join(field(8, v) for v in values))


def node(kind, inputs, output, attributes=b""):
    return field(1, b"".join(field(1, i) for i in inputs) + field(2, output) + field(4, kind) + attributes)


def onnx():
    graph, last = b"", "x"
    for number in NUMBERS:
        conv = attribute("kernel_shape", [3, 3]) + attribute("pads", [1, 1, 1, 1]) + attribute("strides", [1, 1])
        pool = attribute("kernel_shape", [2, 2]) + attribute("strides", [2, 2])
        names = [last, f"features.{number}.weight", f"features.{number}.bias"]
        graph += node("Conv", names, f"c{number}", conv) + node("Relu", [f"c{number}"], f"r{number}")
        last = f"p{number}"
        graph += node("MaxPool", [f"r{number}"], last, pool)
    for name, shape, values in tensors():
        graph += field(5, b"".join(field(1, s) for s in shape) + field(2, 1) + field(8, name) + field(9, values))
    save("onnx", "two-layers", field(1, 8) + field(2, "pulmo") + field(7, graph))


def keras():
    try:
        import h5py
        import numpy
    except ImportError:
        print("seeds: h5py is not installed: none of Keras", file=sys.stderr)
        return
    for version in "earliest", "latest":
        path = OUT / "file.h5"
        with h5py.File(path, "w", libver=version) as out:
            for block, (outs, ins) in enumerate(LAYERS, 1):
                group = out.create_group(f"block{block}_conv1")
                group["kernel"] = numpy.full((3, 3, ins, outs), 0.1, "f4")
                group["bias"] = numpy.zeros(outs, "f4")
                group.attrs["weight_names"] = [b"kernel", b"bias"]
            out.attrs["layer_names"] = [b"block1_conv1", b"block2_conv1"]
            out.create_dataset("packed", data=numpy.arange(500), chunks=(100,), compression="gzip")
        save("keras", version, path.read_bytes())
        save("h5", version, path.read_bytes())
        path.unlink()


# ---- files of pulmo's own, of before there were seals ----

def own():
    old = SOURCE / "tests/data/old"
    for kind in "0.1.0", "unsealed":
        for path in sorted((old / kind).rglob("*.h5")):
            save("h5", f"{kind}-{path.name}", path.read_bytes())
        save("model", kind, (old / kind / "run/model.h5").read_bytes())
        save("manifest", kind, (old / kind / "packed/manifest.h5").read_bytes())
        save("shard", kind, (old / kind / "packed/test-00000-of-00001.h5").read_bytes())


# ---- images ----

def images():
    for script, kind in ("odd_pngs.py", "png"), ("dicoms.py", "dicom"), ("odd_jpegs.py", "jpeg"):
        directory = OUT / "odd" / kind
        made = subprocess.run([sys.executable, str(TOOLS / script), "make", str(directory)], stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE)
        if made.returncode != 0:
            print(f"seeds: {script} cannot run here: no {kind}", file=sys.stderr)
            continue
        for path in sorted(p for p in directory.rglob("*") if p.is_file() and p.suffix != ".txt"):
            if path.stat().st_size < 20000:
                save("image", f"{kind}-{path.name}", path.read_bytes())
    shutil.rmtree(OUT / "odd", ignore_errors=True)


# ---- text ----

TABLES = [
    'path,label,patient\na/1.png,Pneumonia|Effusion,7\n"b ""2"".png","No Finding",8\n',
    "path;label\r\na.png;['Pneumonia', 'Edema']\r\nb.png;nan\r\n",
    "\ufeffpath\tlabel\n1.png\tNormal\n",
    "#a.png Pneumonia x y\nb.png Normal x y\n",
    'path,label\n"a\nb.png",1\n,\n',
]
LISTS = ["a/1.png\nb/2.png\n", "# a list\r\n\r\nx.png\r\n", "Pneumonia: PNEUMONIA, No Finding: NORMAL",
         "{a: 1, 'b c': \"2\"}", "[a, b, 'c, d']", "id=patient"]


def words():
    for number, table in enumerate(TABLES):
        save("table", f"table{number}", " " + table if not table.startswith("#") else table)
    save("table", "packed", b" " + gzip.compress(TABLES[0].encode(), mtime=0))
    for number, item in enumerate(LISTS):
        save("lists", f"list{number}", item)
    for path in sorted((SOURCE / "configs").rglob("*.yaml")):
        save("config", path.name, path.read_bytes())
    lines = ["optim.lr=1e-3", "model.hidden=[256, 16]", "model.pool_blocks=[4, 5]", "optim.class_weights=[1,2]", "augment.blur=0",
             "pack.table=a b.csv", "pack.where={view: PA}", "eval.threshold=sensitivity>=0.9", "train.run_dir=\"a: b # c\""]
    save("config", "sets", "\n".join(lines))
    names = sorted(set(re.findall(r'"([a-z][a-z_0-9]+)"', (SOURCE / "src/config/schema.c").read_text())))
    (OUT / "config.dict").write_text("".join(f'"{name}"\n' for name in names))


for make in safetensors, torch, onnx, keras, own, images, words:
    make()
