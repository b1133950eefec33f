-- Tried: Lmod 8.6 loads and unloads it, and the program, its manual page and job scripts are found.
-- For Lmod. After cmake --install build/release --prefix /apps/pulmo/0.1.0, put this file into a folder "pulmo" of MODULEPATH and
-- name the prefix and the modules that it was built with below.
local prefix = "/apps/pulmo/0.1.0"
-- depends_on("openmpi/4.1", "hdf5", "openblas")

help([[Distributed training of VGG16 on chest X-rays: man pulmo, pulmo COMMAND --help.
Job scripts: ]] .. pathJoin(prefix, "share/pulmo/jobs"))
whatis("Name: pulmo")
whatis("Version: 0.1.0")
whatis("Description: distributed training of VGG16 on chest X-rays, on CPUs")
conflict("pulmo")
prepend_path("PATH", pathJoin(prefix, "bin"))
prepend_path("MANPATH", pathJoin(prefix, "share/man"))
prepend_path("XDG_DATA_DIRS", pathJoin(prefix, "share"))
setenv("PULMO_JOBS", pathJoin(prefix, "share/pulmo/jobs"))
