# The libraries that pulmo links, each a target pulmo_with_NAME. CMake's own modules find those that it has one for. For the others,
# pkg-config says where they are if it knows them; without it they are looked for by header and library, in the system's
# folders and in CMAKE_PREFIX_PATH. What is missing is named all at once.
find_package(PkgConfig QUIET)
set(PULMO_MISSING)

function(pulmo_missing what debian redhat)
  list(APPEND PULMO_MISSING "  ${what} (Debian: ${debian}, Fedora and RHEL: ${redhat})")
  set(PULMO_MISSING "${PULMO_MISSING}" PARENT_SCOPE)
endfunction()

# A target of what a module of CMake has found.
function(pulmo_with name)
  add_library(pulmo_with_${name} INTERFACE)
  target_link_libraries(pulmo_with_${name} INTERFACE ${ARGN})
endfunction()

# What a module of CMake finds as one target.
macro(pulmo_module package name target what debian redhat)
  find_package(${package} QUIET)
  if(TARGET ${target})
    pulmo_with(${name} ${target})
  else()
    pulmo_missing(${what} ${debian} ${redhat})
  endif()
endmacro()

# pulmo_look_for(NAME HEADER LIBRARY MODULE): a library that CMake has no module for. The result is in NAME_FOUND.
function(pulmo_look_for name header library module)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(PULMO_PC_${name} QUIET ${module})
  endif()
  find_path(PULMO_${name}_HEADERS ${header} HINTS ${PULMO_PC_${name}_INCLUDE_DIRS})
  find_library(PULMO_${name}_LIBRARY NAMES ${library} HINTS ${PULMO_PC_${name}_LIBRARY_DIRS})
  mark_as_advanced(PULMO_${name}_HEADERS PULMO_${name}_LIBRARY)
  set(${name}_FOUND FALSE PARENT_SCOPE)
  if(PULMO_${name}_HEADERS AND PULMO_${name}_LIBRARY)
    set(${name}_FOUND TRUE PARENT_SCOPE)
    pulmo_with(${name} ${PULMO_${name}_LIBRARY})
    target_include_directories(pulmo_with_${name} SYSTEM INTERFACE ${PULMO_${name}_HEADERS})
  endif()
endfunction()

# The same of a library that pulmo is not built without.
macro(pulmo_needs what name header library module debian redhat)
  pulmo_look_for(${name} ${header} ${library} ${module})
  if(NOT ${name}_FOUND)
    pulmo_missing(${what} ${debian} ${redhat})
  endif()
endmacro()

# ---- CMake's own modules ----
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(MPI QUIET COMPONENTS C)
if(MPI_C_FOUND)
  pulmo_with(mpi MPI::MPI_C)
else()
  pulmo_missing("MPI: Open MPI, MPICH or another whose mpicc is in PATH" "libopenmpi-dev openmpi-bin" "openmpi-devel, and: module load mpi")
endif()
pulmo_module(JPEG jpeg JPEG::JPEG libjpeg-turbo libjpeg-dev libjpeg-turbo-devel)
pulmo_module(ZLIB zlib ZLIB::ZLIB zlib zlib1g-dev zlib-devel)
pulmo_module(PNG png PNG::PNG libpng libpng-dev libpng-devel)
pulmo_module(OpenSSL crypto OpenSSL::Crypto OpenSSL libssl-dev openssl-devel)

# ---- HDF5, serial or parallel ----
# FindHDF5 asks h5cc or h5pcc, which are this machine's: pkg-config answers for another one.
if(CMAKE_CROSSCOMPILING AND PKG_CONFIG_FOUND)
  pkg_check_modules(HDF5 QUIET hdf5>=1.10.5)
  find_library(PULMO_HDF5_HL_LIBRARY NAMES hdf5_serial_hl hdf5_hl HINTS ${HDF5_LIBRARY_DIRS})
  set(HDF5_C_LIBRARIES ${HDF5_LINK_LIBRARIES})
  set(HDF5_C_HL_LIBRARIES ${PULMO_HDF5_HL_LIBRARY})
else()
  find_package(HDF5 1.10.5 QUIET COMPONENTS C HL)
endif()
if(HDF5_FOUND)
  pulmo_with(hdf5 ${HDF5_C_HL_LIBRARIES} ${HDF5_HL_LIBRARIES} ${HDF5_C_LIBRARIES})
  target_include_directories(pulmo_with_hdf5 SYSTEM INTERFACE ${HDF5_INCLUDE_DIRS})
  # One set of functions with every version, 1.10 to 2.
  target_compile_definitions(pulmo_with_hdf5 INTERFACE H5_USE_110_API)
  if(HDF5_IS_PARALLEL) # its header includes mpi.h
    target_link_libraries(pulmo_with_hdf5 INTERFACE MPI::MPI_C)
  endif()
else()
  pulmo_missing("HDF5 from 1.10.5 on, with its high-level library" libhdf5-dev hdf5-devel)
endif()

# ---- BLAS ----
# No bit of a model comes from it (docs/explanation/reproducibility.md): any will do. BLA_VENDOR chooses, by the names of CMake's
# FindBLAS: FLAME is BLIS, Intel10_64lp MKL, Generic what libblas.so is. Without it, OpenBLAS is taken, or else what there is.
if(BLA_VENDOR)
  find_package(BLAS QUIET)
else()
  set(BLA_VENDOR OpenBLAS)
  find_package(BLAS QUIET)
  unset(BLA_VENDOR)
  if(NOT BLAS_FOUND)
    find_package(BLAS QUIET)
  endif()
endif()
if(PKG_CONFIG_FOUND)
  pkg_check_modules(PULMO_PC_OPENBLAS QUIET openblas)
endif()
if(BLAS_FOUND)
  list(GET BLAS_LIBRARIES 0 first)
  get_filename_component(beside "${first}" DIRECTORY)
  find_path(CBLAS_HEADERS NAMES cblas.h mkl_cblas.h
    HINTS ${PULMO_PC_OPENBLAS_INCLUDE_DIRS} ${beside}/../include $ENV{MKLROOT}/include PATH_SUFFIXES openblas blis mkl flexiblas)
endif()
if(BLAS_FOUND AND CBLAS_HEADERS)
  pulmo_with(blas ${BLAS_LIBRARIES})
  target_include_directories(pulmo_with_blas SYSTEM INTERFACE ${CBLAS_HEADERS})
  # The reference BLAS keeps its C functions in a library of their own, but on Debian.
  include(CheckSymbolExists)
  set(CMAKE_REQUIRED_LIBRARIES ${BLAS_LIBRARIES} m)
  set(CMAKE_REQUIRED_INCLUDES ${CBLAS_HEADERS})
  if(EXISTS ${CBLAS_HEADERS}/cblas.h)
    check_symbol_exists(cblas_sgemm cblas.h PULMO_BLAS_HAS_C)
  else() # MKL's header has another name
    check_symbol_exists(cblas_sgemm mkl_cblas.h PULMO_BLAS_HAS_C)
    file(WRITE ${CMAKE_BINARY_DIR}/mkl/cblas.h "#include <mkl_cblas.h>\n")
    target_include_directories(pulmo_with_blas SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/mkl)
  endif()
  unset(CMAKE_REQUIRED_LIBRARIES)
  unset(CMAKE_REQUIRED_INCLUDES)
  if(NOT PULMO_BLAS_HAS_C)
    find_library(PULMO_CBLAS_LIBRARY NAMES cblas HINTS ${beside})
    if(PULMO_CBLAS_LIBRARY)
      target_link_libraries(pulmo_with_blas INTERFACE ${PULMO_CBLAS_LIBRARY})
    else()
      pulmo_missing("cblas_sgemm in ${first}, and libcblas beside it" libopenblas-dev openblas-devel)
    endif()
  endif()
else()
  pulmo_missing("a BLAS with cblas.h: OpenBLAS, or what BLA_VENDOR names" libopenblas-dev openblas-devel)
endif()

# ---- the small ones ----
pulmo_needs(libyaml yaml yaml.h yaml yaml-0.1 libyaml-dev libyaml-devel)
pulmo_needs(Jansson jansson jansson.h jansson jansson libjansson-dev jansson-devel)
pulmo_needs(libzip zip zip.h zip libzip libzip-dev libzip-devel)
pulmo_needs(xxHash xxhash xxhash.h xxhash libxxhash libxxhash-dev xxhash-devel)
pulmo_needs(libcsv csv csv.h csv libcsv libcsv-dev libcsv-devel)
pulmo_look_for(cmocka cmocka.h cmocka cmocka)
if(PULMO_MISSING)
  list(JOIN PULMO_MISSING "\n" missing)
  message(FATAL_ERROR "These libraries were not found, or lack their headers:\n${missing}\n"
    "Install or load them. Those in other places are found by -DCMAKE_PREFIX_PATH=FOLDER (docs/how-to/install.md).")
endif()
