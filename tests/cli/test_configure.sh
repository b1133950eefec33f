#!/usr/bin/env bash
# What a site without pkg-config, or without some of the libraries, sees of CMake; and that CMake 3.20 can read it all.
. "$(dirname "$0")/common.sh"
command -v cmake > /dev/null || { echo "skipped: there is no cmake"; exit 77; }
grep -q '^cmake_minimum_required(VERSION 3\.20' "$PULMO_SOURCE/CMakeLists.txt" || fail "CMake 3.20 does not take CMakeLists.txt"
# 3.20 reads presets up to version 2, which must name a generator.
grep -q '"version": 2,' "$PULMO_SOURCE/CMakePresets.json" || fail "CMake 3.20 does not read the presets"

# Each library is found by its header and its file.
cmake -S "$PULMO_SOURCE" -B plain -DPULMO_TESTS=OFF -DPULMO_DICOM=OFF -DPKG_CONFIG_EXECUTABLE=/bin/false > plain.txt 2>&1 ||
    { cat plain.txt; fail "it is not configured without pkg-config"; }

# What is missing is named all at once, with the packages that have it.
expect 1 "libcsv (Debian: libcsv-dev, Fedora and RHEL: libcsv-devel)" cmake -S "$PULMO_SOURCE" -B plain -DCMAKE_DISABLE_FIND_PACKAGE_PNG=ON \
    -DPULMO_csv_LIBRARY=PULMO_csv_LIBRARY-NOTFOUND -DCMAKE_LIBRARY_PATH= -DCMAKE_FIND_ROOT_PATH="$WORK" -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY
for word in "libpng (Debian: libpng-dev" "CMAKE_PREFIX_PATH"; do grep -qF "$word" out.txt || { cat out.txt; fail "does not say: $word"; }; done

# What the build finds in a place of its own, the installation finds there too.
if grep -q 'OLD_RPATH "/' plain/cmake_install.cmake; then
    grep -q 'NEW_RPATH "/' plain/cmake_install.cmake || fail "the installation has no RPATH"
fi
echo "CMake finds and names what it should"
