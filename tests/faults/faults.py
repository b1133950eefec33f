"""Runs pulmo's commands once for each call that can fail, and judges what comes of it: see run.sh."""
import argparse
import collections
import concurrent.futures
import filecmp
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading

KINDS = ["memory", "write", "sync", "rename", "close", "open", "read"]
STATUSES = {0, 1, 2, 65, 74, 75}
# The results are safe when these are written: without them there is a warning, and status 0.
REPORTS = {"report.html", "MODEL_CARD.md"}
# HDF5 files with a group /provenance, that holds times.
DATED = {"results.h5", "checkpoint.h5"}
SAME_RESULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "cli", "same_results.py")
TRAIN = ["train", "--set", "data.path=packed", "--set", "train.run_dir=run", "--set", "train.epochs=2",
         "--set", "train.batch=4", "--set", "train.microbatch=2", "--set", "model.hidden=[6]",
         "--set", "train.patience=0", "--set", "train.threads=1", "-q"]
PACK = ["pack", "demo", "out", "--size", "32", "--threads", "1", "-q"]
# Command: its arguments, ranks, what stands before it, the arguments that repeat it where they differ.
COMMANDS = {
    "pack": (PACK, 1, []),
    "train": (TRAIN, 1, ["packed"]),
    "predict": (["predict", "run", "demo/test", "--threads", "1"], 1, ["run"]),
    "evaluate": (["evaluate", "run", "--data", "packed", "--out", "scored", "--threads", "1"], 1,
                 ["packed", "run"]),
    "verify": (["verify", "packed"], 1, ["packed"]),
    "verify-run": (["verify", "run"], 1, ["run"]),
    "update": (["pack", "demo", "out", "--size", "32", "--threads", "1", "--update", "-q"], 1, ["out"]),
    "overwrite": (TRAIN + ["--set", "train.seed=5", "--overwrite"], 1, ["packed", "run"]),
    "explain": (["explain", "run", "demo/test/NORMAL", "--out", "seen", "--threads", "1"], 1, ["run"]),
    "export": (["export", "run", "--format", "onnx", "--out", "model.onnx"], 1, ["run"]),
    "report": (["report", "run"], 1, ["run"]),
    "reproduce": (["reproduce", "run", "--data", "packed", "--out", "again", "--set", "train.threads=1", "-q"], 1,
                  ["packed", "run"]),
    "pack-2": (PACK, 2, []),
    "train-2": (TRAIN, 2, ["packed"]),
}
MAIN = ["pack", "train", "predict", "evaluate", "verify"]

Call = collections.namedtuple("Call", "kind whose name what stack")
Outcome = collections.namedtuple("Outcome", "status out err")


class Bench:
    """A directory with what the commands need, and what they make when nothing fails."""

    def __init__(self, root, program, shim):
        self.root, self.program, self.shim = root, program, shim
        self.log, self.local, self.number = {}, threading.local(), 0
        self.lock = threading.Lock()
        self.env = dict(os.environ, PULMO_WEIGHTS="weights.safetensors", XDG_CONFIG_HOME="settings")
        self.env.update(OMPI_MCA_ess_singleton_isolated="1", OMPI_MCA_btl="self,vader", OMPI_MCA_pml="ob1",
                        OMPI_MCA_btl_vader_single_copy_mechanism="none")

    def path(self, *names):
        return os.path.join(self.root, *names)

    def call(self, where, arguments, ranks=1, fault=None, seconds=60):
        command = [self.program] + arguments
        if ranks > 1:
            command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", str(ranks)] + command
        session = self.own() + ".ompi" # two runs that begin at once would be in each other's way
        os.makedirs(session, exist_ok=True)
        env = dict(self.env, **(fault or {}), OMPI_MCA_orte_tmpdir_base=session)
        printed = self.own() + ".stdout" # a file: what a pipe refuses is no error
        with open(printed, "wb") as out:
            process = subprocess.Popen(command, cwd=where, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.PIPE, start_new_session=True)
        try:
            err = process.communicate(timeout=seconds)[1]
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            err, status = process.communicate()[1], "hang"
        with open(printed, "rb") as out:
            return Outcome(status, out.read(), err.decode(errors="replace"))

    def own(self):
        """This thread's directory: results name the directory of their data, so each thread has good ones of its own."""
        if not hasattr(self.local, "number"):
            with self.lock:
                self.number += 1
                self.local.number, self.local.good = self.number, {}
        return self.path(f"at-{self.local.number}")

    def place(self, name):
        """This thread's directory, as it is before the command."""
        where = self.own()
        shutil.rmtree(where, ignore_errors=True)
        os.mkdir(where)
        for base in ["demo", "weights.safetensors"]:
            os.symlink(self.path(base), os.path.join(where, base))
        for base in COMMANDS[name][2]:
            shutil.copytree(self.path("made", base), os.path.join(where, base))
        return where

    def make(self):
        made = self.path("made")
        os.mkdir(made)
        for base in ["demo", "weights.safetensors"]:
            os.symlink(self.path(base), os.path.join(made, base))
        tools = os.path.join(os.path.dirname(self.program), "..", "tests")
        steps = [[os.path.join(tools, "make_weights"), self.path("weights.safetensors")],
                 [self.program, "demo-data", self.path("demo"), "--train", "10", "--val", "5", "--test", "5",
                  "--seed", "3", "-q"],
                 [self.program, "pack", "demo", "packed", "--size", "32", "-q"],
                 [self.program] + TRAIN, [self.program] + PACK]
        for step in steps:
            subprocess.run(step, cwd=made, env=self.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def good(self, name):
        """What the command makes when nothing fails: its outcome and its files."""
        arguments, ranks, _ = COMMANDS[name]
        own = self.own()
        if name not in self.local.good:
            where = self.place(name)
            outcome = self.call(where, arguments, ranks)
            if outcome.status != 0:
                raise RuntimeError(f"{name}: status {outcome.status} although nothing fails\n{outcome.err}")
            kept = f"{own}-{name}"
            shutil.rmtree(kept, ignore_errors=True)
            os.rename(where, kept)
            self.local.good[name] = (outcome, tree(kept))
        return self.local.good[name]

    def logged(self, name, stacks=False):
        """Every call of the undisturbed command; those of libraries with their stacks, if asked."""
        if (name, stacks) not in self.log:
            arguments, ranks, _ = COMMANDS[name]
            where = self.place(name)
            fault = fault_of(self, where, "", "", 0, ranks - 1)
            self.call(where, arguments, ranks, dict(fault, FAULT_STACKS="1" if stacks else ""), 300)
            self.log[name, stacks] = read_log(where)
        return self.log[name, stacks]

    def check_twice(self, name):
        """Without it no difference would mean anything."""
        arguments, ranks, _ = COMMANDS[name]
        _, first = self.good(name)
        where = self.place(name)
        self.call(where, arguments, ranks)
        second = tree(where)
        unlike = [file for file in set(first) | set(second) if not same(first.get(file), second.get(file))]
        unlike = [file for file in unlike if os.path.basename(file) not in REPORTS]
        if unlike:
            sys.exit(f"{name}: not the same bytes twice: {' '.join(unlike)}")


def tree(where):
    found = {}
    for base, folders, files in os.walk(where):
        if base == where:
            folders[:] = [folder for folder in folders if folder not in ("settings", "demo")]
        for file in files:
            path = os.path.join(base, file)
            if not os.path.islink(path) and file not in ("log", "events.jsonl"):
                found[os.path.relpath(path, where)] = path
    return found


def metrics(path):
    """But for when and where they were made."""
    with open(path) as f:
        return {name: value for name, value in json.load(f).items() if name != "provenance"}


def same(one, other):
    """The same bytes, or for what says when it was made, the same but for that."""
    if one is None or other is None:
        return False
    if filecmp.cmp(one, other, shallow=False):
        return True
    name = os.path.basename(one)
    try:
        if name == "metrics.json":
            return metrics(one) == metrics(other)
    except ValueError:
        return False
    return name in DATED and subprocess.run([sys.executable, SAME_RESULTS, one, other], capture_output=True).returncode == 0


def fault_of(bench, where, kind, whose, at, rank):
    return {"LD_PRELOAD": bench.shim, "FAULT_KIND": kind, "FAULT_WHOSE": whose, "FAULT_AT": str(at), "FAULT_UNDER": where + "/",
            "FAULT_RANK": str(rank), "FAULT_LOG": os.path.join(where, "log")}


def read_log(where):
    try:
        with open(os.path.join(where, "log"), errors="replace") as file:
            return [Call(*line.split(" ", 4)[:4], line.split(" ")[4:]) for line in file.read().splitlines()]
    except FileNotFoundError:
        return []


def whole_by_digests(bench, where, file):
    return bench.call(where, ["verify", file]).status == 0


def ends_with_a_line(path):
    """Of an earlier epoch's table, or its metrics."""
    with open(path, "rb") as file:
        return path.endswith((".csv", "metrics.json")) and file.read().endswith(b"\n")


def judge_files(bench, name, where, before, killed, complaints):
    """No half-written file has a good one's name; what stood before stands, or what shall stand in its place."""
    _, good = bench.good(name)
    now = tree(where)
    for file in now:
        if killed and (".tmp." in file or file == "run/owner"):
            continue
        if ".tmp." in file:
            complaints.append(f"{file} was left behind")
        elif "/.pack/" in file or same(now[file], before.get(file)) or same(now[file], good.get(file)):
            continue
        elif file.endswith(".h5"):
            if not whole_by_digests(bench, where, file):
                complaints.append(f"{file} is not whole")
        elif os.path.basename(file) in REPORTS | {".files"} or ends_with_a_line(now[file]):
            continue
        else:
            complaints.append(f"{file} is neither the old nor the new one")
    # With its first checkpoint a run that replaces another has taken its place.
    replaced = name == "overwrite" and not same(now.get("run/checkpoint.h5"), before["run/checkpoint.h5"])
    for file in before:
        if file not in now and not replaced:
            complaints.append(f"{file}, which stood before, is gone")


def judge_same(bench, name, where, outcome, what, complaints, leftovers=()):
    """What a run that says it is done leaves: the undisturbed run's bytes."""
    wanted, good = bench.good(name)
    now = tree(where)
    warned = "warning:" in outcome.err
    for file in sorted(set(good) | set(now)):
        if file in leftovers:
            continue # of a process that was killed
        report = os.path.basename(file) in REPORTS
        if ("/.pack/" in file or file == "run/owner") and what == "status 0":
            continue # the next pack, the next run removes it
        if report and (file in now or (warned and what == "status 0")):
            continue
        if not same(now.get(file), good.get(file)):
            complaints.append(f"{what}, but {file} " + ("is another one" if file in now and file in good else
                              "is there" if file in now else "is not there"))
    out, other = outcome.out, wanted.out
    if warned and what == "status 0":
        out, other = (re.sub(rb"(?m)^Report: .*\n", b"", text) for text in (out, other))
    if out != other:
        complaints.append(f"{what}, but standard output is another one")


def judge_finished(bench, name, now, complaints):
    """What failed came after the results stood: they are the undisturbed run's."""
    for file, path in bench.good(name)[1].items():
        if os.path.basename(file) not in REPORTS and not same(now.get(file), path):
            complaints.append(f"called finished, but {file} is another one")


def judge_error(kind, whose, outcome, failed, where, complaints):
    errors = [line for line in outcome.err.splitlines() if re.match(r"pulmo: (rank \d+: )?error:", line)]
    if outcome.status not in STATUSES or (outcome.status == 75):
        complaints.append(f"status {outcome.status}")
        return
    if whose == "library" and not errors and outcome.status in (1, 2) and outcome.err:
        return # Open MPI ends the process, with words of its own
    if len(errors) != 1:
        complaints.append(f"status {outcome.status} with {len(errors)} errors said")
        return
    if kind == "memory":
        if "Cannot allocate memory" in errors[0] and outcome.status in (1, 74):
            return
        if outcome.status == 65 or "damaged" in errors[0]:
            complaints.append(f"status {outcome.status}: out of memory is called damage: {errors[0]}")
        elif whose == "own" and outcome.status != 1:
            complaints.append(f"status {outcome.status}, not 1, for memory: {errors[0]}")
        elif whose == "own" and not re.search("memory|cannot allocate|thread", errors[0]):
            complaints.append(f"the error does not say memory: {errors[0]}")
        return
    if whose == "library":
        return
    if outcome.status == 65 and "could not be used" in errors[0] and re.search(f"warning: .*{os.path.basename(failed.what)}", outcome.err):
        return # documented: an image is left out, by name
    if outcome.status != 74:
        complaints.append(f"status {outcome.status}, not 74: {errors[0]}")
    if failed.what.endswith(".stdout") or failed.what.startswith("/dev/pts"):
        names = ["standard output"]
    else:
        names = [part for part in re.sub(r"\.tmp\..*", "", failed.what).split("/") if part][-2:]
    if "cannot be read at the moment (HDF5)" in errors[0]:
        return # of a question whose answer is yes or no, noticed later
    if failed.what.startswith("/") and failed.what != where and not any(part in errors[0] for part in names):
        complaints.append(f"the error does not name {failed.what}: {errors[0]}")


def ended_inside(outcome):
    """A library has ended the process, or has crashed: what is half-written may be left, under temporary names."""
    return "libhdf5 ended" in outcome.err or "crashed when it was refused" in outcome.err


def run_one(bench, name, kind, whose, at, show=False):
    """One run with one failure, judged. Returns what the call was (None: there were fewer), and complaints."""
    arguments, ranks, _ = COMMANDS[name]
    bench.good(name)
    where = bench.place(name)
    rank = ranks - 1
    before = {file: bench.path("made", file) for file in tree(where)}
    outcome = bench.call(where, arguments, ranks, fault_of(bench, where, kind, whose, at, rank))
    log = read_log(where)
    complaints = []
    if show:
        print(outcome.err, f"status {outcome.status}", sep="")
    if not log:
        if outcome.status != 0:
            complaints.append(f"status {outcome.status} although nothing failed")
        return None, outcome.status, complaints
    if outcome.status == 0:
        judge_same(bench, name, where, outcome, "status 0", complaints)
    elif outcome.status == "hang":
        complaints.append("a hang")
    else:
        judge_error(kind, whose, outcome, log[0], where, complaints)
    if kind == "close" and whose != "library" and name in ("predict", "verify-run") and outcome.status != 0:
        complaints.append("it only reads, and a reader's close loses nothing")
    killed = ended_inside(outcome)
    if outcome.status != 0:
        judge_files(bench, name, where, before, killed, complaints)
        now = tree(where)
        if set(now) != set(before) or any(not same(now[file], before[file]) for file in now):
            again = bench.call(where, arguments, ranks)
            if again.status == 2 and "holds a finished run" in again.err:
                judge_finished(bench, name, now, complaints)
            elif again.status != 0:
                complaints.append(f"the same command again: status {again.status}: {' '.join(again.err.split())[-300:]}")
            else:
                leftovers = {file for file in now if killed and ".tmp." in file}
                judge_same(bench, name, where, again, "the same command again", complaints, leftovers)
    return log[0], outcome.status, complaints


def addresses_of(bench, log, functions):
    """Addresses of the program's that lie in functions of these names, inlined ones too."""
    every = sorted({address for call in log for address in call.stack})
    made = subprocess.run(["addr2line", "-a", "-i", "-f", "-s", "-e", bench.program] + every, capture_output=True, text=True,
                          check=True)
    found, at = set(), ""
    for line in made.stdout.splitlines():
        if line.startswith("0x"):
            at = f"{int(line, 16):x}"
        elif line.split(".")[0] in functions:
            found.add(at)
    return found


def numbers(bench, name, kind, whose, every=False, functions=()):
    """How many calls there are, and those to fail: of calls from one place in the program the first and the last."""
    log = [call for call in bench.logged(name, bool(functions) and whose == "library") if (call.kind, call.whose) == (kind, whose)]
    at_all = list(enumerate(log, 1))
    if functions:
        wanted = addresses_of(bench, log, functions)
        at_all = [(at, call) for at, call in at_all if wanted & set(call.stack)]
    if every or whose == "library":
        return len(log), [at for at, _ in at_all]
    places = {}
    for at, call in at_all:
        places.setdefault((call.name, *call.stack), []).append(at)
    return len(log), sorted({at for found in places.values() for at in (found[0], found[-1])})


def place_in_source(bench, stack):
    """The innermost functions of the program, where there is an addr2line."""
    if not shutil.which("addr2line") or not stack:
        return ""
    made = subprocess.run(["addr2line", "-f", "-s", "-e", bench.program] + stack[:7], capture_output=True, text=True, check=False)
    return " < ".join(made.stdout.split("\n")[0:14:2])


def loop(bench, options, name, kind, whose, pool, drawn, functions):
    count, chosen = numbers(bench, name, kind, whose, options.every, functions)
    if functions and not chosen:
        sys.exit(f"{name}: no call of {kind} passes through {' or '.join(functions)}")
    if drawn is not None and len(chosen) > drawn:
        chosen = sorted(drawn_from(options, name, kind, whose).sample(chosen, drawn))
    tally = collections.Counter()

    def one(at):
        return at, run_one(bench, name, kind, whose, at)

    for at, (failed, status, complaints) in pool.map(one, chosen):
        tally["run"] += 1
        tally["fewer"] += failed is None
        tally[f"status {status}"] += failed is not None
        tally["faults"] += bool(complaints)
        for complaint in complaints:
            print(f"FAULT {name} {kind} {whose} {at}: {complaint}")
        if complaints and failed:
            print(f"      {failed.name} {failed.what} {place_in_source(bench, failed.stack)}")
        sys.stdout.flush()
    if count:
        rest = ", ".join(f"{key}: {tally[key]}" for key in sorted(tally) if key.startswith("status"))
        print(f"{name:10} {kind:7} {whose:8} {count:6} calls {tally['run']:5} failed {tally['faults']:4} faults   {rest}", flush=True)
    return tally


def drawn_from(options, *names):
    return random.Random(f"{options.seed} {' '.join(names)}")


def plan(options):
    """(command, kind, whose, how many at most, functions of which one must be in the stack)."""
    words = [word for word in options.words if "/" not in word]
    kinds = [word for word in words if word in KINDS] or KINDS
    commands = [word for word in words if word in COMMANDS] or (MAIN if options.short else list(COMMANDS))
    for word in words:
        if word not in KINDS and word not in COMMANDS:
            sys.exit(f"\"{word}\" is neither a kind ({' '.join(KINDS)}) nor a command ({' '.join(COMMANDS)})")
    if options.words and not words and not options.short:
        commands = [] # only calls through functions
    for name in commands:
        for kind in kinds:
            for whose in options.whose.split(","):
                if whose == "file" and kind == "memory":
                    continue
                if options.short and (kind == "read" or (whose == "library" and kind != "memory")):
                    continue
                most = {"library": options.library}.get(whose, options.most)
                yield name, kind, whose, most, options.through
    for word in options.words:
        if "/" in word:
            name, kind, whose, functions = word.split("/")
            yield name, kind, whose, 2 if options.short else options.most, functions.split(",")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("shim")
    parser.add_argument("root")
    parser.add_argument("words", nargs="*")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--whose", default="own,file,library")
    parser.add_argument("--most", type=int)
    parser.add_argument("--through", type=lambda names: names.split(","), default=[])
    parser.add_argument("--library", type=int, default=20)
    parser.add_argument("--at", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1))
    options = parser.parse_intermixed_args()
    if options.short:
        options.most, options.library = options.most or 1, 1
    bench = Bench(options.root, options.program, options.shim)
    bench.make()
    total = collections.Counter()
    chosen = list(plan(options))
    for name in dict.fromkeys(name for name, *_ in chosen):
        bench.check_twice(name)
    if options.at is not None:
        for name, kind, whose, *_ in chosen:
            print(name, kind, whose, *run_one(bench, name, kind, whose, options.at, show=True))
        return
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, kind, whose, most, functions in chosen:
            total += loop(bench, options, name, kind, whose, pool, most, functions)
    print(f"{total['run']} failures, {total['faults']} faults")
    sys.exit(1 if total["faults"] or not total["run"] else 0)


main()
