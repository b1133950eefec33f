/* Which BLAS runs. Only the known answer uses it, within a tolerance: no model's bits depend on it.
 */
#include <stddef.h>

#include "weights_room.h"

/* OpenBLAS's own; another BLAS lacks them. */
char *openblas_get_config(void) __attribute__((weak));
void openblas_set_num_threads(int threads) __attribute__((weak));

const char *pulmo_blas_library(void)
{
    return openblas_get_config ? openblas_get_config() : "BLAS other than OpenBLAS";
}

void weights_one_blas_thread(void)
{
    if (openblas_set_num_threads)
        openblas_set_num_threads(1);
}
