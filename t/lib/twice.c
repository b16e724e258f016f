/*
 * rt:at_once() responds twice in a row; any other call first responds to the
 * task of the call before it once more.
 */

#include "serve.h"


static void
respond_twice(void *task, void *data)
{
    static void  *last;

    if (last) {
        answer(last, 0, "stale");
    }

    last = task;
    answer(task, 0, "first");
}


static void
respond(void *task, void *data)
{
    if (method_is(task, "at_once")) {
        answer(task, 0, "first");
        answer(task, 0, "second");
        ngx_http_lua_ffi_respond_take(task, 0, strdup("third"), 5);
        ngx_http_lua_ffi_respond(task, 0, strdup("fourth"), 0);
        return;
    }

    respond_twice(task, data);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, respond, NULL);
}
