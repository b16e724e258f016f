/*
 * Starts when the test lets it: libffi_init() waits at the gate, under the
 * name that is its cfg, if any.  An answer given there is the reason why it fails.
 */

#include "gate.h"
#include "serve.h"


static void
ready(void *task, void *data)
{
    answer(task, 0, "ready");
}


int
libffi_init(char *cfg, void *tq)
{
    char  why[256];

    close(gate_wait(cfg ? cfg : "slow_start", why, sizeof(why)));

    if (why[0]) {
        ngx_http_lua_ffi_set_error(tq, why, strlen(why));
        return 1;
    }

    return serve(tq, ready, NULL);
}
