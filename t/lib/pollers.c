/* As many pollers as cfg says; each call holds its poller at the gate. */

#include "gate.h"
#include "serve.h"


static void
hold(void *task, void *data)
{
    char  text[256];

    close(gate_wait("poller", text, sizeof(text)));
    answer(task, 0, text);
}


int
libffi_init(char *cfg, void *tq)
{
    int  i, rc = 0;

    for (i = 0; i < atoi(cfg) && rc == 0; i++) {
        rc = serve(tq, hold, NULL);
    }

    return rc;
}
