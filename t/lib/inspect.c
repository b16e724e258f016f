/* Responds with what a library can find out; the method says what. */

#include <signal.h>
#include <stdio.h>
#include "serve.h"


static void
answer_number(void *task, long long number)
{
    char  text[24];

    snprintf(text, sizeof(text), "%lld", number);
    answer(task, 0, text);
}


/* The signals that this thread does not block, as numbers. */
static void
answer_open_signals(void *task)
{
    int       signo;
    char      text[512] = "", *p = text;
    sigset_t  set;

    pthread_sigmask(SIG_BLOCK, NULL, &set);

    for (signo = 1; signo < 32; signo++) {
        if (signo != SIGKILL && signo != SIGSTOP && !sigismember(&set, signo)) {
            p += sprintf(p, "%d ", signo);
        }
    }

    answer(task, 0, text);
}


static void
inspect(void *task, void *tq)
{
    size_t  len;

    if (method_is(task, "abi_version")) {
        answer_number(task, ngx_http_lua_ffi_abi_version());

    } else if (method_is(task, "time_left")) {
        answer_number(task, ngx_http_lua_ffi_time_left(task));

    } else if (method_is(task, "request_id")) {
        answer(task, 0, ngx_http_lua_ffi_get_request_id(task, NULL));

    } else if (method_is(task, "request_id_length")) {
        ngx_http_lua_ffi_get_request_id(task, &len);
        answer_number(task, len);

    } else if (method_is(task, "traceparent")) {
        answer(task, 0, ngx_http_lua_ffi_get_traceparent(task, NULL));

    } else if (method_is(task, "traceparent_length")) {
        ngx_http_lua_ffi_get_traceparent(task, &len);
        answer_number(task, len);

    } else if (method_is(task, "library_path")) {
        answer(task, 0, ngx_http_lua_ffi_library_path(tq));

    } else if (method_is(task, "open_signals")) {
        answer_open_signals(task);
    }
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, inspect, tq);
}
