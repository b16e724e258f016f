/* Responds with as many bytes as the request says, each its offset & 0xff. */

#include "serve.h"


static void
grow(void *task, void *data)
{
    size_t  i, len;
    char   *rsp;

    len = strtoull(ngx_http_lua_ffi_get_req(task, NULL), NULL, 10);
    rsp = malloc(len);
    for (i = 0; i < len; i++) {
        rsp[i] = (char) i;
    }

    ngx_http_lua_ffi_respond_take(task, 0, rsp, len);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, grow, NULL);
}
