/* Fails: a request "3:why" with rc 3 and the message "why", "3" without one. */

#include "serve.h"


static void
fail(void *task, void *data)
{
    char  *message, *req;

    req = ngx_http_lua_ffi_get_req(task, NULL);
    message = strchr(req, ':');

    answer(task, atoi(req), message ? message + 1 : NULL);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, fail, NULL);
}
