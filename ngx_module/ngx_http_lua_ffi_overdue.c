#include "ngx_http_lua_ffi_overdue.h"

#include "ffi_thread.h"
#include "ngx_http_lua_ffi_name.h"


/* Lines a second: a runtime that hangs has all its calls time out. */
#define NGX_HTTP_LUA_FFI_OVERDUE_LINES   10


typedef struct {
    const char                   *what;          /* has been left out */
    time_t                        second;
    ngx_uint_t                    lines;
    ngx_uint_t                    left_out;
} ngx_http_lua_ffi_lines_t;


/* The one libffi_overdue() that runs; set before its thread starts. */
typedef struct {
    ngx_http_lua_ffi_runtime_t   *rt;            /* NULL: none runs */
    pthread_t                     thread;
    void                        (*function)(void *tq, void *task);
    void                         *tq;
    void                         *task;
} ngx_http_lua_ffi_shown_t;


static void ngx_http_lua_ffi_overdue_log(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task, ngx_uint_t state);
static void ngx_http_lua_ffi_overdue_turn(ngx_http_lua_ffi_lines_t *lines);
static void *ngx_http_lua_ffi_overdue_thread(void *data);
static void ngx_http_lua_ffi_overdue_join(void);


/* by what they are about */
static ngx_http_lua_ffi_lines_t  ngx_http_lua_ffi_lines[] = {
    { "timed out", 0, 0, 0 },
    { "were slow", 0, 0, 0 }
};

static ngx_http_lua_ffi_shown_t  ngx_http_lua_ffi_shown;


void
ngx_http_lua_ffi_overdue_call(ffi_task_t *task)
{
    ngx_uint_t                   state;
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ffi_queue_data(task->queue);
    rt->timeouts++;

    if (!ngx_http_lua_ffi_overdue_may_log(NGX_HTTP_LUA_FFI_TIMED_OUT)) {
        return;
    }

    state = ffi_task_state(task);

    ngx_http_lua_ffi_overdue_log(rt, task, state);

    if (state == FFI_TASK_TAKEN) {
        ngx_http_lua_ffi_overdue_show(rt, task);
    }
}


static void
ngx_http_lua_ffi_overdue_log(ngx_http_lua_ffi_runtime_t *rt, ffi_task_t *task,
    ngx_uint_t state)
{
    const char                *what;
    ngx_http_lua_ffi_caller_t  caller;

    ngx_http_lua_ffi_overdue_caller(task, &caller);

    what = state == FFI_TASK_TAKEN ? "still running"
           : state == FFI_TASK_QUEUED ? "never polled"
           : "answered too late";

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\"%s%s%s: call of \"%*s\" timed out after "
                  "%L ms, %s; timeouts so far: %ui",
                  ffi_queue_name(rt->queue),
                  *caller.id ? ", request \"" : "", caller.id,
                  *caller.id ? "\"" : "", caller.len, caller.method,
                  task->timeout, what, rt->timeouts);
}


void
ngx_http_lua_ffi_overdue_caller(ffi_task_t *task,
    ngx_http_lua_ffi_caller_t *caller)
{
    caller->id = task->id_len ? (const char *) task->id : "";

    caller->len = ngx_min(task->method_len, sizeof(caller->method));
    ngx_memcpy(caller->method, task->request - task->method_len - 1,
               caller->len);
    ngx_http_lua_ffi_name_printable(caller->method, caller->len);
}


ngx_uint_t
ngx_http_lua_ffi_overdue_may_log(ngx_http_lua_ffi_lines_e about)
{
    ngx_http_lua_ffi_lines_t  *lines;

    lines = &ngx_http_lua_ffi_lines[about];

    ngx_http_lua_ffi_overdue_turn(lines);

    if (lines->lines == NGX_HTTP_LUA_FFI_OVERDUE_LINES) {
        lines->left_out++;
        return 0;
    }

    lines->lines++;

    return 1;
}


/* A new second begins. */
static void
ngx_http_lua_ffi_overdue_turn(ngx_http_lua_ffi_lines_t *lines)
{
    if (lines->second == ngx_time()) {
        return;
    }

    if (lines->left_out) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ffi: %ui more calls %s within a second",
                      lines->left_out, lines->what);
    }

    lines->second = ngx_time();
    lines->lines = 0;
    lines->left_out = 0;
}


/* One at a time: a library that hangs in it costs one thread. */
void
ngx_http_lua_ffi_overdue_show(ngx_http_lua_ffi_runtime_t *rt, ffi_task_t *task)
{
    int                        err;
    ngx_http_lua_ffi_shown_t  *shown;

    ngx_http_lua_ffi_overdue_join();

    shown = &ngx_http_lua_ffi_shown;

    if (shown->rt != NULL || rt->op->image->overdue == NULL) {
        return;
    }

    shown->function = rt->op->image->overdue;
    shown->tq = ffi_queue_handle(rt->queue);
    shown->task = ffi_task_handle(task);

    err = ffi_thread_create(&shown->thread, ngx_http_lua_ffi_overdue_thread,
                            shown);
    if (err != 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "ffi: pthread_create() failed");
        return;
    }

    shown->rt = rt;
}


/* a thread of its own; blocks */
static void *
ngx_http_lua_ffi_overdue_thread(void *data)
{
    ngx_http_lua_ffi_shown_t  *shown = data;

    /* a name of ours: no library that is being loaded has started this */
    (void) pthread_setname_np(pthread_self(), "ffi-overdue");

    shown->function(shown->tq, shown->task);

    return NULL;
}


static void
ngx_http_lua_ffi_overdue_join(void)
{
    ngx_http_lua_ffi_shown_t  *shown;

    shown = &ngx_http_lua_ffi_shown;

    if (shown->rt != NULL && pthread_tryjoin_np(shown->thread, NULL) == 0) {
        shown->rt = NULL;
    }
}


ngx_uint_t
ngx_http_lua_ffi_overdue_runs(ngx_http_lua_ffi_runtime_t *rt)
{
    return ngx_http_lua_ffi_shown.rt == rt;
}


ngx_uint_t
ngx_http_lua_ffi_overdue_tick(void)
{
    ngx_uint_t  i, left_out;

    left_out = 0;

    for (i = 0; i <= NGX_HTTP_LUA_FFI_SLOW; i++) {
        ngx_http_lua_ffi_overdue_turn(&ngx_http_lua_ffi_lines[i]);
        left_out |= ngx_http_lua_ffi_lines[i].left_out;
    }

    ngx_http_lua_ffi_overdue_join();

    return left_out || ngx_http_lua_ffi_shown.rt != NULL;
}
