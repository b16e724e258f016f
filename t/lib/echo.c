/* Responds with the request: nil, empty and NUL bytes stay what they are. */

#include "serve.h"


static void
echo(void *task, void *data)
{
    size_t       len;
    const char  *req;

    req = ngx_http_lua_ffi_get_request(task, &len);
    ngx_http_lua_ffi_respond_copy(task, 0, req, len);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, echo, NULL);
}
