# The kernels: one library, each ISA folder with its own flags and nothing else different.
set(kdir ${CMAKE_CURRENT_LIST_DIR})
file(GLOB kernel_ref CONFIGURE_DEPENDS ${kdir}/ref/*.c ${kdir}/*.c)
file(GLOB kernel_avx2 CONFIGURE_DEPENDS ${kdir}/avx2/*.c)
file(GLOB kernel_avx512 CONFIGURE_DEPENDS ${kdir}/avx512/*.c)
add_library(pulmo_kernels STATIC ${kernel_ref} ${kernel_avx2} ${kernel_avx512})
target_include_directories(pulmo_kernels PUBLIC ${kdir})
target_link_libraries(pulmo_kernels PUBLIC pulmo_flags pulmo_core)
set_source_files_properties(${kernel_avx2} PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma;-O3")
set_source_files_properties(${kernel_avx512} PROPERTIES
  COMPILE_OPTIONS "-mavx512f;-mavx512dq;-mavx512vl;-mavx512bw;-mavx2;-mfma;-mprefer-vector-width=512;-O3")
