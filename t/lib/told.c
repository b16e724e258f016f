/*
 * An event loop that is told which of its calls were abandoned.  rt:hold(name)
 * is kept until rt:finish(); who is told of is logged as well, on behalf of the
 * task.  rt:told() responds with the names, in the order told; rt:seen() with
 * those that were polled; rt:block(name) holds the loop at the gate.
 *
 * With the configuration "late" the descriptor is asked for by rt:listen().
 */

#include <poll.h>
#include <stdio.h>
#include "gate.h"
#include "serve.h"


#define BATCH      8
#define MOST_HELD  64


typedef struct {
    void  *tq;
    int    fd;
    int    nheld;
    void  *held[MOST_HELD];
    char   told[1024];
    char   seen[1024];
} loop_t;


static void
add(char *names, void *task)
{
    strcat(names, ngx_http_lua_ffi_get_req(task, NULL));
    strcat(names, " ");
}


static void
finish(loop_t *loop)
{
    while (loop->nheld) {
        answer(loop->held[--loop->nheld], 0, "finished");
    }
}


static void
begin(loop_t *loop, void *task)
{
    char  text[256];

    if (method_is(task, "hold")) {
        add(loop->seen, task);
        loop->held[loop->nheld++] = task;
        return;
    }

    if (method_is(task, "block")) {
        close(gate_wait(ngx_http_lua_ffi_get_req(task, NULL), text,
                        sizeof(text)));

    } else if (method_is(task, "finish")) {
        finish(loop);

    } else if (method_is(task, "listen")) {
        loop->fd = ngx_http_lua_ffi_event_fd(loop->tq);
    }

    answer(task, 0, method_is(task, "told") ? loop->told : loop->seen);
}


static int
drain(loop_t *loop, int timeout_ms)
{
    int    i, n;
    void  *tasks[BATCH];

    do {
        n = ngx_http_lua_ffi_task_poll_many(loop->tq, tasks, BATCH,
                                            timeout_ms);
        for (i = 0; i < n; i++) {
            begin(loop, tasks[i]);
        }
    } while (n > 0 && timeout_ms == 0);

    return n;
}


/* Takes them one at a time: each call must leave the others for the next. */
static void
drain_abandoned(loop_t *loop)
{
    int    n;
    char   text[128];
    void  *task;

    while (ngx_http_lua_ffi_poll_abandoned(loop->tq, &task, 1) == 1) {
        add(loop->told, task);

        n = snprintf(text, sizeof(text), "told of %s",
                     ngx_http_lua_ffi_get_req(task, NULL));
        ngx_http_lua_ffi_log_task(task, NGX_HTTP_LUA_FFI_LOG_NOTICE, text, n);
    }
}


static void *
run_loop(void *arg)
{
    int             n;
    loop_t         *loop = arg;
    uint64_t        count;
    struct pollfd   pfd = { -1, POLLIN, 0 };

    do {
        if (loop->fd == -1) {
            n = drain(loop, -1);
            continue;
        }

        pfd.fd = loop->fd;
        poll(&pfd, 1, -1);
        (void) !read(loop->fd, &count, 8);

        n = drain(loop, 0);
        drain_abandoned(loop);

    } while (n != -1);

    finish(loop);
    free(loop);

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    loop_t  *loop = calloc(1, sizeof(loop_t));

    loop->tq = tq;
    loop->fd = -1;

    if (cfg == NULL) {
        loop->fd = ngx_http_lua_ffi_event_fd(tq);
    }

    return start_thread(run_loop, loop);
}
