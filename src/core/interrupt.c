#include "pulmo/interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>

static volatile sig_atomic_t came = 0;

static void on_signal(int number)
{
    came = 1;
    if (number == SIGINT)
        signal(SIGINT, SIG_DFL);
}

void pulmo_interrupt_listen(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
}

bool pulmo_interrupt_wanted(void)
{
    return came != 0;
}
