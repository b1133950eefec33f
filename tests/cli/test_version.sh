#!/usr/bin/env bash
# `pulmo --version` names this version, the commit and the libraries that run.
set -euo pipefail
version=$(sed -n 's/^project(pulmo VERSION \([0-9.]*\).*/\1/p' "$PULMO_SOURCE/CMakeLists.txt")
said=$("$1" --version)
says() { grep -Eq "$1" <<< "$said" || { echo "no \"$1\" in: $said"; exit 1; }; }
says "^pulmo $version [(]commit ([0-9a-f]{7,}|unknown)[)]\$"
says '[Mm][Pp][Ii]'
says '^HDF5 [0-9]+[.][0-9]+[.][0-9]+$'
says '^libjpeg(-turbo)? [0-9]'
says '^libpng [0-9]+[.][0-9]+[.][0-9]+'
says '^DICOM: (DCMTK [0-9]|not built in$)'
says '^OpenBLAS [0-9]'
echo "$said"
