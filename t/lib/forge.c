/* Calls every function of the contract with handles that never were. */

#include <stdint.h>
#include <unistd.h>
#include "serve.h"


static void
misuse(void *forged)
{
    int     n;
    void   *tasks[4];
    size_t  len;

    ngx_http_lua_ffi_get_req(forged, &n);
    ngx_http_lua_ffi_get_request(forged, &len);
    ngx_http_lua_ffi_get_method(forged, &len);
    ngx_http_lua_ffi_is_abandoned(forged);
    ngx_http_lua_ffi_time_left(forged);
    answer(forged, 0, "forged");
    ngx_http_lua_ffi_respond_take(forged, 0, strdup("forged"), 6);
    ngx_http_lua_ffi_respond(forged, 0, strdup("forged"), 0);

    ngx_http_lua_ffi_task_poll(forged);
    ngx_http_lua_ffi_task_poll_many(forged, tasks, 4, -1);
    ngx_http_lua_ffi_event_fd(forged);
    ngx_http_lua_ffi_library_path(forged);
    ngx_http_lua_ffi_set_error(forged, "forged", 6);
}


static void
forge(void *task, void *tq)
{
    int        bit, i;
    unsigned   seed = 1;
    uintptr_t  number;

    misuse(NULL);
    misuse(&number);

    for (bit = 0; bit < 64; bit++) {
        misuse((void *) ((uintptr_t) task ^ ((uintptr_t) 1 << bit)));
    }

    for (i = 0; i < 1000; i++) {
        number = rand_r(&seed);
        misuse((void *) (number << 32 | rand_r(&seed)));
    }

    answer(task, 0, "alive");
}


/* A task is no queue and a queue is no task. */
static void
mix_up(void *task, void *tq)
{
    void  *tasks[1];

    answer(tq, 0, "mixed up");
    ngx_http_lua_ffi_get_request(tq, NULL);

    if (ngx_http_lua_ffi_task_poll_many(task, tasks, 1, 0) == -1) {
        answer(task, 0, "alive");

    } else {
        answer(task, 1, "a task was polled");
    }
}


static void
dispatch(void *task, void *tq)
{
    if (method_is(task, "mix_up")) {
        mix_up(task, tq);

    } else {
        forge(task, tq);
    }
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, dispatch, tq);
}
