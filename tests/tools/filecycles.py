"""Cycles between the sources of a room, by the symbols that the compiler left undefined.

    python3 tests/tools/filecycles.py BUILD

One source depends on another of its room where its object file needs a symbol that the other's
defines. Prints each group of sources that need one another, and the symbols of its edges; the exit
status is 1 where there are more groups than --most.
"""
import argparse
import collections
import glob
import os
import re
import subprocess


def symbols(path, flag):
    out = subprocess.run(["nm", flag, "--format=posix", path], stdout=subprocess.PIPE, check=True).stdout.decode()
    return {line.split()[0] for line in out.splitlines() if line.split()[1:2] and line.split()[1] in "TDBRUVW"}


def components(edges):
    """Strongly connected components of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            group, stack[at:] = stack[at:], []
            if len(group) > 1:
                found.append(sorted(group))

    for node in list(edges):
        if node not in index:
            visit(node)
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--most", type=int, default=0)
    arguments = parser.parse_args()
    rooms = collections.defaultdict(list)
    for path in glob.glob(f"{arguments.build}/**/*.o", recursive=True):
        place = re.search(r"(src/[a-z0-9-]+|data-prep)/(?:kernels/)?([a-z0-9_]+)\.c\.o$", path)
        if not place or "/tests/" in path or "/kernels/" in path:
            continue
        if os.path.exists(f"{place.group(1)}/{place.group(2)}.c"):  # not of a source that is gone
            rooms[place.group(1)].append((place.group(2), path))
    assert rooms, f"no object files in {arguments.build}"
    groups = 0
    for room, files in sorted(rooms.items()):
        defined, needed = {}, {}
        for name, path in files:
            for symbol in symbols(path, "--defined-only"):
                defined[symbol] = name
            needed[name] = symbols(path, "--undefined-only")
        edges = {name: {defined[s] for s in need if s in defined and defined[s] != name}
                 for name, need in needed.items()}
        for group in components(edges):
            groups += 1
            print(f"{room}: {', '.join(group)}")
            for name in group:
                for other in group:
                    joint = sorted(s for s in needed[name] if defined.get(s) == other)
                    if name != other and joint:
                        print(f"    {name} -> {other}: {' '.join(joint)}")
    print(f"{groups} cycles between sources of a room")
    raise SystemExit(groups > arguments.most)


main()
