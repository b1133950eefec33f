# Tried: it compiles, and flake8 finds nothing. Not tried: Spack itself (1.0 or later); nothing was concretized or built.
#
# pulmo is in no repository of Spack yet. Make one, and put this file and libcsv's into it:
#   spack repo create ~/spack-pulmo pulmo                        # says where its packages are
#   cp packaging/spack/package.py PACKAGES/pulmo/package.py; cp packaging/spack/libcsv/package.py PACKAGES/libcsv/package.py
#   spack repo add ~/spack-pulmo/spack_repo/pulmo
#   git archive --prefix=pulmo-0.1.0/ -o pulmo-0.1.0.tar.gz HEAD # in the checkout; PULMO_TARBALL names the file
#   PULMO_TARBALL=$PWD/pulmo-0.1.0.tar.gz spack install --no-checksum pulmo ^openmpi
import os

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Pulmo(CMakePackage):
    """Distributed training of VGG16 on chest X-rays, on CPUs: one seed gives
    one model, on any number of ranks and threads."""

    url = "file://" + os.environ.get("PULMO_TARBALL", "/pulmo-0.1.0.tar.gz")

    license("BSD-3-Clause")

    version("0.1.0")

    variant("dicom", default=True, description="Read DICOM files, with DCMTK")

    depends_on("c", type="build")
    depends_on("cxx", type="build", when="+dicom")
    depends_on("cmake@3.20:", type="build")
    depends_on("mpi@3:")
    depends_on("hdf5@1.10.5: +hl")
    depends_on("blas")
    depends_on("libjpeg-turbo")
    depends_on("libpng")
    depends_on("zlib-api")
    depends_on("openssl")
    depends_on("libyaml")
    depends_on("jansson")
    depends_on("libzip")
    depends_on("xxhash")
    depends_on("libcsv")
    depends_on("dcmtk@3.6.4:", when="+dicom")
    depends_on("python@3.8:", type="run")  # pulmo weights fetch

    def cmake_args(self):
        vendors = {"openblas": "OpenBLAS", "amdblis": "FLAME", "blis": "FLAME", "flexiblas": "FlexiBLAS",
                   "intel-oneapi-mkl": "Intel10_64_dyn", "armpl-gcc": "Arm", "netlib-lapack": "Generic"}
        args = [
            self.define("PULMO_TESTS", False),
            self.define_from_variant("PULMO_DICOM", "dicom"),
            self.define("MPI_C_COMPILER", self.spec["mpi"].mpicc),
        ]
        vendor = vendors.get(self.spec["blas"].name)
        if vendor:
            args.append(self.define("BLA_VENDOR", vendor))
        return args

    def setup_run_environment(self, env):
        env.prepend_path("XDG_DATA_DIRS", self.prefix.share)

    def test_version(self):
        """the program starts, and finds its configurations"""
        pulmo = which(self.prefix.bin.pulmo)
        assert str(self.version) in pulmo("--version", output=str.split)
        assert "recommended" in pulmo("configs", output=str.split)
