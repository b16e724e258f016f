/* Polls ten times more after the end of its queue, and says so at the gate. */

#include "gate.h"
#include "serve.h"


static void *
poll_too_long(void *tq)
{
    int    i, tasks = 0;
    char   text[256];
    void  *task;

    while ((task = ngx_http_lua_ffi_task_poll(tq)) != NULL) {
        answer(task, 0, "served");
    }

    for (i = 0; i < 10; i++) {
        tasks += (ngx_http_lua_ffi_task_poll(tq) != NULL);
    }

    close(gate_wait(tasks ? "a task came" : "ended", text, sizeof(text)));

    /* The runtime is gone now, for sure. */
    close(gate_wait(ngx_http_lua_ffi_task_poll(tq) ? "a task came" : "ended",
                    text, sizeof(text)));
    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    return start_thread(poll_too_long, tq);
}
