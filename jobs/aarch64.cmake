# Cross-building for AArch64 with Debian's compiler against a sysroot of its arm64 packages (jobs/aarch64-sysroot.sh).
# Programs of the build, as tests, are run by qemu-aarch64 where it is installed.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
find_program(PULMO_AARCH64_CXX aarch64-linux-gnu-g++)
if(PULMO_AARCH64_CXX) # DICOM is read where there is one
  set(CMAKE_CXX_COMPILER ${PULMO_AARCH64_CXX})
endif()

if(DEFINED ENV{PULMO_AARCH64_SYSROOT})
  set(CMAKE_SYSROOT $ENV{PULMO_AARCH64_SYSROOT})
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(CMAKE_SYSROOT $ENV{XDG_CACHE_HOME}/pulmo/aarch64-sysroot)
else()
  set(CMAKE_SYSROOT $ENV{HOME}/.cache/pulmo/aarch64-sysroot)
endif()
if(NOT EXISTS ${CMAKE_SYSROOT}/.complete)
  message(FATAL_ERROR "${CMAKE_SYSROOT}: there is no sysroot; make it with: bash jobs/aarch64-sysroot.sh")
endif()

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)

# The compiler wrapper in PATH is this machine's: MPI is told where it is. Tests of many ranks are started by this machine's
# mpirun, each rank in qemu.
set(mpi ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/openmpi)
set(MPI_SKIP_COMPILER_WRAPPER ON)
set(MPI_C_LIB_NAMES mpi)
set(MPI_mpi_LIBRARY ${mpi}/lib/libmpi.so)
set(MPI_C_HEADER_DIR ${mpi}/include)

find_program(PULMO_QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
if(PULMO_QEMU_AARCH64)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${PULMO_QEMU_AARCH64} -L ${CMAKE_SYSROOT})
endif()
