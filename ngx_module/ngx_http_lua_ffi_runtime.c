#include "ngx_http_lua_ffi_runtime.h"

#include "ffi_log.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_child.h"
#include "ngx_http_lua_ffi_notify.h"

#include <stdlib.h>


/*
 * How many ticks a runtime must be seen without a live poller before it is
 * taken for dead: a library may replace its threads.
 */
#define NGX_HTTP_LUA_FFI_DEAD_TICKS  3


#define NGX_HTTP_LUA_FFI_SHUTDOWN    "shutting down"
#define NGX_HTTP_LUA_FFI_DIED        "the runtime died: its threads have "    \
                                     "ended; load it again"


/* The one load that is waited for without yielding. */
typedef struct {
    ngx_http_lua_ffi_runtime_t     *rt;          /* NULL: it is over */
    ngx_int_t                       rc;
    u_char                         *err;
    size_t                          len;
} ngx_http_lua_ffi_sync_t;


static void ngx_http_lua_ffi_runtime_spell(ngx_str_t *lib,
    ngx_http_lua_ffi_opts_t *opts);
static ngx_int_t ngx_http_lua_ffi_runtime_key(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, ngx_str_t *key);
static ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_runtime_create(
    ngx_str_t *lib, ngx_str_t *cfg, ngx_str_t *key,
    ngx_http_lua_ffi_opts_t *opts);
static void ngx_http_lua_ffi_runtime_name(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, ngx_str_t *name);
static ngx_uint_t ngx_http_lua_ffi_runtime_is_loader(ngx_str_t *lib);
static void ngx_http_lua_ffi_runtime_printable(u_char *p, size_t len);
static ngx_int_t ngx_http_lua_ffi_runtime_start(
    ngx_http_lua_ffi_runtime_t *rt, ngx_str_t *lib, ngx_str_t *cfg);
static void ngx_http_lua_ffi_runtime_loaded(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);
static void ngx_http_lua_ffi_runtime_close(ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_settle(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);
static void ngx_http_lua_ffi_runtime_end(ngx_http_lua_ffi_runtime_t *rt,
    ngx_uint_t fini);
static void ngx_http_lua_ffi_runtime_say(ngx_http_lua_ffi_runtime_t *rt,
    ngx_uint_t level, const char **text);
static void ngx_http_lua_ffi_runtime_gone(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_free_op(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_runtime_abandon(ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_unregister(
    ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_destroy(ngx_http_lua_ffi_runtime_t *rt);
static ngx_uint_t ngx_http_lua_ffi_runtime_drained(
    ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_check_load(
    ngx_http_lua_ffi_runtime_t *rt);
static ngx_uint_t ngx_http_lua_ffi_runtime_join(
    ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_check_pollers(
    ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_runtime_check_drain(
    ngx_http_lua_ffi_runtime_t *rt);
static ngx_uint_t ngx_http_lua_ffi_runtime_knows(ngx_queue_t *list, int tid);
static ngx_uint_t ngx_http_lua_ffi_runtime_strangers(void);


static ngx_rbtree_t       ngx_http_lua_ffi_registry;
static ngx_rbtree_node_t  ngx_http_lua_ffi_sentinel;

/* each runtime is in one of the two; those that end are in the second */
static ngx_queue_t        ngx_http_lua_ffi_runtimes;
static ngx_queue_t        ngx_http_lua_ffi_draining;

/* pushed to, not yet woken */
static ngx_queue_t        ngx_http_lua_ffi_dirty;

static ngx_http_lua_ffi_sync_t  ngx_http_lua_ffi_sync;

static ngx_uint_t         ngx_http_lua_ffi_ending;


ngx_int_t
ngx_http_lua_ffi_runtime_init(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_http_lua_ffi_registry, &ngx_http_lua_ffi_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_http_lua_ffi_runtimes);
    ngx_queue_init(&ngx_http_lua_ffi_draining);
    ngx_queue_init(&ngx_http_lua_ffi_dirty);

    return NGX_OK;
}


/* One spelling for all: "libx.so" is "x". */
static void
ngx_http_lua_ffi_runtime_spell(ngx_str_t *lib, ngx_http_lua_ffi_opts_t *opts)
{
    opts->fresh = (lib->data[lib->len - 1] == '?');
    lib->len -= opts->fresh;

    /* what else ends in ".so" is a file's name as it is */
    if (lib->len > 6
        && ngx_strncmp(lib->data, "lib", 3) == 0
        && ngx_strncmp(lib->data + lib->len - 3, ".so", 3) == 0
        && ngx_strlchr(lib->data, lib->data + lib->len, '/') == NULL
        && ngx_strncmp(lib->data + lib->len - 6, ".so", 3) != 0)
    {
        lib->data += 3;
        lib->len -= 6;
    }
}


/* The parts are length-prefixed, so that no two pairs have one key. */
static ngx_int_t
ngx_http_lua_ffi_runtime_key(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, ngx_str_t *key)
{
    u_char  *p;

    key->data = ngx_alloc(NGX_SIZE_T_LEN + 3 + lib->len + cfg->len,
                          ngx_cycle->log);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(key->data, "%uz:%V%s%c", lib->len, lib,
                    opts->fresh ? "?" : "", cfg->data == NULL ? '-' : '+');
    p = ngx_cpymem(p, cfg->data, cfg->len);

    key->len = p - key->data;

    return NGX_OK;
}


/*
 * A loader's "<module>,<function>" tells its runtimes apart; what else is in
 * a configuration may be secret.
 */
static void
ngx_http_lua_ffi_runtime_name(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, ngx_str_t *name)
{
    size_t      len;
    ngx_uint_t  commas;

    len = 0;

    if (ngx_http_lua_ffi_runtime_is_loader(lib)) {
        for (commas = 0; len < cfg->len; len++) {
            if (cfg->data[len] == ',' && ++commas == 2) {
                break;
            }
        }
    }

    name->len = ngx_snprintf(name->data, FFI_QUEUE_NAME_MAX - 1, "%V%s%s%*s",
                             lib, opts->fresh ? "?" : "", len ? " " : "", len,
                             cfg->data)
                - name->data;

    ngx_http_lua_ffi_runtime_printable(name->data, name->len);
}


static ngx_uint_t
ngx_http_lua_ffi_runtime_is_loader(ngx_str_t *lib)
{
    u_char  *p;

    for (p = lib->data + lib->len; p > lib->data && p[-1] != '/'; p--) {
        /* void */
    }

    return ngx_strncmp(p, "ffi_", 4) == 0
           || ngx_strncmp(p, "libffi_", 7) == 0
           || ngx_strncmp(p, "resty_ffi_", 10) == 0;
}


/* What comes from others must not make log lines of its own. */
static void
ngx_http_lua_ffi_runtime_printable(u_char *p, size_t len)
{
    for ( /* void */ ; len > 0; p++, len--) {
        if (*p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
}


ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_runtime_load(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_http_lua_ffi_opts_t *opts, const char **err)
{
    uint32_t                     hash;
    ngx_str_t                    key;
    ngx_str_node_t              *node;
    ngx_http_lua_ffi_runtime_t  *rt;

    if (ngx_http_lua_ffi_ending) {
        *err = NGX_HTTP_LUA_FFI_SHUTDOWN;
        return NULL;
    }

    ngx_http_lua_ffi_runtime_spell(lib, opts);

    if (ngx_http_lua_ffi_runtime_key(lib, cfg, opts, &key) != NGX_OK) {
        *err = "no memory";
        return NULL;
    }

    hash = ngx_crc32_long(key.data, key.len);
    node = ngx_str_rbtree_lookup(&ngx_http_lua_ffi_registry, &key, hash);

    if (node != NULL) {
        ngx_free(key.data);
        return (ngx_http_lua_ffi_runtime_t *) node;
    }

    ngx_http_lua_ffi_child_guard();

    rt = ngx_http_lua_ffi_runtime_create(lib, cfg, &key, opts);
    if (rt == NULL) {
        ngx_free(key.data);
        *err = "no memory";
        return NULL;
    }

    rt->node.node.key = hash;
    rt->node.str = key;
    rt->registered = 1;
    ngx_rbtree_insert(&ngx_http_lua_ffi_registry, &rt->node.node);

    if (ngx_http_lua_ffi_runtime_start(rt, lib, cfg) != NGX_OK) {
        ngx_http_lua_ffi_runtime_destroy(rt);
        *err = "no memory";
        return NULL;
    }

    return rt;
}


static ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_runtime_create(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_str_t *key, ngx_http_lua_ffi_opts_t *opts)
{
    u_char                       buf[FFI_QUEUE_NAME_MAX];
    ngx_str_t                    name;
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ngx_calloc(sizeof(ngx_http_lua_ffi_runtime_t), ngx_cycle->log);
    if (rt == NULL) {
        return NULL;
    }

    name.data = buf;
    ngx_http_lua_ffi_runtime_name(lib, cfg, opts, &name);

    rt->queue = ffi_queue_create(rt, (char *) name.data, name.len);
    if (rt->queue == NULL) {
        ngx_free(rt);
        return NULL;
    }

    rt->opts = *opts;
    rt->load_end = ngx_current_msec + opts->load_timeout;
    ffi_task_list_init(&rt->waiters);

    ngx_queue_insert_tail(&ngx_http_lua_ffi_runtimes, &rt->link);

    return rt;
}


static void
ngx_http_lua_ffi_runtime_destroy(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_runtime_unregister(rt);

    if (rt->pushed) {
        ngx_queue_remove(&rt->dirty);
    }

    ffi_queue_destroy(rt->queue);
    ffi_thread_forget(rt->queue);

    ngx_queue_remove(&rt->link);
    ngx_free(rt);
}


static void
ngx_http_lua_ffi_runtime_unregister(ngx_http_lua_ffi_runtime_t *rt)
{
    if (rt->registered) {
        ngx_rbtree_delete(&ngx_http_lua_ffi_registry, &rt->node.node);
        ngx_free(rt->node.str.data);
        rt->registered = 0;
    }
}


static ngx_int_t
ngx_http_lua_ffi_runtime_start(ngx_http_lua_ffi_runtime_t *rt, ngx_str_t *lib,
    ngx_str_t *cfg)
{
    ngx_http_lua_ffi_op_t  *op;

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
    op->fresh = rt->opts.fresh;

    if (ngx_http_lua_ffi_library_load(op, lib) != NGX_OK) {
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

    ngx_http_lua_ffi_runtime_say(rt, NGX_LOG_WARN, &op->warning);
    ngx_http_lua_ffi_runtime_say(rt, NGX_LOG_NOTICE, &op->notice);

    ngx_http_lua_ffi_runtime_settle(rt, NULL);

    if (rt->late) {
        ngx_http_lua_ffi_runtime_unload(rt);
    }
}


static void
ngx_http_lua_ffi_runtime_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error)
{
    u_char   buf[FFI_LOG_LINE_MAX];
    u_char  *last;

    if (!rt->late) {
        last = ngx_snprintf(buf, sizeof(buf), "%s", error);
        ngx_http_lua_ffi_runtime_printable(buf, last - buf);

        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\" failed to load: %*s",
                      ffi_queue_name(rt->queue), (size_t) (last - buf), buf);
    }

    ngx_http_lua_ffi_runtime_unregister(rt);
    ngx_http_lua_ffi_runtime_settle(rt, error);
}


ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_runtime_find(const void *tq)
{
    ffi_queue_t  *queue;

    queue = ffi_queue_lookup(tq);

    return queue != NULL ? ffi_queue_data(queue) : NULL;
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
        return "unloaded";
    }

    if (rt->unanswered >= rt->opts.max_queue) {
        return "queue full";
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
}


void
ngx_http_lua_ffi_runtime_answered(ngx_http_lua_ffi_runtime_t *rt)
{
    rt->unanswered--;
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
        rt->pushed = 0;
    }
}


void
ngx_http_lua_ffi_runtime_unload(ngx_http_lua_ffi_runtime_t *rt)
{
    if (rt->state == NGX_HTTP_LUA_FFI_READY) {
        ngx_http_lua_ffi_runtime_close(rt);
    }
}


static void
ngx_http_lua_ffi_runtime_close(ngx_http_lua_ffi_runtime_t *rt)
{
    rt->state = NGX_HTTP_LUA_FFI_DRAINING;

    ngx_queue_remove(&rt->link);
    ngx_queue_insert_tail(&ngx_http_lua_ffi_draining, &rt->link);

    ngx_http_lua_ffi_runtime_unregister(rt);
    ffi_queue_close(rt->queue);

    ngx_http_lua_ffi_notify_turn();
    ngx_http_lua_ffi_notify_tick();
}


static ngx_uint_t
ngx_http_lua_ffi_runtime_drained(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_thread_census_t  census;

    if (rt->state != NGX_HTTP_LUA_FFI_DRAINING || rt->unanswered) {
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


/* What a load found out of its library, once. */
static void
ngx_http_lua_ffi_runtime_say(ngx_http_lua_ffi_runtime_t *rt, ngx_uint_t level,
    const char **text)
{
    if (*text != NULL) {
        ngx_log_error(level, ngx_cycle->log, 0, "ffi: runtime \"%s\": %s",
                      ffi_queue_name(rt->queue), *text);
        *text = NULL;
    }
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


/* Nobody wants a load any more that may or may not have started. */
static void
ngx_http_lua_ffi_runtime_abandon(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_http_lua_ffi_op_t  *op;

    rt->late = 1;
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


ngx_uint_t
ngx_http_lua_ffi_runtime_tick(void)
{
    ngx_uint_t                   again;
    ngx_queue_t                 *q, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    again = 0;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_runtimes);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_runtimes);
         q = next)
    {
        next = ngx_queue_next(q);
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (rt->state == NGX_HTTP_LUA_FFI_LOADING) {
            ngx_http_lua_ffi_runtime_check_load(rt);
            again = 1;

        } else {
            again |= ngx_http_lua_ffi_runtime_join(rt);
            ngx_http_lua_ffi_runtime_check_pollers(rt);
        }
    }

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = ngx_queue_next(q))
    {
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        ngx_http_lua_ffi_runtime_check_drain(rt);
        again = 1;
    }

    return again;
}


static void
ngx_http_lua_ffi_runtime_check_load(ngx_http_lua_ffi_runtime_t *rt)
{
    u_char  buf[NGX_HTTP_LUA_FFI_ERR_MAX];

    if (rt->late || (ngx_msec_int_t) (ngx_current_msec - rt->load_end) < 0) {
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
ngx_http_lua_ffi_runtime_join(ngx_http_lua_ffi_runtime_t *rt)
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
ngx_http_lua_ffi_runtime_check_pollers(ngx_http_lua_ffi_runtime_t *rt)
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


/* Calls of a runtime without threads are answered by nobody else. */
static void
ngx_http_lua_ffi_runtime_check_drain(ngx_http_lua_ffi_runtime_t *rt)
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
                                  && !ngx_http_lua_ffi_runtime_strangers());
}


static ngx_uint_t
ngx_http_lua_ffi_runtime_knows(ngx_queue_t *list, int tid)
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
 * Whether the process has a thread that no runtime can account for: it may be
 * one that a task was handed to.
 */
static ngx_uint_t
ngx_http_lua_ffi_runtime_strangers(void)
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
                && !ngx_http_lua_ffi_runtime_knows(&ngx_http_lua_ffi_runtimes,
                                                   tid)
                && !ngx_http_lua_ffi_runtime_knows(&ngx_http_lua_ffi_draining,
                                                   tid);
    }

    free(threads);

    return found;
}


void
ngx_http_lua_ffi_runtime_shutdown(void)
{
    ngx_queue_t                 *q, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    ngx_http_lua_ffi_ending = 1;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_runtimes);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_runtimes);
         q = next)
    {
        next = ngx_queue_next(q);
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);

        if (rt->state == NGX_HTTP_LUA_FFI_LOADING && !rt->late) {
            ngx_http_lua_ffi_runtime_unregister(rt);
            ngx_http_lua_ffi_runtime_settle(rt, NGX_HTTP_LUA_FFI_SHUTDOWN);
            ngx_http_lua_ffi_runtime_abandon(rt);
            continue;
        }

        ngx_http_lua_ffi_runtime_unload(rt);
    }

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = ngx_queue_next(q))
    {
        rt = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);
        ngx_http_lua_ffi_call_settle(&rt->waiters, NGX_HTTP_LUA_FFI_SHUTDOWN);
    }

    ngx_http_lua_ffi_call_fail(NGX_HTTP_LUA_FFI_SHUTDOWN);
}


ngx_uint_t
ngx_http_lua_ffi_runtime_any(void)
{
    return !ngx_queue_empty(&ngx_http_lua_ffi_runtimes)
           || !ngx_queue_empty(&ngx_http_lua_ffi_draining);
}
