/* The older respond function, in the ways that it is used and misused. */

#include "serve.h"


static void
respond(void *task, void *data)
{
    if (method_is(task, "string")) {
        ngx_http_lua_ffi_respond(task, 0, strdup("a C string"), 0);

    } else if (method_is(task, "bytes")) {
        ngx_http_lua_ffi_respond(task, 0, memcpy(malloc(3), "a\0b", 3), 3);

    } else if (method_is(task, "empty")) {
        ngx_http_lua_ffi_respond(task, 0, strdup(""), 0);

    } else if (method_is(task, "null")) {
        ngx_http_lua_ffi_respond(task, 0, NULL, 0);

    } else if (method_is(task, "null_with_length")) {
        ngx_http_lua_ffi_respond(task, 0, NULL, 5);

    } else if (method_is(task, "negative")) {
        ngx_http_lua_ffi_respond(task, 0, strdup("never seen"), -1);

    } else {
        ngx_http_lua_ffi_respond(task, 5, strdup("an error"), 0);
    }
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, respond, NULL);
}
