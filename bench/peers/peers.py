"""Runs VGG16's convolutions on pulmo and on its peers, interleaved: same machine, same threads, same
images, and every output checked against outside values.

    run.sh [--isa avx2] --weights FILE --golden FILE [--precision any] [--threads N] [--rounds N] [--seconds S] [--json FILE]

`golden` is an HDF5 file with `pixels` (16, 224, 224, 3) uint8 and `pool5` (16, 512, 7, 7) float32, the features
that PyTorch computes in float64 with torchvision's normalisation. A peer that is not installed is left
out, and the table says so.

With --precision any each peer runs besides as its user would find it fastest: bfloat16 by PyTorch's
autocast, OpenVINO and ncnn by their own defaults, MNN at "low", and int8 models by ONNX Runtime's and
OpenVINO's post-training quantisation, calibrated on the golden images themselves.
"""
import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
POOL_AFTER = (2, 7, 14, 21, 28)
MEAN = np.array((0.485, 0.456, 0.406), np.float32)
STD = np.array((0.229, 0.224, 0.225), np.float32)
FLOAT32_MOST = 1e-3  # a larger error is that of bfloat16 or int8, whatever was asked for


def read_safetensors(path):
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    out = {}
    for name, entry in header.items():
        if name != "__metadata__":
            a, b = entry["data_offsets"]
            out[name] = np.frombuffer(data[a:b], np.float32).reshape(entry["shape"])
    return out


# ---- peers: each gives a function from images (N, 3, 224, 224) to features (N, 512, 7, 7) ----

def torch_peer(weights, threads, channels_last, bfloat16=False):
    import torch
    torch.set_num_threads(threads)
    layers = []
    for f in FEATURES:
        w = torch.tensor(weights[f"features.{f}.weight"])
        conv = torch.nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1)
        conv.weight.data, conv.bias.data = w, torch.tensor(weights[f"features.{f}.bias"])
        layers += [conv, torch.nn.ReLU(inplace=True)] + ([torch.nn.MaxPool2d(2)] if f in POOL_AFTER else [])
    net = torch.nn.Sequential(*layers).eval()
    if channels_last:
        net = net.to(memory_format=torch.channels_last)

    def run(images):
        x = torch.from_numpy(images)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            return net(x.to(memory_format=torch.channels_last) if channels_last else x).float().contiguous().numpy()
    return run, torch.__version__


def onnx_model(weights, path, batch):
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, initial, at = [], [], "x"
    for f in FEATURES:
        for kind in ("weight", "bias"):
            initial.append(numpy_helper.from_array(weights[f"features.{f}.{kind}"], f"{kind}{f}"))
        nodes.append(helper.make_node("Conv", [at, f"weight{f}", f"bias{f}"], [f"c{f}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{f}"], [f"r{f}"]))
        at = f"r{f}"
        if f in POOL_AFTER:
            nodes.append(helper.make_node("MaxPool", [at], [f"p{f}"], kernel_shape=[2, 2], strides=[2, 2]))
            at = f"p{f}"
    graph = helper.make_graph(nodes, "vgg16", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 224, 224])],
                              [helper.make_tensor_value_info(at, TensorProto.FLOAT, [batch, 512, 7, 7])], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return at


def onnxruntime_peer(weights, threads, folder, batch):
    import onnxruntime
    path = os.path.join(folder, "ort.onnx")
    onnx_model(weights, path, batch)
    return onnxruntime_session(path, threads), onnxruntime.__version__


def onnxruntime_session(path, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"x": images})[0]


def onnxruntime_int8_peer(weights, threads, folder, images):
    import onnxruntime
    from onnxruntime import quantization

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter([{"x": images}])

        def get_next(self):
            return next(self.left, None)

    path, quantised = os.path.join(folder, "ort32.onnx"), os.path.join(folder, "ort8.onnx")
    onnx_model(weights, path, len(images))
    quantization.quantize_static(path, quantised, Calibration(), per_channel=True, activation_type=quantization.QuantType.QUInt8,
                                 weight_type=quantization.QuantType.QInt8)
    return onnxruntime_session(quantised, threads), onnxruntime.__version__


def openvino_peer(weights, threads, folder, batch, precision="f32"):
    import openvino
    path = os.path.join(folder, "ov.onnx")
    onnx_model(weights, path, batch)
    return openvino_compiled(path, threads, {"INFERENCE_PRECISION_HINT": precision} if precision else {}), openvino_version()


def openvino_version():
    import openvino
    return openvino.__version__.split("-")[0]


def openvino_compiled(model, threads, properties):
    import openvino
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, **properties})
    return lambda images: compiled([images])[0]


def openvino_int8_peer(weights, threads, folder, images):
    import nncf
    import openvino
    path = os.path.join(folder, "ov32.onnx")
    onnx_model(weights, path, len(images))
    model = nncf.quantize(openvino.Core().read_model(path), nncf.Dataset([images]), subset_size=1)
    return openvino_compiled(model, threads, {}), openvino_version()


def ncnn_peer(weights, threads, folder, defaults=False):
    import ncnn
    lines, blobs, at = ["Input x 0 1 x 0=224 1=224 2=3"], [], "x"
    for f in FEATURES:
        w, b = weights[f"features.{f}.weight"], weights[f"features.{f}.bias"]
        lines.append(f"Convolution c{f} 1 1 {at} c{f} 0={w.shape[0]} 1=3 4=1 5=1 6={w.size} 9=1")
        blobs += [struct.pack("<I", 0), w.tobytes(), b.tobytes()]
        at = f"c{f}"
        if f in POOL_AFTER:
            lines.append(f"Pooling p{f} 1 1 {at} p{f} 0=0 1=2 2=2")
            at = f"p{f}"
    param, binary = os.path.join(folder, "n.param"), os.path.join(folder, "n.bin")
    with open(param, "w", encoding="ascii") as file:
        file.write(f"7767517\n{len(lines)} {len(lines)}\n" + "\n".join(lines) + "\n")
    with open(binary, "wb") as file:
        file.write(b"".join(blobs))
    net = ncnn.Net()
    net.opt.num_threads = threads
    if not defaults:
        net.opt.use_fp16_storage = net.opt.use_fp16_packed = net.opt.use_fp16_arithmetic = net.opt.use_bf16_storage = False
    net.load_param(param)
    net.load_model(binary)

    def run(images):
        out = []
        for image in images:  # ncnn takes one image at a time
            with net.create_extractor() as extractor:
                extractor.input("x", ncnn.Mat(image))
                out.append(np.array(extractor.extract(at)[1]))
        return np.stack(out)
    return run, ncnn.__version__


def mnn_peer(weights, threads, folder, batch, precision="high"):
    import MNN
    path, model = os.path.join(folder, "m.onnx"), os.path.join(folder, "m.mnn")
    onnx_model(weights, path, batch)
    convert = os.path.join(os.path.dirname(sys.executable), "mnnconvert")
    subprocess.run([convert, "-f", "ONNX", "--modelFile", path, "--MNNModel", model, "--bizCode", "x"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    net = MNN.Interpreter(model)
    session = net.createSession({"numThread": threads, "precision": precision, "backend": "CPU"})
    source, target = net.getSessionInput(session), net.getSessionOutput(session)

    def run(images):
        tensor = MNN.Tensor(images.shape, MNN.Halide_Type_Float, images, MNN.Tensor_DimensionType_Caffe)
        source.copyFrom(tensor)
        net.runSession(session)
        out = MNN.Tensor((images.shape[0], 512, 7, 7), MNN.Halide_Type_Float,
                         np.zeros((images.shape[0], 512, 7, 7), np.float32), MNN.Tensor_DimensionType_Caffe)
        target.copyToHostTensor(out)
        return np.array(out.getNumpyData(), np.float32).reshape(images.shape[0], 512, 7, 7)
    return run, MNN.version()


def pulmo_peer(options, folder, images):
    raw, features = os.path.join(folder, "images.raw"), os.path.join(folder, "features.raw")
    images.tofile(raw)

    def measure():
        done = subprocess.run([options.pulmo, "bench", "conv", "--threads", str(options.threads), "--batch", str(len(images)),
                               "--seconds", str(max(1, round(options.seconds))), "--weights", options.weights, "--input", raw,
                               "--dump", features], check=True, capture_output=True, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        return result, np.fromfile(features, np.float32).reshape(len(images), 512, 7, 7)
    return measure


# ---- measuring ----

def rate_of(run, images, seconds):
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run(images)
        done += len(images)
    return done / (time.perf_counter() - start)


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown CPU")


def relative_rms(a, b):
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(np.sqrt(((a - b) ** 2).sum() / (b ** 2).sum()))


def say_fastest(rates, precision, peers):
    if not peers:
        return
    fastest = max(peers, key=lambda n: statistics.median(rates[n]))
    ratio = statistics.median(p / r for p, r in zip(rates["pulmo"], rates[fastest]))
    print(f"\nagainst the fastest peer in {precision} ({fastest}): {ratio:.2f}×")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pulmo", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--golden", required=True)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--isa", choices=["avx2"], help="keep to peers that can be held to AVX2 (run.sh sets the environment)")
    parser.add_argument("--precision", choices=["float32", "any"], default="float32", help="any: peers in bfloat16 and int8 besides")
    parser.add_argument("--json")
    options = parser.parse_args()

    import h5py
    with h5py.File(options.golden) as file:
        pixels, truth = file["pixels"][:], file["pool5"][:]
    images = np.ascontiguousarray(((pixels.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2))
    weights = read_safetensors(options.weights)
    rates, errors, versions, missing = {}, {}, {}, []
    with tempfile.TemporaryDirectory() as folder:
        makers = {
            "PyTorch": lambda: torch_peer(weights, options.threads, False),
            "PyTorch, channels last": lambda: torch_peer(weights, options.threads, True),
            "ONNX Runtime": lambda: onnxruntime_peer(weights, options.threads, folder, len(images)),
            "OpenVINO": lambda: openvino_peer(weights, options.threads, folder, len(images)),
            "MNN": lambda: mnn_peer(weights, options.threads, folder, len(images)),
            "ncnn": lambda: ncnn_peer(weights, options.threads, folder),
        }
        if options.precision == "any":
            makers.update({
                "PyTorch, channels last, bfloat16": lambda: torch_peer(weights, options.threads, True, True),
                "OpenVINO, its own choice": lambda: openvino_peer(weights, options.threads, folder, len(images), None),
                "OpenVINO, bfloat16": lambda: openvino_peer(weights, options.threads, folder, len(images), "bf16"),
                "OpenVINO, int8": lambda: openvino_int8_peer(weights, options.threads, folder, images),
                "ONNX Runtime, int8": lambda: onnxruntime_int8_peer(weights, options.threads, folder, images),
                "MNN, low": lambda: mnn_peer(weights, options.threads, folder, len(images), "low"),
                "ncnn, its defaults": lambda: ncnn_peer(weights, options.threads, folder, True),
            })
        if options.isa:
            for name in [n for n in makers if n.startswith(("ONNX Runtime", "MNN"))]:
                del makers[name]
                missing.append(f"{name}: chooses by CPUID, cannot be held to {options.isa}")
        peers = {}
        for name, make in makers.items():
            try:
                peers[name], versions[name] = make()
                errors[name] = relative_rms(peers[name](images), truth)
            except Exception as error:  # a peer that cannot run is a line in the table, not the end
                missing.append(f"{name}: {type(error).__name__}: {error}".splitlines()[0])
                peers.pop(name, None)
        ours = pulmo_peer(options, folder, images)
        for round_number in range(options.rounds):
            for name, run in peers.items():
                rates.setdefault(name, []).append(rate_of(run, images, options.seconds))
            result, features = ours()
            rates.setdefault("pulmo", []).append(result["images_per_second"])
            errors["pulmo"] = relative_rms(features, truth)
            versions["pulmo"] = result["isa"]
            print(f"round {round_number + 1} of {options.rounds}", file=sys.stderr)

    print(f"{cpu_model()}; tier: {options.isa or 'each engine its best'}")
    said = 'float32' if options.precision == 'float32' else 'float32 unless said'
    print(f"{options.threads} thread(s), batch {len(images)}, {said}, median of {options.rounds} interleaved rounds\n")
    print("| engine | version | images/s | min–max | pulmo is | relative RMS error |\n|---|---|---|---|---|---|")
    for name in sorted(rates, key=lambda n: statistics.median(rates[n])):
        middle = statistics.median(rates[name])
        pairs = statistics.median(p / r for p, r in zip(rates["pulmo"], rates[name]))
        print(f"| {name} | {versions[name]} | {middle:.1f} | {min(rates[name]):.1f}–{max(rates[name]):.1f} | {pairs:.2f}× | {errors[name]:.1e} |")
    for line in missing:
        print(f"\nleft out: {line}")
    say_fastest(rates, "float32", [n for n in rates if n != "pulmo" and errors[n] < FLOAT32_MOST])
    if options.precision == "any":
        say_fastest(rates, "any precision", [n for n in rates if n != "pulmo"])
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"rates": rates, "errors": errors, "versions": versions, "missing": missing, "threads": options.threads}, file, indent=1)


if __name__ == "__main__":
    main()
