"""How dense the code is: tokens per line of code, by clang's lexer.

    python3 tokens.py [--most X] [--files] FOLDER...

Counts the bodies of functions in the *.c files of the folders. Comments, blank lines, preprocessor
lines and lines of nothing but brackets and semicolons do not count. --files lists the densest
files. With --most the exit status is 1 where the figure is above X.
"""
import argparse
import collections
import os
import re
import subprocess
import sys

CLANG = "clang-14"
TOKEN = re.compile(r"^(\w+) '(.*?)'\t.*Loc=<.*?:(\d+):\d+(?: <Spelling.*)?>$", re.S)
ONLY_BRACKETS = {"l_brace", "r_brace", "l_paren", "r_paren", "semi", "comma"}


def raw_tokens(path):
    """(kind, line) of each token that a compiler sees outside preprocessor lines."""
    out = subprocess.run([CLANG, "-fsyntax-only", "-Xclang", "-dump-raw-tokens", "-x", "c", path],
                         stderr=subprocess.PIPE, check=True).stderr.decode("utf-8", "replace")
    # A token's text may hold line ends: a record begins with a kind and ends with its place.
    records = re.split(r"(?<=>)\n(?=[a-z_]+ ')", out)
    with open(path, encoding="utf-8") as file:
        lines = file.read().split("\n")
    directive = set()
    inside = False
    for number, line in enumerate(lines, 1):
        if inside or line.lstrip().startswith("#"):
            directive.add(number)
            inside = line.endswith("\\")
    for record in records:
        kind = record.split(" ", 1)[0]
        place = re.search(r"Loc=<[^>]*?:(\d+):\d+[ >]", record)
        if kind in ("comment", "unknown", "eof") or not place:
            continue
        line = int(place.group(1))
        if line not in directive:
            yield kind, line


def count(path):
    """Tokens and lines of code in the bodies of functions."""
    lines = collections.defaultdict(list)
    depth, before, body = 0, "", False
    for kind, line in raw_tokens(path):
        if kind == "l_brace":
            if depth == 0 and before == "r_paren":
                body = True
            depth += 1
        if body:
            lines[line].append(kind)
        if kind == "r_brace":
            depth -= 1
            if depth == 0:
                body = False
        before = kind
    code = [kinds for kinds in lines.values() if not ONLY_BRACKETS.issuperset(kinds)]
    return sum(len(kinds) for kinds in lines.values()), len(code)


def sources(folders):
    for folder in folders:
        for where, _, names in sorted(os.walk(folder)):
            yield from (os.path.join(where, n) for n in sorted(names) if n.endswith(".c"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--most", type=float)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("folders", nargs="+")
    arguments = parser.parse_args()
    counts = {path: count(path) for path in sources(arguments.folders)}
    tokens = sum(t for t, _ in counts.values())
    lines = sum(n for _, n in counts.values())
    assert lines > 0, "no code found"
    if arguments.files:
        for path, (t, n) in sorted(counts.items(), key=lambda c: -c[1][0] / max(c[1][1], 1)):
            print(f"{t / max(n, 1):6.2f}  {n:5d} lines  {path}")
    figure = tokens / lines
    print(f"{figure:.2f} tokens per line of code: {tokens} tokens in {lines} lines")
    if arguments.most is not None and figure > arguments.most:
        print(f"at most {arguments.most:g}: name intermediate values, split what does two things")
        sys.exit(1)


main()
