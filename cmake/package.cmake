# cpack: a package of Debian, and an archive. packaging/README.md says how; packaging/debian/stage.cmake does what Debian wants besides.
set(PULMO_PACKAGER "pulmo developers <root@localhost>" CACHE STRING "Name and address of who builds a package")
set(CPACK_PACKAGE_VENDOR "the pulmo developers")
set(CPACK_PACKAGE_CONTACT "${PULMO_PACKAGER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "distributed training of VGG16 on chest X-rays, on CPUs")
set(CPACK_PACKAGE_DESCRIPTION "pulmo packs chest X-rays, trains a VGG16 network on them under MPI, with its
convolutions frozen or trained from a block of choice upwards, and reports how
well it reads them. One seed gives one model, to the last bit, on any number of
ranks and threads and after any interruption.")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_GENERATOR TGZ)
set(CPACK_STRIP_FILES ON)
set(CPACK_SYSTEM_NAME ${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# Libraries are what dpkg-shlibdeps finds. The launcher and python3 (weights fetch) are programs that it cannot see.
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS slurm-client)
if(MPI_C_LIBRARY_VERSION_STRING MATCHES MPICH)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "mpich, python3, python3-pip")
else()
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "openmpi-bin, python3, python3-pip")
endif()
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian/stage.cmake)
include(CPack)
