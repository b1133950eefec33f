/* For LD_PRELOAD under the address sanitizer: libraries stay loaded. Open MPI unloads its plugins,
 * and what they leave behind would then have no name to tell it from leaks of ours
 * (tests/lsan.supp). */
int dlclose(void *library);

int dlclose(void *library)
{
    (void)library;
    return 0;
}
