#include "ngx_http_lua_ffi_order.h"

#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_name.h"


/* What is shared of a runtime's error. */
#define NGX_HTTP_LUA_FFI_ORDER_TEXT_MAX  512


static void ngx_http_lua_ffi_order_purge(ngx_http_lua_ffi_shared_t *shared);
static ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_find(
    ngx_http_lua_ffi_shared_t *shared, ngx_uint_t number);


ngx_http_lua_ffi_order_t *
ngx_http_lua_ffi_order_create(ngx_http_lua_ffi_shared_t *shared,
    ngx_str_t *lib, ngx_str_t *cfg)
{
    u_char                    *p;
    ngx_uint_t                 i, n;
    ngx_http_lua_ffi_order_t  *order;

    ngx_http_lua_ffi_order_purge(shared);

    n = ngx_http_lua_ffi_conf()->workers.n;

    order = ngx_http_lua_ffi_workers_alloc(sizeof(ngx_http_lua_ffi_order_t)
                               + n * sizeof(ngx_http_lua_ffi_order_worker_t)
                               + lib->len + cfg->len);
    if (order == NULL) {
        return NULL;
    }

    order->number = ++shared->last;
    order->caller = ngx_pid;
    order->caller_worker = ngx_worker;
    order->n = n;

    p = (u_char *) &order->workers[n];

    order->lib.len = lib->len;
    order->lib.data = p;
    p = ngx_cpymem(p, lib->data, lib->len);

    if (cfg->data != NULL) {
        order->cfg.len = cfg->len;
        order->cfg.data = p;
        ngx_memcpy(p, cfg->data, cfg->len);
    }

    for (i = 0; i < n; i++) {
        if (shared->pids[i]
            && shared->born[i] == shared->born[ngx_worker]
            && ngx_http_lua_ffi_workers_exists(shared->pids[i]))
        {
            order->workers[i].pid = shared->pids[i];
            order->workers[i].state = NGX_HTTP_LUA_FFI_ORDER_SENT;
        }
    }

    ngx_queue_insert_tail(&shared->orders, &order->link);

    return order;
}


void
ngx_http_lua_ffi_order_destroy(ngx_http_lua_ffi_order_t *order)
{
    ngx_uint_t                  i;
    ngx_http_lua_ffi_report_t  *report, *next;

    ngx_queue_remove(&order->link);

    for (i = 0; i < order->n; i++) {
        for (report = order->workers[i].reports; report; report = next) {
            next = report->next;
            ngx_http_lua_ffi_workers_free(report);
        }
    }

    ngx_http_lua_ffi_workers_free(order);
}


/* locked; what callers that were killed have left */
static void
ngx_http_lua_ffi_order_purge(ngx_http_lua_ffi_shared_t *shared)
{
    ngx_queue_t               *q, *next;
    ngx_http_lua_ffi_order_t  *order;

    for (q = ngx_queue_head(&shared->orders);
         q != ngx_queue_sentinel(&shared->orders);
         q = next)
    {
        next = ngx_queue_next(q);
        order = ngx_queue_data(q, ngx_http_lua_ffi_order_t, link);

        if (!ngx_http_lua_ffi_workers_exists(order->caller)) {
            ngx_http_lua_ffi_order_destroy(order);
        }
    }
}


ngx_uint_t
ngx_http_lua_ffi_order_is_over(ngx_http_lua_ffi_shared_t *shared,
    ngx_http_lua_ffi_order_t *order)
{
    ngx_uint_t                        i, over;
    ngx_http_lua_ffi_order_worker_t  *worker;

    over = 1;

    for (i = 0; i < order->n; i++) {
        worker = &order->workers[i];

        if (worker->state != NGX_HTTP_LUA_FFI_ORDER_SENT
            && worker->state != NGX_HTTP_LUA_FFI_ORDER_TAKEN)
        {
            continue;
        }

        if (shared->pids[i] != worker->pid
            || !ngx_http_lua_ffi_workers_exists(worker->pid))
        {
            /* the one that comes in its place starts with fresh code */
            worker->state = NGX_HTTP_LUA_FFI_ORDER_EXITED;
            continue;
        }

        over = 0;
    }

    return over;
}


ngx_http_lua_ffi_order_t *
ngx_http_lua_ffi_order_take(void)
{
    size_t                            size;
    ngx_queue_t                      *q;
    ngx_http_lua_ffi_order_t         *order, *copy;
    ngx_http_lua_ffi_shared_t        *shared;
    ngx_http_lua_ffi_order_worker_t  *me;

    copy = NULL;
    shared = ngx_http_lua_ffi_workers_lock();

    for (q = ngx_queue_head(&shared->orders);
         q != ngx_queue_sentinel(&shared->orders) && copy == NULL;
         q = ngx_queue_next(q))
    {
        order = ngx_queue_data(q, ngx_http_lua_ffi_order_t, link);

        if (order->number == 0 || ngx_worker >= order->n) {
            continue;
        }

        me = &order->workers[ngx_worker];

        if (me->pid != ngx_pid || me->state != NGX_HTTP_LUA_FFI_ORDER_SENT) {
            continue;
        }

        me->state = NGX_HTTP_LUA_FFI_ORDER_TAKEN;

        size = sizeof(ngx_http_lua_ffi_order_t) + order->lib.len
               + order->cfg.len;
        copy = ngx_alloc(size, ngx_cycle->log);

        if (copy == NULL) {
            me->state = NGX_HTTP_LUA_FFI_ORDER_EXITED;
            continue;
        }

        copy->number = order->number;
        copy->lib.len = order->lib.len;
        copy->lib.data = (u_char *) (copy + 1);
        copy->cfg.len = order->cfg.len;
        copy->cfg.data = ngx_cpymem(copy->lib.data, order->lib.data,
                                    order->lib.len);
        if (order->cfg.data != NULL) {
            ngx_memcpy(copy->cfg.data, order->cfg.data, order->cfg.len);

        } else {
            copy->cfg.data = NULL;
        }
    }

    ngx_http_lua_ffi_workers_unlock();

    return copy;
}


void
ngx_http_lua_ffi_order_report(ngx_uint_t number, u_char *name,
    const char *error)
{
    size_t                            name_len, error_len;
    ngx_http_lua_ffi_order_t         *order;
    ngx_http_lua_ffi_shared_t        *shared;
    ngx_http_lua_ffi_report_t        *report;
    ngx_http_lua_ffi_order_worker_t  *me;

    name_len = ngx_strlen(name) + 1;
    error_len = error != NULL ? ngx_strlen(error) + 1 : 0;
    error_len = ngx_min(error_len, NGX_HTTP_LUA_FFI_ORDER_TEXT_MAX);

    shared = ngx_http_lua_ffi_workers_lock();
    order = ngx_http_lua_ffi_order_find(shared, number);

    if (order != NULL) {
        me = &order->workers[ngx_worker];

        me->reloaded += error == NULL;
        me->kept += error != NULL;

        report = ngx_http_lua_ffi_workers_alloc(
                                        sizeof(ngx_http_lua_ffi_report_t)
                                        + name_len + error_len);
        if (report != NULL) {
            report->name = (u_char *) (report + 1);
            ngx_memcpy(report->name, name, name_len);

            if (error != NULL) {
                report->error = report->name + name_len;
                ngx_cpystrn(report->error, (u_char *) error, error_len);
                ngx_http_lua_ffi_name_printable(report->error,
                                                ngx_strlen(report->error));
            }

            report->next = me->reports;
            me->reports = report;
        }
    }

    ngx_http_lua_ffi_workers_unlock();
}


void
ngx_http_lua_ffi_order_finish(ngx_uint_t number)
{
    ngx_uint_t                  caller;
    ngx_http_lua_ffi_order_t   *order;
    ngx_http_lua_ffi_shared_t  *shared;

    shared = ngx_http_lua_ffi_workers_lock();
    order = ngx_http_lua_ffi_order_find(shared, number);
    caller = NGX_MAX_PROCESSES;

    if (order != NULL) {
        order->workers[ngx_worker].state = NGX_HTTP_LUA_FFI_ORDER_DONE;
        caller = order->caller_worker;
    }

    ngx_http_lua_ffi_workers_unlock();

    if (caller < ngx_http_lua_ffi_conf()->workers.n) {
        ngx_http_lua_ffi_workers_ring(caller);
    }
}


/* locked */
static ngx_http_lua_ffi_order_t *
ngx_http_lua_ffi_order_find(ngx_http_lua_ffi_shared_t *shared,
    ngx_uint_t number)
{
    ngx_queue_t               *q;
    ngx_http_lua_ffi_order_t  *order;

    for (q = ngx_queue_head(&shared->orders);
         q != ngx_queue_sentinel(&shared->orders);
         q = ngx_queue_next(q))
    {
        order = ngx_queue_data(q, ngx_http_lua_ffi_order_t, link);

        if (order->number == number) {
            return order;
        }
    }

    return NULL;
}
