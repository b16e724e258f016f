/*
 * Writes its request to the error.log, on the level that the method names;
 * rt:flood() writes it 100 000 times.  rt:nameless() gives no queue; rt:task()
 * gives its task, rt:late() its task when it has responded.
 */

#include "serve.h"


#define FLOOD  100000


static int
level_of(void *task)
{
    return method_is(task, "error") ? NGX_HTTP_LUA_FFI_LOG_ERR
           : method_is(task, "warn") ? NGX_HTTP_LUA_FFI_LOG_WARN
           : method_is(task, "debug") ? NGX_HTTP_LUA_FFI_LOG_DEBUG
           : NGX_HTTP_LUA_FFI_LOG_NOTICE;
}


static void
write_log(void *task, void *tq)
{
    int          i;
    size_t       len;
    const char  *text;

    text = ngx_http_lua_ffi_get_request(task, &len);
    if (method_is(task, "nameless")) {
        tq = NULL;

    } else if (method_is(task, "task")) {
        ngx_http_lua_ffi_log_task(task, NGX_HTTP_LUA_FFI_LOG_WARN, text, len);
        answer(task, 0, NULL);
        return;

    } else if (method_is(task, "late")) {
        answer(task, 0, NULL);
        ngx_http_lua_ffi_log_task(task, NGX_HTTP_LUA_FFI_LOG_WARN, "late", 4);
        return;
    }

    for (i = 0; i < (method_is(task, "flood") ? FLOOD : 1); i++) {
        ngx_http_lua_ffi_log(tq, level_of(task), text, len);
    }

    answer(task, 0, NULL);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, write_log, tq);
}
