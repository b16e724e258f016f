/*
 * Holds each call at the gate, under its method, on a thread of its own, and
 * responds with what the test answers there.  Told that one is overdue, it goes
 * to the gate, too, as "overdue", and then says in the log what it was told.
 */

#include <signal.h>
#include <stdio.h>
#include "gate.h"
#include "serve.h"


static void *
hold(void *task)
{
    int   fd;
    char  text[256];

    fd = gate_wait(ngx_http_lua_ffi_get_method(task, NULL), text, sizeof(text));
    answer(task, 0, text);
    close(fd);

    return NULL;
}


static void
dispatch(void *task, void *data)
{
    start_thread(hold, task);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, dispatch, NULL);
}


void
libffi_overdue(void *tq, void *task)
{
    int       n;
    char      text[256], msg[512];
    sigset_t  set;

    close(gate_wait("overdue", text, sizeof(text)));

    pthread_sigmask(SIG_BLOCK, NULL, &set);

    n = snprintf(msg, sizeof(msg), "%s is late, TERM is %s",
                 ngx_http_lua_ffi_get_method(task, NULL),
                 sigismember(&set, SIGTERM) ? "blocked" : "open");
    ngx_http_lua_ffi_log_task(task, NGX_HTTP_LUA_FFI_LOG_WARN, msg, n);
}
