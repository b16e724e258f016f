/* Responds with the name of the method. */

#include "serve.h"


static void
name_method(void *task, void *data)
{
    size_t       len;
    const char  *method;

    method = ngx_http_lua_ffi_get_method(task, &len);
    ngx_http_lua_ffi_respond_copy(task, 0, method, len);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, name_method, NULL);
}
