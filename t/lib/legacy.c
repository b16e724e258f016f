/* The older respond function, in the ways that it is used and misused. */

#include "serve.h"


static char  writable[64] = "never seen";


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

    } else if (method_is(task, "negative_static")) {
        ngx_http_lua_ffi_respond(task, 0, "never seen", -1);

    } else if (method_is(task, "static")) {
        ngx_http_lua_ffi_respond(task, 0, "never seen", 0);

    } else if (method_is(task, "static_bytes")) {
        ngx_http_lua_ffi_respond(task, 0, writable, sizeof(writable));

    } else if (method_is(task, "taken_static")) {
        ngx_http_lua_ffi_respond_take(task, 0, writable, sizeof(writable));

    } else if (method_is(task, "middle")) {
        ngx_http_lua_ffi_respond(task, 0, (char *) calloc(1, 64) + 3, 4);

    } else if (method_is(task, "static_again")) {
        answer(task, 0, "first");
        ngx_http_lua_ffi_respond(task, 0, "never seen", 0);
        ngx_http_lua_ffi_respond(task, 0, writable, -1);
        ngx_http_lua_ffi_respond_take(task, 0, writable, 4);

    } else {
        ngx_http_lua_ffi_respond(task, 5, strdup("an error"), 0);
    }
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, respond, NULL);
}
