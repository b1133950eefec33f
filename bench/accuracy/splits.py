#!/usr/bin/env python3
"""A split of the Kermany set that shows a shift: training sees normal chests of one family of file names (IM-...) only,
the test split those of the other (NORMAL2-IM-...) and every fifth patient with pneumonia.

    splits.py SOURCE DESTINATION     SOURCE/{NORMAL,PNEUMONIA}; links in DESTINATION/{train,test}/{NORMAL,PNEUMONIA}

Then: pulmo pack DESTINATION PACKED --set pack.val_fraction=0.1"""
import hashlib
import os
import re
import sys


def held_out(name):
    if name.startswith("NORMAL2-"):
        return True
    patient = re.match(r"(person\d+)_(bacteria|virus)", name)
    return bool(patient) and hashlib.sha256("".join(patient.groups()).encode()).digest()[0] % 5 == 0


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, destination = sys.argv[1:]
    for label in ("NORMAL", "PNEUMONIA"):
        for split in ("train", "test"):
            os.makedirs(os.path.join(destination, split, label), exist_ok=True)
        for name in sorted(os.listdir(os.path.join(source, label))):
            split = "test" if held_out(name) else "train"
            link = os.path.join(destination, split, label, name)
            if not os.path.lexists(link):
                os.symlink(os.path.abspath(os.path.join(source, label, name)), link)


if __name__ == "__main__":
    main()
