#include "ngx_http_lua_ffi_watch.h"

#include "ffi_thread.h"
#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_metrics.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_overdue.h"
#include "ngx_http_lua_ffi_reload.h"
#include "ngx_http_lua_ffi_runtime.h"

#include <stdlib.h>


/*
 * How many ticks a runtime must be seen without a live poller before it is
 * taken for dead: a library may replace its threads.
 */
#define NGX_HTTP_LUA_FFI_DEAD_TICKS  3

/*
 * What a tick counts for at most: a process that was stopped for a while, or
 * an event loop held up by Lua, says nothing about threads.
 */
#define NGX_HTTP_LUA_FFI_TICK_MAX_MS  (2 * NGX_HTTP_LUA_FFI_TICK_MS)


static void ngx_http_lua_ffi_watch_load(ngx_http_lua_ffi_runtime_t *rt);
static ngx_uint_t ngx_http_lua_ffi_watch_join(ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_watch_pollers(ngx_http_lua_ffi_runtime_t *rt);
static ngx_msec_t ngx_http_lua_ffi_watch_elapsed(void);
static void ngx_http_lua_ffi_watch_stuck(ngx_http_lua_ffi_runtime_t *rt,
    ngx_msec_t elapsed);
static void ngx_http_lua_ffi_watch_drain(ngx_http_lua_ffi_runtime_t *rt);
static ngx_uint_t ngx_http_lua_ffi_watch_knows(ngx_queue_t *list, int tid);
static ngx_uint_t ngx_http_lua_ffi_watch_strangers(
    ngx_http_lua_ffi_runtime_t *rt);


ngx_uint_t
ngx_http_lua_ffi_watch_tick(void)
{
    ngx_msec_t                   elapsed;
    ngx_uint_t                   again;
    ngx_queue_t                 *q, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    elapsed = ngx_http_lua_ffi_watch_elapsed();
    again = ngx_http_lua_ffi_overdue_tick();

    for (q = ngx_queue_head(&ngx_http_lua_ffi_runtimes);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_runtimes);
         q = next)
    {
        next = ngx_queue_next(q);
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (rt->state == NGX_HTTP_LUA_FFI_LOADING) {
            ngx_http_lua_ffi_watch_load(rt);
            again = 1;

        } else {
            again |= ngx_http_lua_ffi_watch_join(rt);
            ngx_http_lua_ffi_watch_pollers(rt);
            ngx_http_lua_ffi_watch_stuck(rt, elapsed);
        }
    }

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = ngx_queue_next(q))
    {
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        ngx_http_lua_ffi_watch_drain(rt);
        again = 1;
    }

    ngx_http_lua_ffi_metrics_refresh();

    return again;
}


static void
ngx_http_lua_ffi_watch_load(ngx_http_lua_ffi_runtime_t *rt)
{
    u_char  buf[NGX_HTTP_LUA_FFI_ERR_MAX];

    if (rt->entry == NULL
        || (ngx_msec_int_t) (ngx_current_msec - rt->load_end) < 0)
    {
        return;
    }

    *ngx_snprintf(buf, sizeof(buf) - 1,
                  "load timed out after %M ms; if it still ends, the runtime "
                  "is unloaded at once", rt->opts.load_timeout) = '\0';

    ngx_http_lua_ffi_runtime_failed(rt, (char *) buf);
    ngx_http_lua_ffi_runtime_abandon(rt);
}


/* Whether the load's thread, whose stack is held, is still to be joined. */
static ngx_uint_t
ngx_http_lua_ffi_watch_join(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_op_t  *op;

    op = rt->op;

    if (rt->state == NGX_HTTP_LUA_FFI_READY
        && op->started
        && pthread_tryjoin_np(op->thread, NULL) == 0)
    {
        op->started = 0;
    }

    return op->started;
}


static void
ngx_http_lua_ffi_watch_pollers(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_thread_census_t  census;

    if (rt->state != NGX_HTTP_LUA_FFI_READY || rt->unanswered == 0) {
        return;
    }

    ffi_thread_count(rt->queue, &census);

    if (census.polled == 0 || census.pollers) {
        rt->ticks = 0;
        return;
    }

    if (++rt->ticks < NGX_HTTP_LUA_FFI_DEAD_TICKS) {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\" died: all threads that polled it have "
                  "ended, %ui calls are unanswered",
                  ffi_queue_name(rt->queue), rt->unanswered);

    rt->dead = 1;
    ngx_http_lua_ffi_runtime_close(rt);
}


static ngx_msec_t
ngx_http_lua_ffi_watch_elapsed(void)
{
    ngx_msec_t         elapsed;
    static ngx_msec_t  last;

    elapsed = ngx_current_msec - last;
    last = ngx_current_msec;

    return ngx_min(elapsed, NGX_HTTP_LUA_FFI_TICK_MAX_MS);
}


/* Whether calls wait, and how long nobody has polled one. */
static void
ngx_http_lua_ffi_watch_stuck(ngx_http_lua_ffi_runtime_t *rt,
    ngx_msec_t elapsed)
{
    ngx_uint_t  polls;

    if (rt->state != NGX_HTTP_LUA_FFI_READY) {
        return;
    }

    polls = ffi_queue_polls(rt->queue);

    if (polls != rt->polls || !ffi_queue_waiting(rt->queue)) {
        rt->polls = polls;
        rt->unpolled = 0;

        if (rt->stuck) {
            rt->stuck = 0;
            ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_READY);
        }

        return;
    }

    rt->unpolled += elapsed;

    if (rt->unpolled < rt->opts.stuck_after) {
        return;
    }

    if (!rt->stuck) {
        rt->stuck = 1;
        ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_STUCK);
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\" is stuck: no thread has polled for "
                      "%M ms, %ui calls wait",
                      ffi_queue_name(rt->queue), rt->unpolled,
                      ngx_http_lua_ffi_call_unpolled(rt));
    }

    /* should this fail, it is tried again after as long */
    rt->unpolled = 0;

    if (rt->opts.replace_stuck) {
        ngx_http_lua_ffi_reload_recycle(rt->entry, "it is stuck");
    }
}


/* Calls of a runtime without threads are answered by nobody else. */
static void
ngx_http_lua_ffi_watch_drain(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_thread_census_t  census;

    if (rt->state != NGX_HTTP_LUA_FFI_DRAINING || rt->unanswered == 0) {
        return;
    }

    ffi_thread_count(rt->queue, &census);

    if (census.pollers
        || (census.polled == 0 && ngx_http_lua_ffi_call_waited(rt)))
    {
        return;
    }

    ngx_http_lua_ffi_call_reclaim(rt, NGX_HTTP_LUA_FFI_DIED,
                                  census.polled
                                  && census.alive == 0
                                  && census.untracked == 0
                                  && !ngx_http_lua_ffi_watch_strangers(rt));
}


static ngx_uint_t
ngx_http_lua_ffi_watch_knows(ngx_queue_t *list, int tid)
{
    ngx_queue_t                 *q;
    ngx_http_lua_ffi_runtime_t  *rt;

    for (q = ngx_queue_head(list);
         q != ngx_queue_sentinel(list);
         q = ngx_queue_next(q))
    {
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (ffi_thread_seen(rt->queue, tid)) {
            return 1;
        }
    }

    return 0;
}


/*
 * Whether the process has a thread that no runtime can account for, nor its
 * name: it may be one that a task was handed to.
 */
static ngx_uint_t
ngx_http_lua_ffi_watch_strangers(ngx_http_lua_ffi_runtime_t *rt)
{
    pid_t                   tid;
    size_t                  i;
    ngx_uint_t              found;
    ffi_process_threads_t  *threads;

    threads = ffi_process_threads();
    if (threads == NULL) {
        return 1;
    }

    found = 0;

    for (i = 0; i < threads->n && !found; i++) {
        tid = threads->tids[i];

        found = tid != ngx_pid
                && !ngx_http_lua_ffi_watch_knows(&ngx_http_lua_ffi_runtimes,
                                                   tid)
                && !ngx_http_lua_ffi_watch_knows(&ngx_http_lua_ffi_draining,
                                                   tid)
                && ffi_thread_may_belong(rt->queue, tid);
    }

    free(threads);

    return found;
}
