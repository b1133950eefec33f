"""damage.py PULMO CHANGES SEED, in a directory with a pack and weights (damage.sh): changes one to four
bytes of a model, a checkpoint, a shard, a manifest or a part of a bank, and runs the commands that read
it. Each must end with status 65, or with 0 and the output that the undamaged file gives."""
import os
import random
import shutil
import subprocess
import sys
import time

PULMO, CHANGES, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
LIMIT_S = 120
TRAIN = ["train", "-q", "--set", "data.path=packed", "--set", "model.pool=avg", "--set", "model.hidden=[4]",
         "--set", "train.batch=8", "--set", "train.patience=0", "--set", "train.threads=1"]
STOPPED = TRAIN + ["--set", "train.run_dir=stopped", "--set", "train.epochs=100000", "--set", "train.checkpoint_batches=1000000"]
BANKED = TRAIN + ["--set", "train.run_dir=banked", "--set", "train.epochs=1", "--set", "train.features=bank",
                  "--set", "bank.path=bank", "--set", "bank.views=1"]


def run(*words):
    """Status, and what was said on standard output; the status is "hang" beyond the limit."""
    try:
        done = subprocess.run([PULMO, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return "hang", b"", b""
    return done.returncode, done.stdout, done.stderr


def must(*words):
    status, out, err = run(*words)
    if status != 0:
        sys.exit(f"{' '.join(words)}: status {status}: {err.decode(errors='replace')}")
    return out


def stop_half_way():
    """A run with a checkpoint, ended by a signal in its first epochs; the others' way on is what follows."""
    must(*(TRAIN + ["--set", "train.run_dir=finished", "--set", "train.epochs=1"]))
    process = subprocess.Popen([PULMO, *STOPPED], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not os.path.exists("stopped/checkpoint.h5"):
        if process.poll() is not None:
            sys.exit("the run to be stopped ended by itself")
        time.sleep(0.01)
    process.terminate()
    process.wait()
    if process.returncode != 75:
        sys.exit(f"the stopped run has status {process.returncode}")


def only(directory, part):
    for root, _, files in sorted(os.walk(directory)):
        for name in sorted(files):
            if part in os.path.join(root, name) and name.endswith(".h5"):
                return os.path.join(root, name)
    sys.exit(f"no {part} in {directory}")


def head(out):
    return [line for line in out.splitlines() if line.startswith(b"Head SHA-256")]


def prepare():
    """Files, and the commands that read each."""
    images = sorted(os.path.join("demo/test/NORMAL", name) for name in os.listdir("demo/test/NORMAL"))[:2]
    stop_half_way()
    must(*BANKED)
    shutil.rmtree("banked")
    bank = only("bank", "train-")
    shard = only("packed", "test-")
    evaluate = ["evaluate", "finished", "--data", "packed"]
    kinds = [
        ("finished/model.h5", [["inspect", "finished/model.h5"], ["verify", "finished/model.h5"],
                               ["predict", "finished", *images], evaluate]),
        ("stopped/checkpoint.h5", [["inspect", "stopped/checkpoint.h5"], ["verify", "stopped"], STOPPED]),
        (shard, [["inspect", shard], ["verify", "packed"], evaluate]),
        ("packed/manifest.h5", [["inspect", "packed/manifest.h5"], ["verify", "packed"], evaluate]),
        (bank, [["inspect", bank], ["verify", "bank"], BANKED]),
    ]
    return kinds


def resumed(words):
    """A resume runs on for ever: taken as accepted once it says where it resumes from."""
    words = [word for word in words if word != "-q"]
    process = subprocess.Popen([PULMO, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = b""
    end = time.monotonic() + LIMIT_S
    for line in process.stdout:
        if line.startswith(b"resuming from"):
            said = line
            break
        if time.monotonic() > end:
            process.kill()
            return "hang", b"", b""
    if said:
        process.kill()
        process.wait()
        return 0, said, b""
    return process.wait(), b"", b""


def judge(words, wanted):
    """None where all is well; else what is wrong."""
    directory = "stopped" if "train.run_dir=stopped" in words else "banked"
    if words[0] != "train":
        status, out, err = run(*words)
    elif directory == "stopped":
        status, out, err = resumed(words)
    else:
        shutil.rmtree("banked", ignore_errors=True)
        status, out, err = run(*words)
        out = b"\n".join(head(out))
    if status == "hang":
        return "hang"
    if status < 0 or status >= 128:
        return f"crash, status {status}"
    if status == 0 and out != wanted:
        return "accepted with other values"
    if status not in (0, 65):
        return f"status {status}: {err.decode(errors='replace').strip()[-300:]}"
    return None


def change(rng, data):
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(changed))
        changed[at] ^= rng.choice([1 << rng.randrange(8), rng.randrange(1, 256)])
    return bytes(changed)


def baseline(kinds):
    wanted = {}
    for _, commands in kinds:
        for words in commands:
            if words[0] == "train":
                status, out, _ = resumed(words) if "train.run_dir=stopped" in words else run(*words)
                out = out if b"resuming" in out else b"\n".join(head(out))
            else:
                status, out, _ = run(*words)
            if status != 0 or (words[0] == "train" and not out):
                sys.exit(f"{' '.join(words)}: status {status} with nothing damaged")
            wanted[tuple(words)] = out
    return wanted


def put(path, data):
    with open(path, "wb") as file:
        file.write(data)


def fuzz():
    kinds = prepare()
    wanted = baseline(kinds)
    whole = {path: open(path, "rb").read() for path, _ in kinds}
    rng = random.Random(SEED)
    bad = 0
    for number in range(CHANGES):
        path, commands = kinds[number % len(kinds)]
        data = change(rng, whole[path])
        for words in commands:
            put(path, data)  # a bank's part may have been computed anew
            wrong = judge(words, wanted[tuple(words)])
            if wrong:
                bad += 1
                places = [(i, whole[path][i], data[i]) for i in range(len(data)) if data[i] != whole[path][i]]
                print(f"change {number} of {path} {places}: {' '.join(words)}: {wrong}", flush=True)
        put(path, whole[path])
        if number % 200 == 199:
            print(f"{number + 1} changes, {bad} findings", file=sys.stderr, flush=True)
    print(f"{CHANGES} changes: {bad} findings")
    sys.exit(bad > 0)


fuzz()
