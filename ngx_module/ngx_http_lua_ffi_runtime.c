#include "ngx_http_lua_ffi_runtime.h"

#include "ffi_log.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_child.h"
#include "ngx_http_lua_ffi_metrics.h"
#include "ngx_http_lua_ffi_name.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_overdue.h"
#include "ngx_http_lua_ffi_recycle.h"
#include "ngx_http_lua_ffi_reload.h"
#include "ngx_http_lua_ffi_watch.h"

#include <stdlib.h>


/* The one load that is waited for without yielding. */
typedef struct {
    ngx_http_lua_ffi_runtime_t     *rt;          /* NULL: it is over */
    ngx_int_t                       rc;
    u_char                         *err;
    size_t                          len;
} ngx_http_lua_ffi_sync_t;


static void ngx_http_lua_ffi_runtime_loaded(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_lose(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);
static void ngx_http_lua_ffi_runtime_settle(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);
static void ngx_http_lua_ffi_runtime_end(ngx_http_lua_ffi_runtime_t *rt,
    ngx_uint_t fini);
static void ngx_http_lua_ffi_runtime_gone(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_free_op(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_cancel(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);
static ngx_uint_t ngx_http_lua_ffi_runtime_drained(
    ngx_http_lua_ffi_runtime_t *rt);


ngx_queue_t  ngx_http_lua_ffi_runtimes;
ngx_queue_t  ngx_http_lua_ffi_draining;

/* pushed to, not yet woken */
static ngx_queue_t              ngx_http_lua_ffi_dirty;

static ngx_http_lua_ffi_sync_t  ngx_http_lua_ffi_sync;

static ngx_uint_t               ngx_http_lua_ffi_ending;


void
ngx_http_lua_ffi_runtime_init(void)
{
    ngx_http_lua_ffi_registry_init();

    ngx_queue_init(&ngx_http_lua_ffi_runtimes);
    ngx_queue_init(&ngx_http_lua_ffi_draining);
    ngx_queue_init(&ngx_http_lua_ffi_dirty);
}


ngx_http_lua_ffi_entry_t *
ngx_http_lua_ffi_runtime_load(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, const char **err)
{
    ngx_http_lua_ffi_entry_t    *entry;
    ngx_http_lua_ffi_runtime_t  *rt;

    if (ngx_http_lua_ffi_ending) {
        *err = NGX_HTTP_LUA_FFI_SHUTDOWN;
        return NULL;
    }

    *err = "no memory";

    entry = ngx_http_lua_ffi_registry_get(lib, cfg);

    if (entry == NULL || entry->users) {
        return entry;
    }

    ngx_http_lua_ffi_child_guard();

    ngx_http_lua_ffi_entry_hold(entry);

    rt = ngx_http_lua_ffi_runtime_create(entry, opts);
    entry->rt = rt;

    if (rt != NULL) {
        ngx_http_lua_ffi_metrics_state(rt, NGX_HTTP_LUA_FFI_STATE_LOADING);
    }

    if (rt != NULL && ngx_http_lua_ffi_runtime_start(rt) != NGX_OK) {
        ngx_http_lua_ffi_runtime_destroy(rt);
        rt = NULL;
    }

    /* without a runtime there is no entry any more */
    ngx_http_lua_ffi_entry_release(entry);

    return rt != NULL ? entry : NULL;
}


ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_runtime_create(ngx_http_lua_ffi_entry_t *entry,
    ngx_http_lua_ffi_opts_t *opts)
{
    u_char                       buf[FFI_QUEUE_NAME_MAX];
    ngx_str_t                    name;
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ngx_calloc(sizeof(ngx_http_lua_ffi_runtime_t), ngx_cycle->log);
    if (rt == NULL) {
        return NULL;
    }

    name.data = buf;
    ngx_http_lua_ffi_name_show(&entry->lib, &entry->cfg, entry->fresh, &name,
                               sizeof(buf) - 1);

    rt->queue = ffi_queue_create(rt, (char *) name.data, name.len);
    if (rt->queue == NULL) {
        ngx_free(rt);
        return NULL;
    }

    rt->entry = entry;
    ngx_http_lua_ffi_entry_hold(entry);

    rt->opts = *opts;
    rt->load_end = ngx_current_msec + opts->load_timeout;
    ngx_http_lua_ffi_waiters_init(&rt->waiters);

    ngx_queue_insert_tail(&ngx_http_lua_ffi_runtimes, &rt->link);

    ngx_http_lua_ffi_metrics_join(rt);

    return rt;
}


void
ngx_http_lua_ffi_runtime_destroy(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_runtime_leave(rt);
    ngx_http_lua_ffi_metrics_leave(rt);

    if (rt->pushed) {
        ngx_queue_remove(&rt->dirty);
    }

    ffi_queue_destroy(rt->queue);
    ffi_thread_forget(rt->queue);

    ngx_queue_remove(&rt->link);
    ngx_free(rt);
}


void
ngx_http_lua_ffi_runtime_leave(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_entry_t  *entry;

    entry = rt->entry;
    if (entry == NULL) {
        return;
    }

    rt->entry = NULL;

    if (entry->rt == rt) {
        entry->rt = NULL;
    }

    if (entry->next == rt) {
        entry->next = NULL;
    }

    ngx_http_lua_ffi_entry_release(entry);
}


ngx_int_t
ngx_http_lua_ffi_runtime_start(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_str_t              *cfg;
    ngx_http_lua_ffi_op_t  *op;

    cfg = &rt->entry->cfg;

    op = ngx_calloc(sizeof(ngx_http_lua_ffi_op_t) + cfg->len + 1,
                    ngx_cycle->log);
    if (op == NULL) {
        return NGX_ERROR;
    }

    if (cfg->data != NULL) {
        op->cfg = (char *) (op + 1);
        ngx_memcpy(op->cfg, cfg->data, cfg->len);
    }

    rt->op = op;

    op->done = ngx_http_lua_ffi_runtime_loaded;
    op->data = rt;
    op->queue = rt->queue;
    op->unpin = rt->opts.unpin;
    op->global = rt->opts.global;
    op->fresh = rt->entry->fresh || ffi_queue_is_reload(rt->queue);

    if (ngx_http_lua_ffi_library_load(op, &rt->entry->lib) != NGX_OK) {
        ngx_free(op);
        return NGX_ERROR;
    }

    ngx_http_lua_ffi_notify_tick();

    return NGX_OK;
}


static void
ngx_http_lua_ffi_runtime_loaded(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = op->data;

    if (op->failed) {
        ngx_http_lua_ffi_runtime_failed(rt, op->error != NULL ? op->error
                                                              : "no memory");
        free(op->error);
        op->error = NULL;

        ngx_http_lua_ffi_runtime_close(rt);
        ngx_http_lua_ffi_runtime_end(rt, 0);
        return;
    }

    rt->state = NGX_HTTP_LUA_FFI_READY;

    if (op->notice != NULL) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\": %s", ffi_queue_name(rt->queue),
                      op->notice);
        op->notice = NULL;
    }

    ngx_http_lua_ffi_runtime_settle(rt, NULL);

    if (rt->entry == NULL) {
        /* nobody waits for it any more */
        ngx_http_lua_ffi_runtime_close(rt);
        return;
    }

    ngx_http_lua_ffi_metrics_loaded(rt);
    ngx_http_lua_ffi_recycle_start(rt);

    if (rt->entry->next == rt) {
        ngx_http_lua_ffi_reload_swap(rt->entry);

    } else {
        ngx_http_lua_ffi_reload(rt->entry);
    }
}


void
ngx_http_lua_ffi_runtime_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    u_char   buf[FFI_LOG_LINE_MAX];
    u_char  *last;

    if (rt->entry == NULL) {
        return;
    }

    last = ngx_snprintf(buf, sizeof(buf), "%s", error);
    ngx_http_lua_ffi_name_printable(buf, last - buf);

    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\" failed to %s: %*s",
                  ffi_queue_name(rt->queue),
                  rt->entry->next == rt ? "reload, what it ran goes on"
                                        : "load",
                  (size_t) (last - buf), buf);

    ngx_http_lua_ffi_metrics_failed(rt, error);
    ngx_http_lua_ffi_runtime_lose(rt, error);
}


/* A load comes to nothing. */
static void
ngx_http_lua_ffi_runtime_lose(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    ngx_http_lua_ffi_entry_t  *entry;

    entry = rt->entry;

    ngx_http_lua_ffi_entry_hold(entry);

    ngx_http_lua_ffi_runtime_leave(rt);
    ngx_http_lua_ffi_runtime_settle(rt, error);
    ngx_http_lua_ffi_reload(entry);

    ngx_http_lua_ffi_entry_release(entry);
}


ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_runtime_current(ngx_http_lua_ffi_entry_t *entry)
{
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = entry->rt;

    if (rt != NULL
        && (rt->state == NGX_HTTP_LUA_FFI_LOADING
            || rt->state == NGX_HTTP_LUA_FFI_READY))
    {
        return rt;
    }

    return entry->next;
}


ngx_uint_t
ngx_http_lua_ffi_runtime_ending(void)
{
    return ngx_http_lua_ffi_ending;
}


const char *
ngx_http_lua_ffi_runtime_refusal(ngx_http_lua_ffi_runtime_t *rt)
{
    if (ngx_http_lua_ffi_ending) {
        return NGX_HTTP_LUA_FFI_SHUTDOWN;
    }

    if (rt != NULL && rt->dead) {
        return NGX_HTTP_LUA_FFI_DIED;
    }

    if (rt == NULL || rt->state != NGX_HTTP_LUA_FFI_READY) {
        return NGX_HTTP_LUA_FFI_UNLOADED;
    }

    if (rt->unanswered >= rt->opts.max_queue) {
        return NGX_HTTP_LUA_FFI_FULL;
    }

    return NULL;
}


void
ngx_http_lua_ffi_runtime_posted(ngx_http_lua_ffi_runtime_t *rt)
{
    rt->unanswered++;

    if (rt->pushed++ == 0) {
        ngx_queue_insert_tail(&ngx_http_lua_ffi_dirty, &rt->dirty);
        ngx_http_lua_ffi_notify_turn();
    }

    if (++rt->calls == rt->calls_end) {
        ngx_http_lua_ffi_recycle_spent(rt);
    }
}


void
ngx_http_lua_ffi_runtime_answered(ngx_http_lua_ffi_runtime_t *rt)
{
    if (--rt->unanswered == 0) {
        ngx_http_lua_ffi_metrics_depth(rt);
    }
}


void
ngx_http_lua_ffi_runtime_wake(void)
{
    ngx_queue_t                 *q;
    ngx_http_lua_ffi_runtime_t  *rt;

    while (!ngx_queue_empty(&ngx_http_lua_ffi_dirty)) {
        q = ngx_queue_head(&ngx_http_lua_ffi_dirty);
        ngx_queue_remove(q);

        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, dirty);
        ffi_queue_wake(rt->queue, rt->pushed);

        ngx_http_lua_ffi_metrics_depth(rt);
        rt->pushed = 0;
    }
}


void
ngx_http_lua_ffi_runtime_unload(ngx_http_lua_ffi_entry_t *entry)
{
    ngx_http_lua_ffi_registry_remove(entry);

    if (entry->next != NULL) {
        ngx_http_lua_ffi_runtime_cancel(entry->next, NGX_HTTP_LUA_FFI_UNLOADED);
    }

    if (entry->rt == NULL) {
        return;
    }

    if (entry->rt->state == NGX_HTTP_LUA_FFI_READY) {
        ngx_http_lua_ffi_runtime_close(entry->rt);

    } else if (entry->rt->state == NGX_HTTP_LUA_FFI_LOADING) {
        ngx_http_lua_ffi_runtime_cancel(entry->rt, NGX_HTTP_LUA_FFI_UNLOADED);
    }
}


void
ngx_http_lua_ffi_runtime_close(ngx_http_lua_ffi_runtime_t *rt)
{
    rt->state = NGX_HTTP_LUA_FFI_DRAINING;
    ngx_http_lua_ffi_metrics_state(rt, rt->dead
                                       ? NGX_HTTP_LUA_FFI_STATE_DEAD
                                       : NGX_HTTP_LUA_FFI_STATE_DRAINING);

    ngx_http_lua_ffi_recycle_stop(rt);

    ngx_queue_remove(&rt->link);
    ngx_queue_insert_tail(&ngx_http_lua_ffi_draining, &rt->link);

    if (rt->entry != NULL && rt->entry->next == NULL) {
        ngx_http_lua_ffi_registry_remove(rt->entry);
    }

    ffi_queue_close(rt->queue);

    ngx_http_lua_ffi_notify_turn();
    ngx_http_lua_ffi_notify_tick();
}


static ngx_uint_t
ngx_http_lua_ffi_runtime_drained(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_thread_census_t  census;

    if (rt->state != NGX_HTTP_LUA_FFI_DRAINING
        || rt->unanswered
        || ngx_http_lua_ffi_overdue_runs(rt))
    {
        return 0;
    }

    ffi_thread_count(rt->queue, &census);

    if (census.told && rt->op->image->resident) {
        /* threads that it polled on before are not going to ask again */
        return 1;
    }

    /* who asked for the descriptor is going to read it, and then to poll */
    return census.pollers == 0
           && (census.polled || census.told || !ffi_queue_has_fd(rt->queue));
}


void
ngx_http_lua_ffi_runtime_advance(void)
{
    ngx_queue_t                 *q, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = next)
    {
        next = ngx_queue_next(q);
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (ngx_http_lua_ffi_runtime_drained(rt)) {
            ngx_http_lua_ffi_runtime_end(rt, 1);
        }
    }
}


/* The load's operation becomes the one that undoes it. */
static void
ngx_http_lua_ffi_runtime_end(ngx_http_lua_ffi_runtime_t *rt, ngx_uint_t fini)
{
    ngx_http_lua_ffi_op_t  *op;

    rt->state = NGX_HTTP_LUA_FFI_UNLOADING;

    op = rt->op;

    op->done = ngx_http_lua_ffi_runtime_gone;
    op->load_thread = op->thread;
    op->joins = op->started;
    op->started = 0;
    op->fini = fini;

    ngx_http_lua_ffi_library_unload(op);
}


static void
ngx_http_lua_ffi_runtime_gone(ngx_http_lua_ffi_op_t *op)
{
    const char                  *why;
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = op->data;

    if (op->started) {
        (void) pthread_detach(op->thread);

    } else if (op->joins) {
        (void) pthread_detach(op->load_thread);
    }

    why = op->error != NULL ? op->error : op->notice;

    if (why != NULL) {
        ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\" is unloaded, its library is not: "
                      "%s", ffi_queue_name(rt->queue), why);
    }

    ngx_http_lua_ffi_metrics_threads(rt);
    ngx_http_lua_ffi_call_settle(&rt->waiters, NULL);
    ngx_http_lua_ffi_runtime_destroy(rt);

    ngx_http_lua_ffi_runtime_free_op(op);
}


static void
ngx_http_lua_ffi_runtime_free_op(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_library_release(op);

    free(op->error);
    ngx_free(op);
}


/* Nobody wants a load any more. */
static void
ngx_http_lua_ffi_runtime_cancel(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    ngx_http_lua_ffi_runtime_lose(rt, error);
    ngx_http_lua_ffi_runtime_abandon(rt);
}


void
ngx_http_lua_ffi_runtime_abandon(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_op_t  *op;

    op = rt->op;

    if (ngx_http_lua_ffi_library_cancel(op) == NGX_OK) {
        ngx_http_lua_ffi_runtime_destroy(rt);
        ngx_http_lua_ffi_runtime_free_op(op);
        return;
    }

    /* an init that polls, of all things, gets out */
    ffi_queue_close(rt->queue);
}


ngx_int_t
ngx_http_lua_ffi_runtime_await(ngx_http_lua_ffi_runtime_t *rt, u_char *err,
    size_t len)
{
    ngx_http_lua_ffi_sync_t  *sync;

    if (rt->state != NGX_HTTP_LUA_FFI_LOADING) {
        return NGX_OK;
    }

    sync = &ngx_http_lua_ffi_sync;

    sync->rt = rt;
    sync->err = err;
    sync->len = len;

    while (sync->rt != NULL) {
        ngx_http_lua_ffi_notify_wait(NGX_HTTP_LUA_FFI_TICK_MS);

        if (ngx_terminate) {
            ngx_http_lua_ffi_runtime_shutdown();
        }
    }

    return sync->rc;
}


/* Tells all that wait for a load how it ended. */
static void
ngx_http_lua_ffi_runtime_settle(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    ngx_http_lua_ffi_sync_t  *sync;

    ngx_http_lua_ffi_call_settle(&rt->waiters, error);

    sync = &ngx_http_lua_ffi_sync;

    if (sync->rt != rt) {
        return;
    }

    sync->rt = NULL;
    sync->rc = NGX_OK;

    if (error != NULL) {
        sync->rc = NGX_ERROR;
        ngx_cpystrn(sync->err, (u_char *) error, sync->len);
    }
}


void
ngx_http_lua_ffi_runtime_shutdown(void)
{
    ngx_queue_t                 *q, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    ngx_http_lua_ffi_ending = 1;

    /* before the queues end: who asked to be told of its calls may leave then */
    ngx_http_lua_ffi_call_fail(NGX_HTTP_LUA_FFI_SHUTDOWN);

    for (q = ngx_queue_head(&ngx_http_lua_ffi_runtimes);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_runtimes);
         q = next)
    {
        next = ngx_queue_next(q);
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (rt->state == NGX_HTTP_LUA_FFI_LOADING && rt->entry != NULL) {
            ngx_http_lua_ffi_runtime_cancel(rt, NGX_HTTP_LUA_FFI_SHUTDOWN);

        } else if (rt->state == NGX_HTTP_LUA_FFI_READY) {
            ngx_http_lua_ffi_runtime_close(rt);
        }
    }

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = ngx_queue_next(q))
    {
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);
        ngx_http_lua_ffi_call_settle(&rt->waiters, NGX_HTTP_LUA_FFI_SHUTDOWN);
    }
}


ngx_uint_t
ngx_http_lua_ffi_runtime_any(void)
{
    return !ngx_queue_empty(&ngx_http_lua_ffi_runtimes)
           || !ngx_queue_empty(&ngx_http_lua_ffi_draining);
}
