#include "ngx_http_lua_ffi_job.h"

#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_name.h"
#include "ngx_http_lua_ffi_reload.h"
#include "ngx_http_lua_ffi_sent.h"


typedef struct {
    ngx_uint_t                   number;         /* the order's */
    ngx_uint_t                   pending;        /* reloads, and the taking */
} ngx_http_lua_ffi_job_t;


/* One runtime's reload. */
typedef struct {
    ngx_http_lua_ffi_watcher_t   watcher;
    ngx_http_lua_ffi_job_t      *job;
    u_char                       name[FFI_QUEUE_NAME_MAX];
} ngx_http_lua_ffi_item_t;


static void ngx_http_lua_ffi_job_rung(void);
static void ngx_http_lua_ffi_job_run(ngx_http_lua_ffi_order_t *order);
static ngx_uint_t ngx_http_lua_ffi_job_matches(
    ngx_http_lua_ffi_order_t *order, ngx_http_lua_ffi_entry_t *entry);
static void ngx_http_lua_ffi_job_reload(ngx_http_lua_ffi_job_t *job,
    ngx_http_lua_ffi_entry_t *entry);
static void ngx_http_lua_ffi_job_reloaded(
    ngx_http_lua_ffi_watcher_t *watcher, const char *error);
static void ngx_http_lua_ffi_job_release(ngx_http_lua_ffi_job_t *job);


ngx_int_t
ngx_http_lua_ffi_job_init(ngx_cycle_t *cycle)
{
    return ngx_http_lua_ffi_workers_join(cycle,
                                         &ngx_http_lua_ffi_conf()->workers,
                                         ngx_http_lua_ffi_job_rung);
}


/* Somebody has sent an order, or is done with one of ours. */
static void
ngx_http_lua_ffi_job_rung(void)
{
    ngx_http_lua_ffi_order_t  *order;

    for ( ;; ) {
        order = ngx_http_lua_ffi_order_take();

        if (order == NULL) {
            break;
        }

        ngx_http_lua_ffi_job_run(order);
        ngx_free(order);
    }

    ngx_http_lua_ffi_sent_answered();
}


static void
ngx_http_lua_ffi_job_run(ngx_http_lua_ffi_order_t *order)
{
    ngx_http_lua_ffi_job_t    *job;
    ngx_http_lua_ffi_entry_t  *entry, *next;

    job = ngx_alloc(sizeof(ngx_http_lua_ffi_job_t), ngx_cycle->log);
    if (job == NULL) {
        ngx_http_lua_ffi_order_report(order->number, (u_char *) "?",
                                      "no memory");
        ngx_http_lua_ffi_order_finish(order->number);
        return;
    }

    job->number = order->number;
    job->pending = 1;

    for (entry = ngx_http_lua_ffi_registry_next(NULL);
         entry != NULL;
         entry = next)
    {
        next = ngx_http_lua_ffi_registry_next(entry);

        if (ngx_http_lua_ffi_job_matches(order, entry)) {
            ngx_http_lua_ffi_job_reload(job, entry);
        }
    }

    ngx_http_lua_ffi_job_release(job);
}


static ngx_uint_t
ngx_http_lua_ffi_job_matches(ngx_http_lua_ffi_order_t *order,
    ngx_http_lua_ffi_entry_t *entry)
{
    return entry->lib.len == order->lib.len
           && ngx_memcmp(entry->lib.data, order->lib.data, order->lib.len) == 0
           && (order->cfg.data == NULL
               || (entry->cfg.data != NULL
                   && entry->cfg.len == order->cfg.len
                   && ngx_memcmp(entry->cfg.data, order->cfg.data,
                                 order->cfg.len)
                      == 0));
}


static void
ngx_http_lua_ffi_job_reload(ngx_http_lua_ffi_job_t *job,
    ngx_http_lua_ffi_entry_t *entry)
{
    ngx_str_t                 name;
    const char               *err;
    ngx_http_lua_ffi_item_t  *item;

    item = ngx_alloc(sizeof(ngx_http_lua_ffi_item_t), ngx_cycle->log);
    if (item == NULL) {
        ngx_http_lua_ffi_order_report(job->number, (u_char *) "?",
                                      "no memory");
        return;
    }

    name.data = item->name;
    ngx_http_lua_ffi_name_show(&entry->lib, &entry->cfg, entry->fresh, &name,
                               sizeof(item->name) - 1);
    item->name[name.len] = '\0';

    item->job = job;
    item->watcher.done = ngx_http_lua_ffi_job_reloaded;
    job->pending++;

    err = ngx_http_lua_ffi_reload_refusal(entry);

    if (err != NULL) {
        ngx_http_lua_ffi_job_reloaded(&item->watcher, err);
        return;
    }

    ngx_queue_insert_tail(&entry->later.watchers, &item->watcher.link);
    ngx_http_lua_ffi_reload(entry);
}


static void
ngx_http_lua_ffi_job_reloaded(ngx_http_lua_ffi_watcher_t *watcher,
    const char *error)
{
    ngx_http_lua_ffi_item_t  *item = (ngx_http_lua_ffi_item_t *) watcher;

    ngx_http_lua_ffi_order_report(item->job->number, item->name, error);
    ngx_http_lua_ffi_job_release(item->job);

    ngx_free(item);
}


static void
ngx_http_lua_ffi_job_release(ngx_http_lua_ffi_job_t *job)
{
    if (--job->pending == 0) {
        ngx_http_lua_ffi_order_finish(job->number);
        ngx_free(job);
    }
}
