#!/usr/bin/env python3
"""The model of docs/explanation/scaling.md: its constants measured on this machine, its predictions checked, and what it says further on.

    bench/scaling.py measure --data PACKED --weights FILE [--parts ranks,steps,lab] [--lab DIR] [--rounds N] [--batch N]
                                                                              JSON; some minutes
    bench/scaling.py model [--constants FILE]                                        the table for many ranks
    bench/scaling.py recipes                                  what the recipes of configs/ would take on 4, 16 and 64 ranks

PACKED should hold a few hundred training images. Every run has one thread per rank, each on a core of its own; runs that are
compared follow each other, and medians over rounds are taken. --lab names the scripts that make hosts with slow links.
"""
import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time

MARK = "PULMO_SCALING_RUN"  # in the environment of all that is started here
HERE = os.path.dirname(os.path.abspath(__file__))
# The default head: 512 x 7 x 7 features, 256 hidden, 2 classes.
INPUTS, HIDDEN, CLASSES, SLOT = 25088, 256, 2, 8
PARAMETERS = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES

# What `measure` gave on the machine of docs/explanation/scaling.md.
CONSTANTS = {"images_per_core_s": 25.0, "node_share": 0.95, "update_s": 0.0012, "sums_update_s": 0.0072, "outer_s": 0.000131,
             "score_image_s": 0.00021, "checkpoint_s": 0.062}

# The recipes of configs/: images per core as docs/explanation/fine-tuning.md has them for block4 (two cores: 24.1), its part of the update,
# the convolutions' and the head's parameters; images of an epoch as in the table of `model`.
IMAGES, HEAD_EPOCHS = 4800, 9
RECOMMENDED = {"images_per_core_s": 12.05, "update_s": 0.027, "parameters": 12979200 + 131842, "epochs": 5}


def epoch(c, images, batch, ranks, bandwidth, latency, validation=256, exchange="auto", ranks_per_node=1):
    """Seconds per epoch, and where they go. bandwidth in bytes/s of a rank's link, latency in s."""
    batches = math.ceil(images / batch)
    slots = math.ceil(batch / SLOT)
    mine = math.ceil(slots / ranks) * SLOT                     # of the busiest rank
    share = 1.0 if ranks_per_node == 1 else c["node_share"]
    features = min(mine, batch) / (c["images_per_core_s"] * share)
    others = (ranks - 1) / ranks
    by_factors = batch * (INPUTS + HIDDEN) * 4 * others / bandwidth + latency
    by_sums = 2 * 8 * PARAMETERS * others / bandwidth + 2 * latency * math.ceil(math.log2(ranks)) if ranks > 1 else 0
    fits = batch * (INPUTS + HIDDEN) <= INPUTS * HIDDEN
    factors = exchange == "factors" or (exchange == "auto" and fits)
    travel = 0 if ranks == 1 else (by_factors if factors else by_sums)
    # With factors the optimiser's memory is read while the outer products are made; integers are read besides.
    update = c["update_s"] + c["outer_s"] * batch if factors else c["sums_update_s"] + c["outer_s"] * mine
    agree = 2 * latency * math.ceil(math.log2(ranks)) if ranks > 1 else 0   # the small maximum
    one = max(features, travel) + update + agree
    score = c["score_image_s"] * math.ceil(validation / ranks)
    total = batches * one + travel + score + c["checkpoint_s"]
    return {"epoch_s": total, "images_per_second": images / total, "features_s": features, "travel_s": travel, "update_s": update,
            "way": "factors" if factors else "sums", "agree_s": agree}


def run(command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, **{MARK: "1"}, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", **(env or {})))
    if done.returncode != 0:
        sys.exit("%s\nended with %d:\n%s" % (" ".join(command), done.returncode, done.stderr[-2000:]))
    return done.stdout, done.stderr


def mpirun(ranks):
    return ["taskset", "-c", "0"] if ranks == 1 else ["mpirun", "-n", str(ranks), "--bind-to", "core"]


class Watch(threading.Thread):
    """CPU seconds of processes that are not this measurement's while it is on: two cores leave no room for others."""

    OURS = ("mpirun", "orted", "prted", "lab-delay", "taskset", "netns-rsh")

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.seconds, self.stop = {}, {}, threading.Event()
        self.tick = os.sysconf("SC_CLK_TCK")

    def look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/stat" % pid) as file:
                    name, rest = re.match(r"\d+ \((.*)\) (.*)", file.read(), re.S).groups()
                fields = rest.split()
                spent = int(fields[11]) + int(fields[12])
                with open("/proc/%s/environ" % pid, "rb") as file:
                    marked = MARK.encode() + b"=" in file.read()
                ours = int(pid) == os.getpid() or name in self.OURS or marked
            except (OSError, AttributeError):
                continue
            # One that has begun since the last look has spent all its time since.
            before = self.seen.get(pid, spent if not self.seen.get("looked") else 0)
            if not ours and spent > before:
                self.seconds[name] = self.seconds.get(name, 0) + (spent - before) / self.tick
            self.seen[pid] = spent
        self.seen["looked"] = True

    def run(self):
        while not self.stop.wait(0.3):
            self.look()

    def __enter__(self):
        self.look()
        self.began_s = time.monotonic()
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()
        self.look()
        self.share = sum(self.seconds.values()) / (time.monotonic() - self.began_s)


class Bench:
    def __init__(self, options):
        self.pulmo = os.path.join(options.build, "bin", "pulmo")
        self.weights = os.path.abspath(options.weights)
        self.data = os.path.abspath(options.data)
        self.work = tempfile.mkdtemp(prefix="pulmo-scaling-")
        self.batch, self.heads = options.batch, set()
        self.scored, self.wrote = [], []  # rank-seconds an image of val, and seconds an epoch

    def train_command(self, epochs):
        return [self.pulmo, "train", "-v", "-c", os.path.join(HERE, "..", "configs", "head.yaml"), "--overwrite",
                "--set", "data.path=" + self.data, "--set", "model.weights=" + self.weights, "--set", "train.threads=1",
                "--set", "train.epochs=%d" % epochs, "--set", "train.batch=%d" % self.batch, "--set", "train.patience=0", "--set", "train.checkpoint_seconds=0",
                "--set", "train.run_dir=" + os.path.join(self.work, "run")]

    def undisturbed(self, command, env=None):
        """Output of a run during which others took less than 4 % of a core; tried again where they took more."""
        for _ in range(8):
            with Watch() as watch:
                out = run(command, env)
            if watch.share < 0.04:
                return out
            worst = sorted(watch.seconds.items(), key=lambda item: -item[1])[:3]
            print("disturbed: others took %.2f of a core: %s" % (watch.share, worst), file=sys.stderr, flush=True)
        sys.exit("this machine is not quiet enough to measure on")

    def rates(self, prefix, epochs=2):
        """Images a second of each epoch of a training run, evaluation of val included."""
        out, err = self.undisturbed(prefix + self.train_command(epochs))
        self.heads.add(re.search(r"Head SHA-256: (\w+)", out).group(1))
        ranks = int(re.search(r"(\d+) ranks? on", err).group(1))
        self.scored += [float(s) * ranks / int(n) for s, n in re.findall(r"([0-9.]+) s for (\d+) images of val", err)]
        self.wrote += [float(s) for s in re.findall(r"([0-9.]+) s for results and checkpoint", err)]
        return [float(x) for x in re.findall(r"([0-9.]+) img/s", out + err)][-epochs:]

    def last_line(self, prefix, *words):
        out, _ = self.undisturbed(prefix + [self.pulmo, "bench"] + list(words), {"PULMO_WEIGHTS": self.weights})
        return json.loads(out.strip().splitlines()[-1])


class Lab:
    """Two hosts with links of their own; rank r on core r."""

    def __init__(self, scripts, work, weights):
        self.scripts = os.path.abspath(scripts)
        os.environ["LAB_DIR"] = os.path.join(work, "lab")
        done = subprocess.run([self.scripts + "/lab-up.sh", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit("the lab does not come up: " + done.stdout)
        pin = os.path.join(work, "pin.sh")
        with open(pin, "w") as file:
            file.write('#!/bin/sh\nexport OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 PULMO_WEIGHTS=%s %s=1\nexec taskset -c "$OMPI_COMM_WORLD_RANK" "$@"\n' % (weights, MARK))
        os.chmod(pin, 0o755)
        self.prefix = [self.scripts + "/netns-rsh", "--argv", "ctl", "mpirun", "--bind-to", "none", "--host", "n1,n2", pin]

    def link(self, *words):
        subprocess.run([self.scripts + "/lab-node.sh"] + list(words), check=True)

    def down(self):
        subprocess.run([self.scripts + "/lab-down.sh", "--purge"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def measure_ranks(options, bench, found):
    one, two = [], []
    for _ in range(options.rounds):
        one += bench.rates(mpirun(1))
        two += bench.rates(mpirun(2))
    found["one rank, images/s"] = one
    found["two ranks, images/s"] = two
    found["two over one"] = statistics.median(two) / statistics.median(one)
    found["scoring, rank-seconds an image of val"] = statistics.median(bench.scored)
    found["results and checkpoint, s"] = statistics.median(bench.wrote)


def measure_steps(options, bench, found):
    found["steps"] = [bench.last_line(mpirun(2), "step", "--batch", batch, "--threads", "1", "--seconds", seconds)
                      for batch, seconds in [("32", "20"), ("64", "15"), ("16", "5")]]
    found["allreduce"] = bench.last_line(mpirun(2), "allreduce")


def measure_lab(options, bench, found):
    lab, fast, slow = Lab(options.lab, bench.work, bench.weights), [], []
    try:
        for _ in range(options.rounds):
            lab.link("fast", "n2")
            fast += bench.rates(lab.prefix)
            lab.link("slow", "n2", "100mbit", "1")
            slow += bench.rates(lab.prefix)
        found["slow step"] = bench.last_line(lab.prefix, "step", "--batch", "32", "--threads", "1", "--seconds", "1")
    finally:
        lab.down()
    found["two hosts, images/s"] = fast
    found["two hosts, 100 Mbit/s and 1 ms, images/s"] = slow
    found["slow over fast"] = statistics.median(slow) / statistics.median(fast)


def measure(options):
    bench, found = Bench(options), {}
    for part in sorted(options.parts.split(","), key=lambda name: name != "lab"):  # what may not be there at all comes first
        {"ranks": measure_ranks, "steps": measure_steps, "lab": measure_lab}[part](options, bench, found)
    found["heads"] = sorted(bench.heads)
    print(json.dumps(found, indent=1))
    if len(bench.heads) > 1:
        sys.exit("the runs trained different models")


def model(options):
    c = dict(CONSTANTS)
    if options.constants:
        with open(options.constants) as file:
            c.update(json.load(file))
    print("| ranks | batch | link | sent | features, s | travel, s | update, s | epoch, s | of ideal |")
    print("|---|---|---|---|---|---|---|---|---|")
    images = 4800
    links = [("10 Gbit/s, 20 us", 1.25e9, 20e-6), ("1 Gbit/s, 100 us", 1.25e8, 1e-4), ("100 Mbit/s, 1 ms", 1.25e7, 1e-3)]
    for ranks, batch in [(1, 32), (2, 32), (4, 32), (16, 32), (16, 128), (256, 128), (256, 2048), (4096, 2048), (4096, 32768)]:
        for name, bandwidth, latency in links:
            e = epoch(c, max(images, batch), batch, ranks, bandwidth, latency)
            ideal = max(images, batch) / (c["images_per_core_s"] * ranks)
            print("| %d | %d | %s | %s | %.3f | %.3f | %.3f | %.1f | %.0f %% |" % (
                ranks, batch, name, e["way"] if ranks > 1 else "–", e["features_s"], e["travel_s"], e["update_s"], e["epoch_s"],
                100 * ideal / e["epoch_s"]))


def minutes_of_recommended(batch, ranks, bandwidth, latency):
    """Wall time of configs/recommended.yaml: what one batch takes is its slowest rank's convolutions, or the sums where they are longer,
    since they travel during backward; then the update."""
    r = RECOMMENDED
    mine = math.ceil(math.ceil(batch / SLOT) / ranks) * SLOT
    compute = min(mine, batch) / r["images_per_core_s"]
    travel = 2 * 8 * r["parameters"] * (ranks - 1) / ranks / bandwidth + 2 * latency * math.ceil(math.log2(ranks)) if ranks > 1 else 0
    one = max(compute, travel) + r["update_s"]
    return r["epochs"] * math.ceil(IMAGES / batch) * one / 60


def recipes(options):
    print("| ranks | train.batch | head.yaml: 10 Gbit/s | 1 Gbit/s | recommended.yaml: 10 Gbit/s | 1 Gbit/s |\n|---|---|---|---|---|---|")
    for ranks, batch in [(1, 32), (4, 32), (16, 32), (16, 128), (64, 32), (64, 512)]:
        links = [(1.25e9, 20e-6), (1.25e8, 1e-4)]
        head = [HEAD_EPOCHS * epoch(CONSTANTS, IMAGES, batch, ranks, *link)["epoch_s"] / 60 for link in links]
        blocks = [minutes_of_recommended(batch, ranks, *link) for link in links]
        print("| %d | %d | " % (ranks, batch) + " | ".join("%.1f min" % m for m in head + blocks) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "model", "recipes"])
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build", "release"))
    parser.add_argument("--data")
    parser.add_argument("--weights", default=os.environ.get("PULMO_WEIGHTS"))
    parser.add_argument("--lab")
    parser.add_argument("--parts", default="ranks,steps", help="of ranks,steps,lab (default ranks,steps)")
    parser.add_argument("--batch", type=int, default=32, help="of the trainings (default 32)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--constants", help="JSON over the built-in constants")
    options = parser.parse_args()
    if options.what == "measure" and not (options.data and options.weights):
        parser.error("measure needs --data and --weights")
    {"measure": measure, "model": model, "recipes": recipes}[options.what](options)


if __name__ == "__main__":
    main()
