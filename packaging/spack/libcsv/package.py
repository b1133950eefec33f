# Tried: it compiles, flake8 finds nothing, and configure, make and make install of this very archive. Not tried: Spack itself.
from spack_repo.builtin.build_systems.autotools import AutotoolsPackage

from spack.package import *


class Libcsv(AutotoolsPackage):
    """A small parser of CSV in C, which pulmo's tables are read with."""

    homepage = "https://github.com/rgamble/libcsv"
    url = "https://deb.debian.org/debian/pool/main/libc/libcsv/libcsv_3.0.3+dfsg.orig.tar.gz"

    license("LGPL-2.1-or-later")

    version("3.0.3", sha256="06fddfaca720a4be7603bad63eb1833bca5b6c5a69b42b1c518a02cda2a73aef", url=url)

    depends_on("c", type="build")

    def configure_args(self):
        return ["--disable-static"]
