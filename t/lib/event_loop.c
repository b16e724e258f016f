/*
 * A library with an event loop of its own, or as many as cfg says: poll(2) and
 * the queue's eventfd.
 */

#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "serve.h"


#define BATCH  8


/* 0 when no task came in time, -1 at the end of the queue. */
static int
drain(void *tq, int timeout_ms)
{
    int          i, n;
    void        *tasks[BATCH];
    size_t       len;
    const char  *req;

    while ((n = ngx_http_lua_ffi_task_poll_many(tq, tasks, BATCH,
                                                timeout_ms))
           > 0)
    {
        for (i = 0; i < n; i++) {
            req = ngx_http_lua_ffi_get_request(tasks[i], &len);
            ngx_http_lua_ffi_respond_copy(tasks[i], 0, req, len);
        }
    }

    return n;
}


static void *
run_loop(void *tq)
{
    uint64_t       count;
    struct pollfd  pfd = { ngx_http_lua_ffi_event_fd(tq), POLLIN, 0 };

    if (pfd.fd == -1) {
        drain(tq, -1);
        return NULL;
    }

    while (drain(tq, 0) == 0) {
        if (poll(&pfd, 1, -1) == 1 && read(pfd.fd, &count, 8) != 8
            && errno != EAGAIN)
        {
            break;
        }
    }

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    int  i, rc = 0;

    for (i = 0; i < (cfg ? atoi(cfg) : 1) && rc == 0; i++) {
        rc = start_thread(run_loop, tq);
    }

    return rc;
}
