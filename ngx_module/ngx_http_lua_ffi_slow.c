#include "ngx_http_lua_ffi_slow.h"

#include "ngx_http_lua_ffi_overdue.h"


/* How long a call takes that is slow; 0: none is. */
static ngx_msec_t  ngx_http_lua_ffi_slow_ms;


void
ngx_http_lua_ffi_slow_init(ngx_msec_t ms)
{
    ngx_http_lua_ffi_slow_ms = ms;
}


ngx_uint_t
ngx_http_lua_ffi_slow_enabled(void)
{
    return ngx_http_lua_ffi_slow_ms != 0;
}


void
ngx_http_lua_ffi_slow_watch(ffi_task_t *task)
{
    ngx_msec_t  posted;

    posted = (ngx_msec_t) (task->deadline - task->timeout);

    if (ngx_http_lua_ffi_slow_ms == 0
        || task->slow
        || ngx_current_msec - posted < ngx_http_lua_ffi_slow_ms
        || ffi_task_state(task) != FFI_TASK_TAKEN)
    {
        return;
    }

    task->slow = 1;
    ngx_http_lua_ffi_overdue_show(ffi_queue_data(task->queue), task);
}


void
ngx_http_lua_ffi_slow_answered(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task, int64_t now)
{
    int64_t                    took;
    ngx_http_lua_ffi_caller_t  caller;

    took = now - task->enqueued;

    if (ngx_http_lua_ffi_slow_ms == 0
        || took < (int64_t) ngx_http_lua_ffi_slow_ms * 1000000
        || !ngx_http_lua_ffi_overdue_may_log(NGX_HTTP_LUA_FFI_SLOW))
    {
        return;
    }

    ngx_http_lua_ffi_overdue_caller(task, &caller);

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\"%s%s%s: call of \"%*s\" was slow: "
                  "%.3f ms, of which it waited %.3f ms in the queue, ran "
                  "%.3f ms in the guest, and waited %.3f ms for the event "
                  "loop; request of %uz bytes, response of %uz",
                  ffi_queue_name(rt->queue),
                  *caller.id ? ", request \"" : "", caller.id,
                  *caller.id ? "\"" : "", caller.len, caller.method,
                  (double) took / 1e6,
                  (double) (task->polled - task->enqueued) / 1e6,
                  (double) (task->responded - task->polled) / 1e6,
                  (double) (now - task->responded) / 1e6,
                  task->request_len, task->response_len);
}
