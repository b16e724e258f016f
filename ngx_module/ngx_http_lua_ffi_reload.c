#include "ngx_http_lua_ffi_reload.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_metrics.h"


static ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_reload_start(
    ngx_http_lua_ffi_entry_t *entry, ngx_uint_t reread);
static ngx_uint_t ngx_http_lua_ffi_reload_loads(
    ngx_http_lua_ffi_entry_t *entry);
static ngx_uint_t ngx_http_lua_ffi_reload_runs(
    ngx_http_lua_ffi_entry_t *entry);
static ngx_uint_t ngx_http_lua_ffi_reload_room(
    ngx_http_lua_ffi_runtime_t *rt);


const char *
ngx_http_lua_ffi_reload_refusal(ngx_http_lua_ffi_entry_t *entry)
{
    if (ngx_http_lua_ffi_runtime_ending()) {
        return NGX_HTTP_LUA_FFI_SHUTDOWN;
    }

    if (ngx_http_lua_ffi_reload_loads(entry)
        || ngx_http_lua_ffi_reload_runs(entry))
    {
        return NULL;
    }

    return NGX_HTTP_LUA_FFI_UNLOADED;
}


void
ngx_http_lua_ffi_reload(ngx_http_lua_ffi_entry_t *entry)
{
    const char                  *err;
    ngx_http_lua_ffi_runtime_t  *rt;

    if (ngx_http_lua_ffi_reload_loads(entry)) {
        return;
    }

    err = ngx_http_lua_ffi_reload_refusal(entry);

    if (!ngx_http_lua_ffi_reload_runs(entry)) {
        /* it has died, or was unloaded, while its successor loaded */
        ngx_http_lua_ffi_registry_remove(entry);
    }

    if (ngx_http_lua_ffi_waiters_empty(&entry->later)) {
        return;
    }

    if (err == NULL) {
        err = "no memory";
        rt = ngx_http_lua_ffi_reload_start(entry, 1);

        if (rt != NULL) {
            ngx_http_lua_ffi_waiters_move(&entry->later, &rt->waiters);
            return;
        }
    }

    ngx_http_lua_ffi_call_settle(&entry->later, err);
}


void
ngx_http_lua_ffi_reload_recycle(ngx_http_lua_ffi_entry_t *entry,
    const char *why)
{
    if (entry->next != NULL
        || ngx_http_lua_ffi_runtime_ending()
        || !ngx_http_lua_ffi_reload_runs(entry)
        || !ngx_http_lua_ffi_reload_room(entry->rt))
    {
        return;
    }

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\" is replaced: %s",
                  ffi_queue_name(entry->rt->queue), why);

    if (ngx_http_lua_ffi_reload_start(entry, 0) == NULL) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\" is not replaced: no memory",
                      ffi_queue_name(entry->rt->queue));
    }
}


/* Whether a load is on its way. */
static ngx_uint_t
ngx_http_lua_ffi_reload_loads(ngx_http_lua_ffi_entry_t *entry)
{
    return entry->next != NULL
           || (entry->rt != NULL
               && entry->rt->state == NGX_HTTP_LUA_FFI_LOADING);
}


/* Whether there is a runtime to replace. */
static ngx_uint_t
ngx_http_lua_ffi_reload_runs(ngx_http_lua_ffi_entry_t *entry)
{
    return entry->registered && entry->rt != NULL
           && entry->rt->state == NGX_HTTP_LUA_FFI_READY;
}


/* Whether one more runtime may be left behind; says so when it may not. */
static ngx_uint_t
ngx_http_lua_ffi_reload_room(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_uint_t                   n;
    ngx_queue_t                 *q;
    ngx_http_lua_ffi_runtime_t  *old;

    n = 0;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_draining);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_draining);
         q = ngx_queue_next(q))
    {
        old = ngx_queue_data(q, ngx_http_lua_ffi_runtime_t, link);
        n += old->entry == NULL && old->state == NGX_HTTP_LUA_FFI_DRAINING;
    }

    if (n < NGX_HTTP_LUA_FFI_REPLACED_MAX) {
        rt->kept = 0;
        return 1;
    }

    if (!rt->kept) {
        rt->kept = 1;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\" is not replaced: %ui that were "
                      "have not ended", ffi_queue_name(rt->queue), n);
    }

    return 0;
}


static ngx_http_lua_ffi_runtime_t *
ngx_http_lua_ffi_reload_start(ngx_http_lua_ffi_entry_t *entry,
    ngx_uint_t reread)
{
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ngx_http_lua_ffi_runtime_create(entry, &entry->rt->opts);
    if (rt == NULL) {
        return NULL;
    }

    entry->next = rt;

    if (reread) {
        ffi_queue_set_reload(rt->queue);
    }

    if (ngx_http_lua_ffi_runtime_start(rt) != NGX_OK) {
        ngx_http_lua_ffi_runtime_destroy(rt);
        return NULL;
    }

    return rt;
}


void
ngx_http_lua_ffi_reload_swap(ngx_http_lua_ffi_entry_t *entry)
{
    ngx_http_lua_ffi_runtime_t  *old;

    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "ffi: runtime \"%s\" is reloaded",
                  ffi_queue_name(entry->next->queue));

    old = entry->rt;

    entry->rt = entry->next;
    entry->next = NULL;

    ngx_http_lua_ffi_metrics_replaced(entry->rt);

    if (old != NULL) {
        ngx_http_lua_ffi_runtime_leave(old);
    }

    ngx_http_lua_ffi_reload(entry);

    if (old != NULL && old->state == NGX_HTTP_LUA_FFI_READY) {

        if (old->stuck) {
            ngx_http_lua_ffi_call_move(old, entry->rt);
        }

        ngx_http_lua_ffi_runtime_close(old);
    }
}
