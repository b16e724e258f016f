/* Responds with the configuration of its runtime. */

#include "serve.h"


static void
tell_cfg(void *task, void *cfg)
{
    answer(task, 0, cfg);
}


int
libffi_init(char *cfg, void *tq)
{
    /* Kept for ever: one per runtime. */
    return serve(tq, tell_cfg, cfg ? strdup(cfg) : NULL);
}
