/* Which OpenBLAS runs. */
#include <cblas.h>

#include "pulmo/head.h"

const char *pulmo_blas_library(void)
{
    return openblas_get_config();
}
