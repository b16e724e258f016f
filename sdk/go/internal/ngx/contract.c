#include "contract.h"

#include <fcntl.h>


#define RESTYFFI_POLL_MAX  64


/*
 * Weak: nginx has them when it opens the library, and nobody has them when
 * "go test" links.  The signatures are those of the contract.
 */
#pragma weak ngx_http_lua_ffi_task_poll_many
#pragma weak ngx_http_lua_ffi_event_fd
#pragma weak ngx_http_lua_ffi_poll_abandoned
#pragma weak ngx_http_lua_ffi_get_request
#pragma weak ngx_http_lua_ffi_get_method
#pragma weak ngx_http_lua_ffi_get_request_id
#pragma weak ngx_http_lua_ffi_get_traceparent
#pragma weak ngx_http_lua_ffi_is_abandoned
#pragma weak ngx_http_lua_ffi_time_left
#pragma weak ngx_http_lua_ffi_respond_copy
#pragma weak ngx_http_lua_ffi_set_error
#pragma weak ngx_http_lua_ffi_log
#pragma weak ngx_http_lua_ffi_log_task

int ngx_http_lua_ffi_task_poll_many(void *tq, void **tasks, int max,
    int timeout_ms);
int ngx_http_lua_ffi_event_fd(void *tq);
int ngx_http_lua_ffi_poll_abandoned(void *tq, void **tasks, int max);
const char *ngx_http_lua_ffi_get_request(void *task, size_t *len);
const char *ngx_http_lua_ffi_get_method(void *task, size_t *len);
const char *ngx_http_lua_ffi_get_request_id(void *task, size_t *len);
const char *ngx_http_lua_ffi_get_traceparent(void *task, size_t *len);
int ngx_http_lua_ffi_is_abandoned(void *task);
int64_t ngx_http_lua_ffi_time_left(void *task);
int ngx_http_lua_ffi_respond_copy(void *task, int rc, const void *rsp,
    size_t len);
void ngx_http_lua_ffi_set_error(void *tq, const char *msg, size_t len);
void ngx_http_lua_ffi_log(void *tq, int level, const char *msg, size_t len);
void ngx_http_lua_ffi_log_task(void *task, int level, const char *msg,
    size_t len);


int
restyffi_in_nginx(void)
{
    return ngx_http_lua_ffi_task_poll_many != NULL;
}


int
restyffi_poll(uintptr_t tq, restyffi_call_t *calls, int max)
{
    int               i, n;
    void             *tasks[RESTYFFI_POLL_MAX];
    restyffi_call_t  *call;

    n = ngx_http_lua_ffi_task_poll_many((void *) tq, tasks,
            max < RESTYFFI_POLL_MAX ? max : RESTYFFI_POLL_MAX, -1);

    for (i = 0; i < n; i++) {
        call = &calls[i];

        call->task = (uintptr_t) tasks[i];
        call->method = ngx_http_lua_ffi_get_method(tasks[i],
                                                   &call->method_len);
        call->request = ngx_http_lua_ffi_get_request(tasks[i],
                                                     &call->request_len);
        call->id = ngx_http_lua_ffi_get_request_id(tasks[i], &call->id_len);
        call->trace = ngx_http_lua_ffi_get_traceparent(tasks[i],
                                                       &call->trace_len);
        call->time_left = ngx_http_lua_ffi_time_left(tasks[i]);
    }

    return n;
}


void
restyffi_respond(uintptr_t task, int rc, const void *rsp, size_t len)
{
    (void) ngx_http_lua_ffi_respond_copy((void *) task, rc, rsp, len);
}


int
restyffi_is_abandoned(uintptr_t task)
{
    return ngx_http_lua_ffi_is_abandoned((void *) task);
}


int
restyffi_event_fd(uintptr_t tq)
{
    int  fd;

    fd = ngx_http_lua_ffi_event_fd((void *) tq);

    return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}


int
restyffi_poll_abandoned(uintptr_t tq, uintptr_t *tasks, int max)
{
    return ngx_http_lua_ffi_poll_abandoned((void *) tq, (void **) tasks, max);
}


void
restyffi_log(uintptr_t tq, uintptr_t task, int level, const char *msg,
    size_t len)
{
    if (task != 0) {
        ngx_http_lua_ffi_log_task((void *) task, level, msg, len);

    } else {
        ngx_http_lua_ffi_log((void *) tq, level, msg, len);
    }
}


void
restyffi_set_error(uintptr_t tq, const char *msg, size_t len)
{
    ngx_http_lua_ffi_set_error((void *) tq, msg, len);
}
