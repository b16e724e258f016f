#include "ngx_http_lua_ffi_overdue.h"

#include "ffi_thread.h"
#include "ngx_http_lua_ffi_name.h"


/* Lines a second: a runtime that hangs has all its calls time out. */
#define NGX_HTTP_LUA_FFI_OVERDUE_LINES   10

/* What is shown of a method's name. */
#define NGX_HTTP_LUA_FFI_OVERDUE_METHOD  128


typedef struct {
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
static ngx_uint_t ngx_http_lua_ffi_overdue_may_log(void);
static void ngx_http_lua_ffi_overdue_turn(void);
static void ngx_http_lua_ffi_overdue_show(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task);
static void *ngx_http_lua_ffi_overdue_thread(void *data);
static void ngx_http_lua_ffi_overdue_join(void);


static ngx_http_lua_ffi_lines_t  ngx_http_lua_ffi_lines;
static ngx_http_lua_ffi_shown_t  ngx_http_lua_ffi_shown;


void
ngx_http_lua_ffi_overdue_call(ffi_task_t *task)
{
    ngx_uint_t                   state;
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ffi_queue_data(task->queue);
    rt->timeouts++;

    if (!ngx_http_lua_ffi_overdue_may_log()) {
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
    size_t       len;
    u_char       method[NGX_HTTP_LUA_FFI_OVERDUE_METHOD];
    const char  *id, *what;

    len = ngx_min(task->method_len, sizeof(method));
    ngx_memcpy(method, task->request - task->method_len - 1, len);
    ngx_http_lua_ffi_name_printable(method, len);

    id = task->id_len ? (const char *) task->id : "";

    what = state == FFI_TASK_TAKEN ? "still running"
           : state == FFI_TASK_QUEUED ? "never polled"
           : "answered too late";

    ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\"%s%s%s: call of \"%*s\" timed out after "
                  "%L ms, %s; timeouts so far: %ui",
                  ffi_queue_name(rt->queue), *id ? ", request \"" : "", id,
                  *id ? "\"" : "", len, method, task->timeout, what,
                  rt->timeouts);
}


static ngx_uint_t
ngx_http_lua_ffi_overdue_may_log(void)
{
    ngx_http_lua_ffi_overdue_turn();

    if (ngx_http_lua_ffi_lines.lines == NGX_HTTP_LUA_FFI_OVERDUE_LINES) {
        ngx_http_lua_ffi_lines.left_out++;
        return 0;
    }

    ngx_http_lua_ffi_lines.lines++;

    return 1;
}


/* A new second begins. */
static void
ngx_http_lua_ffi_overdue_turn(void)
{
    ngx_http_lua_ffi_lines_t  *lines;

    lines = &ngx_http_lua_ffi_lines;

    if (lines->second == ngx_time()) {
        return;
    }

    if (lines->left_out) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ffi: %ui more calls timed out within a second",
                      lines->left_out);
    }

    lines->second = ngx_time();
    lines->lines = 0;
    lines->left_out = 0;
}


/* One at a time: a library that hangs in it costs one thread. */
static void
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
    ngx_http_lua_ffi_overdue_turn();
    ngx_http_lua_ffi_overdue_join();

    return ngx_http_lua_ffi_lines.left_out || ngx_http_lua_ffi_shown.rt != NULL;
}
