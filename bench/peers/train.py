"""Training with fresh augmentation, pulmo beside PyTorch: the same packed images, the same frozen VGG16, the same head
25088 -> 256 -> 2 with dropout, Adam; random resized crop, flip and rotation.

    train.py --pulmo build/release/bin/pulmo --weights FILE --data PACKED [--batch 32] [--batches 3] [--rounds 2] [--json FILE]

PyTorch runs as people run it: a DataLoader whose worker crops, flips and turns with Pillow (what torchvision's transforms
do for Pillow images), the convolutions without gradients, in the default layout that tutorials use and channels last; as
one process of 2 threads and as 2 ranks of one thread (DistributedDataParallel over gloo). Engines take turns; each is
given some batches to warm up. The fastest way of each layout counts.
"""
import argparse
import json
import math
import os
import random
import socket
import statistics
import subprocess
import sys
import time

BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SCALE, RATIO, TURN = (0.8, 1.0), (0.9, 1.1), 10


def read_safetensors(path):
    import struct
    import numpy as np
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: np.frombuffer(data[e["data_offsets"][0]:e["data_offsets"][1]], np.float32).reshape(e["shape"])
            for name, e in header.items() if name != "__metadata__"}


class Packed:
    """Augmented images of a packed data set's train split."""

    def __init__(self, directory):
        import glob
        self.files = sorted(glob.glob(os.path.join(directory, "train-*.h5")))
        self.pixels, self.labels = None, None

    def load(self):
        import h5py
        import numpy as np
        parts = [h5py.File(f) for f in self.files[:1]]  # as many images as are timed, and more
        self.pixels = np.concatenate([p["images"][:] for p in parts])
        self.labels = np.concatenate([p["labels"][:] for p in parts])

    def __len__(self):
        if self.pixels is None:
            self.load()
        return len(self.labels)

    def __getitem__(self, i):
        import numpy as np
        import torch
        from PIL import Image
        if self.pixels is None:
            self.load()
        pixels = self.pixels[i]
        image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        side = image.width
        area = side * side * random.uniform(*SCALE)
        ratio = math.exp(random.uniform(math.log(RATIO[0]), math.log(RATIO[1])))
        w, h = min(side, round(math.sqrt(area * ratio))), min(side, round(math.sqrt(area / ratio)))
        x, y = random.randint(0, side - w), random.randint(0, side - h)
        image = image.resize((side, side), Image.BILINEAR, box=(x, y, x + w, y + h))
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        image = image.rotate(random.uniform(-TURN, TURN), Image.BILINEAR)
        plane = torch.from_numpy(np.array(image, np.float32)) / 255
        plane = plane.expand(3, -1, -1) if plane.ndim == 2 else plane.permute(2, 0, 1)
        return (plane - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1), int(self.labels[i])


def trunk_of(weights, channels_last):
    import torch
    layers = []
    for block in BLOCKS:
        for n in block:
            w = torch.tensor(weights[f"features.{n}.weight"])
            conv = torch.nn.Conv2d(w.shape[1], w.shape[0], 3, padding=1)
            conv.weight.data, conv.bias.data = w, torch.tensor(weights[f"features.{n}.bias"])
            layers += [conv, torch.nn.ReLU(inplace=True)]
        layers.append(torch.nn.MaxPool2d(2))
    trunk = torch.nn.Sequential(*layers).eval().requires_grad_(False)
    return trunk.to(memory_format=torch.channels_last) if channels_last else trunk


def worker(a):
    """One rank of PyTorch; rank 0 prints its result as JSON."""
    import torch
    import torch.distributed as dist
    torch.manual_seed(a.rank)
    random.seed(a.rank)
    torch.set_num_threads(a.threads)
    trunk = trunk_of(read_safetensors(a.weights), a.channels_last)
    torch.manual_seed(0)
    head = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(25088, 256), torch.nn.ReLU(), torch.nn.Dropout(0.5), torch.nn.Linear(256, 2))
    if a.ranks > 1:
        dist.init_process_group("gloo", rank=a.rank, world_size=a.ranks)
        head = torch.nn.parallel.DistributedDataParallel(head)
    optimiser = torch.optim.Adam(head.parameters(), lr=1e-4)
    data = Packed(a.data)
    sampler = torch.utils.data.DistributedSampler(data, a.ranks, a.rank) if a.ranks > 1 else None
    loader = torch.utils.data.DataLoader(data, a.batch // a.ranks, shuffle=sampler is None, sampler=sampler, num_workers=1,
                                         worker_init_fn=lambda _: torch.set_num_threads(1), drop_last=True)
    began, losses, waited = None, [], 0.0
    batches = iter(loader)
    for number in range(a.warm + a.batches):
        if number == a.warm:
            if a.ranks > 1:
                dist.barrier()
            began, waited = time.perf_counter(), 0.0
        before = time.perf_counter()
        images, labels = next(batches)
        waited += time.perf_counter() - before
        if a.channels_last:
            images = images.to(memory_format=torch.channels_last)
        with torch.no_grad():
            features = trunk(images)
        loss = torch.nn.functional.cross_entropy(head(features), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    if a.ranks > 1:
        dist.barrier()
    seconds = time.perf_counter() - began
    if a.rank == 0:
        print(json.dumps({"images_per_second": a.batches * a.batch / seconds, "loss": losses[-1], "waiting_for_data": waited / seconds,
                          "version": torch.__version__}))
    if a.ranks > 1:
        dist.destroy_process_group()


def run_torch(a, channels_last, ranks):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    environment = dict(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    commands = [[sys.executable, __file__, "--worker", "--rank", str(r), "--ranks", str(ranks), "--threads", str(a.threads // ranks), "--weights",
                 a.weights, "--data", a.data, "--batch", str(a.batch), "--batches", str(a.batches), "--warm", "1"]
                + (["--channels-last"] if channels_last else []) for r in range(ranks)]
    started = [subprocess.Popen(c, env=environment, stdout=subprocess.PIPE, text=True) for c in commands]
    outputs = [p.communicate()[0] for p in started]
    if any(p.returncode for p in started):
        raise SystemExit("PyTorch failed")
    return json.loads(outputs[0].splitlines()[-1])


def run_pulmo(a):
    command = [a.pulmo, "bench", "train", "--data", a.data, "--weights", a.weights, "--threads", str(a.threads), "--seconds", str(a.seconds)]
    for setting in (f"train.batch={a.batch}", f"augment.crop_scale=[{SCALE[0]}, {SCALE[1]}]", f"augment.crop_ratio=[{RATIO[0]}, {RATIO[1]}]",
                    "augment.hflip=0.5", f"augment.rotate_deg={TURN}", "augment.translate=0", "augment.brightness=[1, 1]",
                    "augment.contrast=[1, 1]", "model.pool=flatten", "model.hidden=[256]", "model.dropout=0.5", "optim.name=adam",
                    "optim.lr=0.0001"):
        command += ["--set", setting]
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--pulmo")
    p.add_argument("--weights", required=True)
    p.add_argument("--data", required=True)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--batches", type=int, default=3)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seconds", type=int, default=6)
    p.add_argument("--json")
    p.add_argument("--isa", help="said by run.sh; it has set the environment")
    for name, kind in (("--rank", int), ("--ranks", int), ("--warm", int)):
        p.add_argument(name, type=kind, default=0)
    p.add_argument("--worker", action="store_true")
    p.add_argument("--channels-last", action="store_true")
    a = p.parse_args()
    if a.worker:
        worker(a)
        return
    ways = [(layout, ranks) for layout in (False, True) for ranks in (1, 2)]
    rounds = []
    for _ in range(a.rounds):
        rounds.append({"pulmo": run_pulmo(a), **{way: run_torch(a, *way) for way in ways}})
    median = {way: statistics.median(r[way]["images_per_second"] for r in rounds) for way in ["pulmo"] + ways}
    print(f"batch {a.batch}, {a.threads} cores, PyTorch {rounds[0][ways[0]]['version']}, median of {a.rounds} interleaved rounds\n")
    print("| | images/s | waiting for data | pulmo is |\n|---|---|---|---|")
    for way in ways:
        name = f"PyTorch, {'channels last' if way[0] else 'default layout'}, " + ("2 ranks, gloo" if way[1] == 2 else f"{a.threads} threads")
        wait = statistics.median(r[way]["waiting_for_data"] for r in rounds)
        print(f"| {name} | {median[way]:.1f} | {100 * wait:.1f} % | {median['pulmo'] / median[way]:.2f}× |")
    wait = statistics.median(r["pulmo"]["waiting_for_data"] for r in rounds)
    print(f"| pulmo ({rounds[0]['pulmo']['isa']}) | {median['pulmo']:.1f} | {100 * wait:.2f} % | 1.00× |\n")
    best = {layout: max(median[(layout, ranks)] for ranks in (1, 2)) for layout in (False, True)}
    print(f"against the fastest channels last {median['pulmo'] / best[True]:.2f}×, default layout {median['pulmo'] / best[False]:.2f}×")
    if a.json:
        with open(a.json, "w") as file:
            json.dump({"default": median["pulmo"] / best[False], "channels_last": median["pulmo"] / best[True],
                       "rounds": [{str(k): v for k, v in r.items()} for r in rounds]}, file, indent=1)


if __name__ == "__main__":
    main()
