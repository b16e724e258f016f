#include "child.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>


/*
 * In the child, before anything else runs there.  It has the mask of the
 * thread that forked it, with nginx's signals blocked, and handlers that set
 * flags which nobody looks at.
 */
static void
give_signals_back(void)
{
    int               number;
    sigset_t          none;
    struct sigaction  action;

    for (number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) == 0
            && action.sa_handler != SIG_IGN)
        {
            (void) signal(number, SIG_DFL);
        }
    }

    sigemptyset(&none);
    (void) pthread_sigmask(SIG_SETMASK, &none, NULL);
}


int
child_install(void)
{
    static int  installed;

    if (!installed) {
        installed = pthread_atfork(NULL, NULL, give_signals_back) == 0;
    }

    return installed ? 0 : -1;
}
