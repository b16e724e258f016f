/*
 * Polls ten times more after the end of its queue, and says so at the gate.  When
 * the runtime is gone it polls again, answers its last task again, and says at the
 * gate what came of it.
 */

#include "gate.h"
#include "serve.h"


/* What nobody may get from a runtime that is gone. */
static const char *
try_all(void *task, void *tq)
{
    if (ngx_http_lua_ffi_task_poll(tq) != NULL) {
        return "a task came";
    }

    if (ngx_http_lua_ffi_respond_copy(task, 0, "late", 4) == 0
        || ngx_http_lua_ffi_respond_take(task, 0, strdup("late"), 4) == 0)
    {
        return "an answer was taken";
    }

    if (ngx_http_lua_ffi_event_fd(tq) != -1) {
        return "a descriptor was given";
    }

    ngx_http_lua_ffi_respond(task, 0, strdup("late"), 0);
    ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_WARN, "still here", 10);

    return "ended";
}


static void *
poll_too_long(void *tq)
{
    int    i, tasks = 0;
    char   text[256];
    void  *task, *last = NULL;

    while ((task = ngx_http_lua_ffi_task_poll(tq)) != NULL) {
        answer(task, 0, "served");
        last = task;
    }

    for (i = 0; i < 10; i++) {
        tasks += (ngx_http_lua_ffi_task_poll(tq) != NULL);
    }

    close(gate_wait(tasks ? "a task came" : "ended", text, sizeof(text)));

    /* The runtime is gone now, for sure. */
    close(gate_wait(try_all(last, tq), text, sizeof(text)));
    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    return start_thread(poll_too_long, tq);
}
