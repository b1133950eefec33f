"""What other libraries make of pulmo's files, and files that they make for pulmo. For tests/cli/test_peers.sh.

    peers.py make WEIGHTS DIR          PyTorch's and ONNX's files of the same weights, by those libraries
    peers.py model RUN DIR IMAGE...    exports and maps of a trained run against PyTorch and ONNX Runtime
    peers.py keras WEIGHTS DIR IMAGE... predictions of a run on Keras' file of these weights

`model` reads DIR/model.onnx, DIR/normalised.onnx, DIR/model.safetensors, DIR/maps[-CLASS]/maps.h5, DIR/predicted.json.
"""
import json
import os
import sys

import h5py
import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def check(good, text):
    if not good:
        sys.exit(f"peers.py: {text}")


def indices(tensors):
    return sorted(int(name.split(".")[1]) for name in tensors if name.startswith("features.") and name.endswith("weight"))


# ---- make ----

def make_torch(tensors, directory):
    full = dict(tensors)
    full["classifier.0.weight"] = torch.randn(7, 48).half()
    full["num_batches"] = torch.tensor(3)
    full = dict(sorted(full.items(), reverse=True))
    legacy = dict(_use_new_zipfile_serialization=False)
    torch.save(full, f"{directory}/legacy.pth", **legacy)
    torch.save(full, f"{directory}/zip.pth")
    torch.save(full, f"{directory}/protocol4.pth", pickle_protocol=4)
    torch.save({"epoch": 3, "lr": 0.5, "state_dict": {f"module.{k}": torch.nn.Parameter(v.float()) for k, v in tensors.items()}},
               f"{directory}/nested.pth")
    torch.save({k: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in tensors.items()},
               f"{directory}/channels_last.pth")
    flat = torch.cat([v.flatten() for v in tensors.values()])
    views, at = {}, 0
    for name, value in tensors.items():
        views[name] = flat[at:at + value.numel()].view(value.shape)
        at += value.numel()
    torch.save(views, f"{directory}/shared.pth", **legacy)
    torch.save(views, f"{directory}/shared-zip.pth")
    module = torch.nn.Module()
    module.features = torch.nn.Sequential(*layers_of(tensors))
    torch.save(module.state_dict(), f"{directory}/module.pth")
    torch.save(module, f"{directory}/bad-whole-module.pth")
    torch.save({k: v.double() for k, v in tensors.items()}, f"{directory}/bad-double.pth")
    torch.save({k: v for k, v in tensors.items() if k != "features.2.bias"}, f"{directory}/bad-missing.pth")
    torch.save(tensors["features.0.weight"], f"{directory}/bad-tensor.pth")
    save_file({f"backbone.{k}": v for k, v in tensors.items()}, f"{directory}/prefixed.safetensors")


def layers_of(tensors):
    out, found = [], indices(tensors)
    for at, n in enumerate(found):
        weight = tensors[f"features.{n}.weight"]
        conv = torch.nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
        conv.weight.data, conv.bias.data = weight.clone(), tensors[f"features.{n}.bias"].clone()
        out += [conv, torch.nn.ReLU()]
        if at + 1 == len(found) or found[at + 1] - n == 3:
            out.append(torch.nn.MaxPool2d(2))
    return out


def make_onnx(tensors, directory, raw):
    helper, found, nodes, weights, at = onnx.helper, indices(tensors), [], [], "data"
    for k, n in enumerate(found):
        for kind, letter in (("weight", "W"), ("bias", "b")):
            value = tensors[f"features.{n}.{kind}"].numpy()
            name = f"net0_conv{(7 * k) % 13}_{letter}"  # names whose order is not the layers'
            if raw:
                weights.append(onnx.numpy_helper.from_array(value, name))
            else:
                weights.append(helper.make_tensor(name, onnx.TensorProto.FLOAT, value.shape, value.flatten().tolist()))
        inputs = [at, weights[-2].name, weights[-1].name]
        nodes.append(helper.make_node("Conv", inputs, [f"c{k}"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1], group=1, dilations=[1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"r{k}"]))
        at = f"r{k}"
        if k + 1 == len(found) or found[k + 1] - n == 3:
            nodes.append(helper.make_node("MaxPool", [at], [f"p{k}"], kernel_shape=[2, 2], pads=[0, 0, 0, 0], strides=[2, 2]))
            at = f"p{k}"
    nodes.append(helper.make_node("Flatten", [at], ["out"]))
    graph = helper.make_graph(nodes, "vgg", [helper.make_tensor_value_info("data", 1, [1, 3, 64, 64])],
                              [helper.make_tensor_value_info("out", 1, [1, None])], sorted(weights, key=lambda w: w.name))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    onnx.checker.check_model(model)
    onnx.save(model, f"{directory}/{'raw' if raw else 'floats'}.onnx")
    next(a for a in nodes[0].attribute if a.name == "pads").ints[0] = 0
    onnx.save(helper.make_model(helper.make_graph(nodes, "vgg", graph.input, graph.output, weights)), f"{directory}/bad-pads.onnx")


def make_keras(tensors, path):
    """The layout of Keras' vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5; the first layer takes BGR."""
    block, conv, found = 1, 1, indices(tensors)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"input_1"]
        file.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for k, n in enumerate(found):
            name = f"block{block}_conv{conv}"
            group = file.create_group(name)
            group.attrs["weight_names"] = [f"{name}_W_1:0".encode(), f"{name}_b_1:0".encode()]
            group[f"{name}_W_1:0"] = tensors[f"features.{n}.weight"].numpy().transpose(2, 3, 1, 0)
            group[f"{name}_b_1:0"] = tensors[f"features.{n}.bias"].numpy()
            conv += 1
            if k + 1 < len(found) and found[k + 1] - n == 3:
                file.create_group(f"block{block}_pool").attrs["weight_names"] = np.array([], "S1")
                block, conv = block + 1, 1


def make(weights, directory):
    tensors = load_file(weights)
    make_keras(tensors, f"{directory}/keras.h5")
    make_torch(tensors, directory)
    make_onnx(tensors, directory, True)
    make_onnx(tensors, directory, False)


# ---- model ----

def pooled(kind, features):
    average, most = features.mean((2, 3)), features.amax((2, 3))
    return {"flatten": features.flatten(1), "avg": average, "max": most, "avgmax": torch.cat([average, most], 1)}[kind]


def features_of(trunk, facts, images):
    """What the head takes: the last block's output pooled, or averages of several blocks' outputs side by side."""
    if "pool_blocks" not in facts:
        return pooled(facts["pool"], trunk(images))
    wanted, averages, block, x = json.loads(facts["pool_blocks"]), [], 0, images
    for layer in trunk:
        x = layer(x)
        if isinstance(layer, torch.nn.MaxPool2d):
            block += 1
            averages += [x.mean((2, 3))] if block in wanted else []
    return torch.cat(averages, 1)


def head(tensors, x):
    names = sorted({int(n.split(".")[1]) for n in tensors if n.startswith("classifier.")})
    for n in names:
        x = torch.nn.functional.linear(x, tensors[f"classifier.{n}.weight"].double(), tensors[f"classifier.{n}.bias"].double())
        if n != names[-1]:
            x = torch.relu(x)
    return x


def pixels(path, size):
    """(3, H, W) in 0..1, decoded and resized by Pillow."""
    image = Image.open(path)
    image = image if image.mode == "L" else image.convert("RGB")
    array = np.asarray(image.resize((size, size), Image.BILINEAR), np.float32) / 255
    return np.ascontiguousarray(array.transpose(2, 0, 1)) if array.ndim == 3 else np.repeat(array[None], 3, 0)


def keras(weights, directory, images):
    """A run on keras.h5: its probabilities, with Keras' own preprocessing and the file's own order of channels."""
    original, exported = load_file(weights), load_file(f"{directory}/model.safetensors")
    with safe_open(f"{directory}/model.safetensors", "pt") as file:
        facts = file.metadata()
    check(facts["weights_preprocessing"] == "caffe", "the preprocessing was not recorded")
    lines = [json.loads(line)["probabilities"] for line in open(f"{directory}/predicted.json")]
    ours = np.array([[line[c] for c in json.loads(facts["classes"])] for line in lines])
    rgb = 255.0 * np.stack([pixels(path, int(facts["size_px"])) for path in images]).astype(np.float64)
    bgr = rgb[:, ::-1] - np.array([103.939, 116.779, 123.68]).reshape(3, 1, 1)
    trunk = torch.nn.Sequential(*layers_of(original)).double()
    with torch.no_grad():
        theirs = torch.softmax(head(exported, pooled(facts["pool"], trunk(torch.tensor(bgr.copy())))) / float(facts["temperature"]), 1)
    print(f"Keras: PyTorch with Caffe's preprocessing {worst(ours, theirs):.1e}")
    check(worst(ours, theirs) <= 1e-5, "probabilities are more than 1e-5 away")


def worst(a, b):
    return float(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).max())


def model(run, directory, images):
    tensors = load_file(f"{directory}/model.safetensors")
    with safe_open(f"{directory}/model.safetensors", "pt") as file:
        facts = file.metadata()
    classes, size = json.loads(facts["classes"]), int(facts["size_px"])
    mean, std = (np.array(json.loads(facts[k]), np.float32).reshape(3, 1, 1) for k in ("mean", "std"))
    lines = [json.loads(line) for line in open(f"{directory}/predicted.json")]
    check([line["path"] for line in lines] == images, "predict gave other images or another order")
    ours = np.array([[line["probabilities"][c] for c in classes] for line in lines])
    unit = np.stack([pixels(path, size) for path in images])
    normal = (unit - mean) / std

    trunk = torch.nn.Sequential(*layers_of(tensors)).double()
    with torch.no_grad():
        theirs = torch.softmax(head(tensors, features_of(trunk, facts, torch.tensor(normal).double())) / float(facts["temperature"]), 1)
    far = worst(ours, theirs)
    print(f"{run}: PyTorch on the exported safetensors {far:.1e}")
    check(far <= 1e-5, "probabilities in PyTorch are more than 1e-5 away")

    for name, batch in (("model.onnx", normal), ("normalised.onnx", unit)):
        onnx.checker.check_model(f"{directory}/{name}", full_check=True)
        metadata = {p.key: p.value for p in onnx.load(f"{directory}/{name}").metadata_props}
        check(json.loads(metadata["classes"]) == classes and metadata["head_sha256"] == facts["head_sha256"], f"{name}: other metadata")
        session = onnxruntime.InferenceSession(f"{directory}/{name}", providers=["CPUExecutionProvider"])
        many = session.run(["probabilities"], {"input": batch})[0]
        one = session.run(["probabilities"], {"input": batch[:1]})[0]
        far = max(worst(ours, many), worst(ours[:1], one))
        print(f"{run}: ONNX Runtime, {name} {far:.1e}")
        check(far <= 1e-5, f"{name}: probabilities are more than 1e-5 away")

    far, seen = 0.0, 0
    for folder in ["maps"] + [f"maps-{name}" for name in classes]:
        away, drawn = compare_maps(f"{directory}/{folder}", tensors, trunk, facts, classes, images, normal)
        far, seen = max(far, away), seen + drawn
    print(f"{run}: Grad-CAM in PyTorch {far:.1e}, {seen} maps not empty")
    check(seen > 0, "all maps are empty: nothing was compared")
    check(far <= 1e-4, "a map is more than 1e-4 away from PyTorch's")


def compare_maps(folder, tensors, trunk, facts, classes, images, normal):
    far, drawn = 0.0, 0
    with h5py.File(f"{folder}/maps.h5") as maps:
        check(len(maps["maps"]) == len(images), "maps.h5 has another number of maps")
        for entry in maps["maps"].values():
            path, name = (x.decode() if isinstance(x, bytes) else x for x in (entry.attrs["path"], entry.attrs["class"]))
            image = torch.tensor(normal[images.index(path)][None]).double()
            activations = trunk[:-1](image).detach().requires_grad_(True)
            taken = pooled(facts["pool"], trunk[-1](activations))
            if "pool_blocks" in facts:
                taken = torch.cat([features_of(trunk, facts, image)[:, : -taken.shape[1]].detach(), taken], 1)
            logit = head(tensors, taken)[0, classes.index(name)]
            alpha = torch.autograd.grad(logit, activations)[0].mean((2, 3), keepdim=True)
            wanted = torch.relu((alpha * activations).sum(1))[0].detach()
            wanted = wanted / wanted.max() if wanted.max() > 0 else wanted
            far, drawn = max(far, worst(entry[:], wanted)), drawn + bool(wanted.max() > 0)
            overlay = Image.open(f"{folder}/{os.path.basename(entry.name)}.png")
            overlay.load()
            check(overlay.text["Class"] == name and overlay.mode == "RGB", "an overlay lacks its class")
    return far, drawn


if __name__ == "__main__":
    torch.manual_seed(0)
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    elif sys.argv[1] == "keras":
        keras(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        model(sys.argv[2], sys.argv[3], sys.argv[4:])
