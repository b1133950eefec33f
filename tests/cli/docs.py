"""Checks Markdown pages against the repository and the program: python3 docs.py PULMO SOURCE"""
import os
import re
import shlex
import subprocess
import sys

PULMO, SOURCE = sys.argv[1:]
README_LINES_MAX = 140
COMMANDS = [line.split("\t")[0] for line in
            subprocess.run([PULMO, "help", "--complete", ""], capture_output=True, text=True,
                           check=True).stdout.splitlines() if not line.startswith(("-", "help"))]
# A launcher's or scheduler's options end where these words stand.
SCRIPTS = {"train.sbatch": "train", "train-mpirun.sbatch": "train", "sweep.sbatch": "sweep"}
ROOTS = ("src", "include", "tests", "bench", "jobs", "configs", "data-prep", "docs", "cmake", "packaging")
# Made by a build or a run, or named as an example of a place.
BUILT = ("build/", "runs/")
failures = []


def complain(page, text):
    failures.append(f"{page}: {text}")


def pages():
    listed = subprocess.run(["git", "-C", SOURCE, "ls-files", "-co", "--exclude-standard", "*.md"],
                            capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout.strip():
        return sorted(p for p in listed.stdout.split("\n") if p and exists(p))
    found = []
    for folder, folders, files in os.walk(SOURCE):
        folders[:] = [f for f in folders if f not in ("build", "runs", ".git")]
        found += [os.path.relpath(os.path.join(folder, f), SOURCE) for f in files if f.endswith(".md")]
    return sorted(found)


def exists(path):
    return os.path.exists(os.path.join(SOURCE, path))


def read(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        return file.read()


def without_code(text):
    return re.sub(r"^ *```.*?^ *```$", "", text, flags=re.S | re.M)


def anchor_of(heading):
    """As GitHub makes them."""
    plain = re.sub(r"[`*]|<[^>]*>", "", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(path):
    return {anchor_of(h) for h in re.findall(r"^#+ (.*)$", without_code(read(path)), re.M)}


def check_links(page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        if not exists(path):
            complain(page, f"links to {target}, which is not there")
        elif anchor and path.endswith(".md") and anchor not in anchors(path):
            complain(page, f"links to {target}, but {path} has no such heading")


def check_names(page, text):
    """Paths of the repository, in code or between backticks."""
    for name in set(re.findall(r"(?<![\w/.$~-])((?:%s)/[\w./-]*\w)" % "|".join(ROOTS), text)):
        if not name.startswith(BUILT) and not exists(name):
            complain(page, f"names {name}, which is not there")


def check_sources():
    """Pages that sources and settings point to."""
    for top in ("src", "include", "tests", "bench", "jobs", "configs", "data-prep"):
        for folder, _, files in os.walk(os.path.join(SOURCE, top)):
            for name in files:
                path = os.path.relpath(os.path.join(folder, name), SOURCE)
                if not re.search(r"\.(c|h|py|sh|txt|cmake|yaml|sbatch)$", name):
                    continue
                for target in set(re.findall(r"(?<![\w/])docs/[\w/-]+\.(?:md|svg|png)", read(path))):
                    if not exists(target):
                        complain(path, f"points to {target}, which is not there")


def check_rooms():
    """The table of rooms has each room, and no other."""
    there = {f"src/{name}" for name in os.listdir(os.path.join(SOURCE, "src"))} | {"data-prep"}
    page = "docs/explanation/architecture.md"
    told = set(re.findall(r"^\| `(src/[\w-]+|data-prep)` \|", read(page), re.M))
    for room in sorted(there ^ told):
        complain(page, f"{room} is {'not in the table' if room in there else 'no room'}")


# What jobs hand on to the jobs that resume them; nobody sets them.
HANDED_ON = {"PULMO_CHAINED", "PULMO_PREDECESSOR", "PULMO_PART"}


def check_variables():
    """What the job scripts take from the environment stands in a guide."""
    guides = "".join(read(f"docs/how-to/{name}") for name in os.listdir(os.path.join(SOURCE, "docs/how-to")))
    for name in sorted(os.listdir(os.path.join(SOURCE, "jobs"))):
        if not name.endswith((".sh", ".sbatch", ".pbs")):
            continue
        for variable in sorted(set(re.findall(r"\bPULMO_[A-Z]+\b", read(f"jobs/{name}"))) - HANDED_ON):
            if not re.search(rf"\b{variable}\b", guides):
                complain(f"jobs/{name}", f"takes {variable}, which no page of docs/how-to has")


def check_version():
    """One version: CMake's."""
    version = re.search(r"project\(pulmo VERSION ([\d.]+)", read("CMakeLists.txt")).group(1)
    if not re.search(rf"^version: {re.escape(version)}$", read("CITATION.cff"), re.M):
        complain("CITATION.cff", f"is not of version {version}")
    if f"## [{version}]" not in read("CHANGELOG.md"):
        complain("CHANGELOG.md", f"has no section for {version}")


# ---- commands ----

def help_of(command):
    text = subprocess.run([PULMO, command, "--help"], capture_output=True, text=True).stdout
    assert "Usage: pulmo " + command in text, f"pulmo {command} --help gave no help"
    options = set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))
    letters = set(re.findall(r"(?:^|\s)-([a-zA-Z])(?=,|\s|$)", text))
    keys, section = set(), None
    for line in text.split("\n"):
        if re.match(r"^[a-z]+:$", line):
            section = line[:-1]
        found = re.match(r"^  ([a-z0-9_]+) ", line)
        if section and found:
            keys.add(f"{section}.{found.group(1)}")
    return options, letters, keys


HELP = {}


def known(command):
    if command not in HELP:
        HELP[command] = help_of(command)
    return HELP[command]


def all_keys():
    return set().union(*(known(c)[2] for c in ("train", "pack")))


def command_lines(text):
    for block in re.findall(r"^ *```(?:sh|bash)?\n(.*?)^ *```$", text, re.S | re.M):
        for line in re.sub(r"\\\n\s*", " ", block).split("\n"):
            yield line.strip()
    for line in re.findall(r"`([^`\n]+)`", without_code(text)):
        yield line.strip()


def words_of(line):
    try:
        return shlex.split(line.replace("…", "..."), comments=True)
    except ValueError:
        return []


def command_of(words):
    """The pulmo command that a line runs, and what follows it."""
    for i, word in enumerate(words[:-1]):
        if os.path.basename(word) == "pulmo" and words[i + 1] in COMMANDS:
            return words[i + 1], words[i + 2:]
    for i, word in enumerate(words):
        if os.path.basename(word) in SCRIPTS:
            return SCRIPTS[os.path.basename(word)], words[i + 1:]
    return None, []


def check_key(page, line, setting):
    key = setting.partition("=")[0]
    if key != "KEY" and key != "SECTION.KEY" and key not in all_keys():
        complain(page, f"sets {key}, which is not a key: {line}")


def check_command(page, line):
    command, rest = command_of(words_of(line))
    if not command:
        return 0
    options, letters, _ = known(command)
    for i, word in enumerate(rest):
        if word in ("|", ">", "2>", "&&", ";", "||", "&"):
            break
        if re.match(r"^--[a-z]", word):
            option, _, value = word[2:].partition("=")
            if option not in options:
                complain(page, f"pulmo {command} has no --{option}: {line}")
            following = value or (rest[i + 1] if i + 1 < len(rest) else "")
            if option in ("set", "grid") and following:
                check_key(page, line, following)
        elif re.match(r"^-[a-zA-Z]$", word) and word[1] not in letters:
            complain(page, f"pulmo {command} has no {word}: {line}")
    return 1


def main():
    found, commands = pages(), 0
    assert "README.md" in found and "docs/README.md" in found, found
    lines = read("README.md").count("\n")
    if lines > README_LINES_MAX:
        complain("README.md", f"{lines} lines; at most {README_LINES_MAX}")
    index = read("docs/README.md")
    for page in found:
        text = read(page)
        check_links(page, text)
        check_names(page, text)
        for line in command_lines(text):
            commands += check_command(page, line)
        if re.match(r"docs/(tutorial|how-to|explanation|reference)/", page) and page[5:] not in index:
            complain("docs/README.md", f"does not list {page}")
        if re.match(r"docs/decisions/\d", page) and os.path.basename(page) not in read("docs/decisions/README.md"):
            complain("docs/decisions/README.md", f"does not list {page}")
    check_sources()
    check_variables()
    check_version()
    check_rooms()
    assert commands >= 40, f"only {commands} command lines found: are they still read?"
    for text in failures:
        print(text)
    if failures:
        sys.exit(1)
    print(f"{len(found)} pages: links, names and {commands} command lines are as they should be")


main()
