/*
 * Echoes, but its load hangs until nginx gives it up when there is a cfg; it
 * answers the method "ending" with whether it is being unloaded.
 */

#include <unistd.h>
#include "serve.h"


#define WAIT_US  1000


static void
tell(void *task, void *tq)
{
    answer(task, 0, ngx_http_lua_ffi_is_ending(tq) ? "ending" : "running");
}


int
libffi_init(char *cfg, void *tq)
{
    while (cfg && !ngx_http_lua_ffi_is_ending(tq)) {
        usleep(WAIT_US);
    }

    return cfg ? 1 : serve(tq, tell, tq);
}
