# The kernels: one library, each tier's folder with its own flags and nothing else different.
set(kdir ${CMAKE_CURRENT_LIST_DIR})
file(GLOB kernel_ref CONFIGURE_DEPENDS ${kdir}/ref/*.c ${kdir}/*.c)
set(kernel_x86)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  file(GLOB kernel_avx2 CONFIGURE_DEPENDS ${kdir}/avx2/*.c)
  file(GLOB kernel_avx512 CONFIGURE_DEPENDS ${kdir}/avx512/*.c)
  set(kernel_x86 ${kernel_avx2} ${kernel_avx512})
  set_source_files_properties(${kernel_avx2} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-O3")
  set_source_files_properties(${kernel_avx512} PROPERTIES
    COMPILE_OPTIONS "-mavx512f;-mavx512dq;-mavx512vl;-mavx512bw;-mavx2;-mfma;-O3")
endif()
set_source_files_properties(${kernel_ref} PROPERTIES COMPILE_OPTIONS "-O3")
add_library(pulmo_kernels STATIC ${kernel_ref} ${kernel_x86})
target_include_directories(pulmo_kernels PUBLIC ${kdir})
target_link_libraries(pulmo_kernels PUBLIC pulmo_core)
# Tables are looked at by name alone; every kernel is exported to its table, not to the world.
target_compile_options(pulmo_kernels PRIVATE -Wno-missing-prototypes)
