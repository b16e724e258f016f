#include "ngx_http_lua_ffi_order.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_name.h"
#include "ngx_http_lua_ffi_reload.h"
#include "ngx_http_lua_ffi_workers.h"


/* How often one looks whether workers that were sent an order still live. */
#define NGX_HTTP_LUA_FFI_ORDER_CHECK_MS  200

/* How long a result is kept for the coroutine that waited for it. */
#define NGX_HTTP_LUA_FFI_ORDER_KEEP_MS   2000

/* What is shared of a runtime's error. */
#define NGX_HTTP_LUA_FFI_ORDER_TEXT_MAX  512


/* The caller's side of an order. */
struct ngx_http_lua_ffi_sent_s {
    ngx_queue_t                  link;
    ngx_http_lua_ffi_order_t    *order;          /* in shared memory */
    ngx_http_lua_ffi_waiters_t   waiters;
    ngx_event_t                  timer;
    ngx_msec_t                   end;            /* as ngx_current_msec */
    ngx_uint_t                   settled;
};


/* A worker's side of it. */
typedef struct {
    ngx_uint_t                   number;
    ngx_uint_t                   pending;        /* reloads, and the taking */
} ngx_http_lua_ffi_job_t;


/* One runtime's reload. */
typedef struct {
    ngx_http_lua_ffi_watcher_t   watcher;
    ngx_http_lua_ffi_job_t      *job;
    u_char                       name[FFI_QUEUE_NAME_MAX];
} ngx_http_lua_ffi_item_t;


static ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_create(
    ngx_http_lua_ffi_shared_t *shared, ngx_str_t *lib, ngx_str_t *cfg);
static void ngx_http_lua_ffi_order_destroy(ngx_http_lua_ffi_order_t *order);
static ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_find(
    ngx_http_lua_ffi_shared_t *shared, ngx_uint_t number);
static void ngx_http_lua_ffi_order_purge(ngx_http_lua_ffi_shared_t *shared);
static ngx_uint_t ngx_http_lua_ffi_order_is_over(
    ngx_http_lua_ffi_shared_t *shared, ngx_http_lua_ffi_order_t *order);
static void ngx_http_lua_ffi_order_rung(void);
static void ngx_http_lua_ffi_order_check(ngx_event_t *ev);
static void ngx_http_lua_ffi_order_settle(ngx_http_lua_ffi_sent_t *sent);
static ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_take(void);
static void ngx_http_lua_ffi_order_run(ngx_http_lua_ffi_order_t *order);
static ngx_uint_t ngx_http_lua_ffi_order_matches(
    ngx_http_lua_ffi_order_t *order, ngx_http_lua_ffi_entry_t *entry);
static void ngx_http_lua_ffi_order_reload(ngx_http_lua_ffi_job_t *job,
    ngx_http_lua_ffi_entry_t *entry);
static void ngx_http_lua_ffi_order_reloaded(
    ngx_http_lua_ffi_watcher_t *watcher, const char *error);
static void ngx_http_lua_ffi_order_report(ngx_uint_t number, u_char *name,
    const char *error);
static void ngx_http_lua_ffi_order_release(ngx_http_lua_ffi_job_t *job);
static void ngx_http_lua_ffi_order_finish(ngx_uint_t number);


static ngx_queue_t  ngx_http_lua_ffi_sent_orders = {
    &ngx_http_lua_ffi_sent_orders, &ngx_http_lua_ffi_sent_orders
};


ngx_int_t
ngx_http_lua_ffi_order_init(ngx_cycle_t *cycle)
{
    return ngx_http_lua_ffi_workers_join(cycle,
                                         &ngx_http_lua_ffi_conf()->workers,
                                         ngx_http_lua_ffi_order_rung);
}


/* ---- the caller --------------------------------------------------------- */


ngx_http_lua_ffi_sent_t *
ngx_http_lua_ffi_order_make(ngx_str_t *lib, ngx_str_t *cfg, ngx_msec_t ms,
    const char **err)
{
    ngx_http_lua_ffi_sent_t    *sent;
    ngx_http_lua_ffi_shared_t  *shared;

    if (ngx_exiting || ngx_http_lua_ffi_runtime_ending()) {
        *err = NGX_HTTP_LUA_FFI_SHUTDOWN;
        return NULL;
    }

    *err = "no memory";

    sent = ngx_calloc(sizeof(ngx_http_lua_ffi_sent_t), ngx_cycle->log);
    if (sent == NULL) {
        return NULL;
    }

    (void) ngx_http_lua_ffi_name_spell(lib);

    shared = ngx_http_lua_ffi_workers_lock();

    if (shared->pids[ngx_worker] != ngx_pid) {
        /* a new one has its place already */
        *err = NGX_HTTP_LUA_FFI_SHUTDOWN;

    } else {
        *err = "no shared memory for the order: wait until others are done";
        sent->order = ngx_http_lua_ffi_order_create(shared, lib, cfg);
    }

    ngx_http_lua_ffi_workers_unlock();

    if (sent->order == NULL) {
        ngx_free(sent);
        return NULL;
    }

    ngx_http_lua_ffi_waiters_init(&sent->waiters);
    sent->end = ngx_current_msec + ms + NGX_HTTP_LUA_FFI_ORDER_KEEP_MS;
    ngx_queue_insert_tail(&ngx_http_lua_ffi_sent_orders, &sent->link);

    sent->timer.handler = ngx_http_lua_ffi_order_check;
    sent->timer.data = sent;
    sent->timer.log = ngx_cycle->log;
    sent->timer.cancelable = 1;
    ngx_add_timer(&sent->timer, NGX_HTTP_LUA_FFI_ORDER_CHECK_MS);

    return sent;
}


void
ngx_http_lua_ffi_order_send(ngx_http_lua_ffi_sent_t *sent)
{
    ngx_uint_t  i;

    for (i = 0; i < sent->order->n; i++) {
        if (sent->order->workers[i].pid) {
            ngx_http_lua_ffi_workers_ring(i);
        }
    }
}


void
ngx_http_lua_ffi_order_cancel(ngx_http_lua_ffi_sent_t *sent)
{
    ngx_http_lua_ffi_order_free(sent->order);
}


ngx_http_lua_ffi_waiters_t *
ngx_http_lua_ffi_order_waiters(ngx_http_lua_ffi_sent_t *sent)
{
    return &sent->waiters;
}


ngx_uint_t
ngx_http_lua_ffi_order_number(ngx_http_lua_ffi_sent_t *sent)
{
    return sent->order->number;
}


/* locked */
static ngx_http_lua_ffi_order_t *
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


/* locked */
static void
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


/* locked; whether nobody is going to say more */
static ngx_uint_t
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


static void
ngx_http_lua_ffi_order_settle(ngx_http_lua_ffi_sent_t *sent)
{
    ngx_uint_t                  over;
    ngx_http_lua_ffi_shared_t  *shared;

    if (sent->settled) {
        return;
    }

    shared = ngx_http_lua_ffi_workers_lock();
    over = ngx_http_lua_ffi_order_is_over(shared, sent->order);
    ngx_http_lua_ffi_workers_unlock();

    if (over) {
        sent->settled = 1;
        sent->end = ngx_current_msec + NGX_HTTP_LUA_FFI_ORDER_KEEP_MS;
        ngx_http_lua_ffi_call_settle(&sent->waiters, NULL);
    }
}


static void
ngx_http_lua_ffi_order_check(ngx_event_t *ev)
{
    ngx_http_lua_ffi_sent_t  *sent;

    sent = ev->data;

    ngx_http_lua_ffi_order_settle(sent);

    if ((ngx_msec_int_t) (ngx_current_msec - sent->end) < 0) {
        ngx_add_timer(ev, NGX_HTTP_LUA_FFI_ORDER_CHECK_MS);
        return;
    }

    ngx_http_lua_ffi_order_free(sent->order);
}


void
ngx_http_lua_ffi_order_free(const ngx_http_lua_ffi_order_t *order)
{
    ngx_queue_t              *q;
    ngx_http_lua_ffi_sent_t  *sent;

    q = &ngx_http_lua_ffi_sent_orders;

    do {
        q = ngx_queue_next(q);
        sent = ngx_queue_data(q, ngx_http_lua_ffi_sent_t, link);
    } while (sent->order != order);

    (void) ngx_http_lua_ffi_workers_lock();
    ngx_http_lua_ffi_order_destroy(sent->order);
    ngx_http_lua_ffi_workers_unlock();

    /* none, but for one that was killed */
    ngx_http_lua_ffi_call_settle(&sent->waiters, "timeout");

    if (sent->timer.timer_set) {
        ngx_del_timer(&sent->timer);
    }

    ngx_queue_remove(&sent->link);
    ngx_free(sent);
}


const ngx_http_lua_ffi_order_t *
ngx_http_lua_ffi_order_result(ngx_uint_t number)
{
    ngx_queue_t                *q;
    ngx_http_lua_ffi_order_t   *order;
    ngx_http_lua_ffi_shared_t  *shared;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_sent_orders);
         q = ngx_queue_next(q))
    {
        order = ((ngx_http_lua_ffi_sent_t *)
                 ngx_queue_data(q, ngx_http_lua_ffi_sent_t, link))->order;

        if (order->number == 0 || order->number != number) {
            continue;
        }

        shared = ngx_http_lua_ffi_workers_lock();
        (void) ngx_http_lua_ffi_order_is_over(shared, order);

        /* no worker finds it any more to add to it */
        order->number = 0;
        ngx_http_lua_ffi_workers_unlock();

        return order;
    }

    return NULL;
}


void
ngx_http_lua_ffi_order_exit(void)
{
    ngx_queue_t              *q;
    ngx_http_lua_ffi_sent_t  *sent;

    ngx_http_lua_ffi_workers_leave();

    while (!ngx_queue_empty(&ngx_http_lua_ffi_sent_orders)) {
        q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
        sent = ngx_queue_data(q, ngx_http_lua_ffi_sent_t, link);
        ngx_http_lua_ffi_order_free(sent->order);
    }
}


void
ngx_http_lua_ffi_order_shutdown(const char *error)
{
    ngx_queue_t              *q;
    ngx_http_lua_ffi_sent_t  *sent;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_sent_orders);
         q = ngx_queue_next(q))
    {
        sent = ngx_queue_data(q, ngx_http_lua_ffi_sent_t, link);
        ngx_http_lua_ffi_call_settle(&sent->waiters, error);
    }
}


/* ---- the workers -------------------------------------------------------- */


/* Somebody has sent an order, or is done with one of ours. */
static void
ngx_http_lua_ffi_order_rung(void)
{
    ngx_queue_t               *q;
    ngx_http_lua_ffi_order_t  *order;

    for ( ;; ) {
        order = ngx_http_lua_ffi_order_take();

        if (order == NULL) {
            break;
        }

        ngx_http_lua_ffi_order_run(order);
        ngx_free(order);
    }

    for (q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_sent_orders);
         q = ngx_queue_next(q))
    {
        ngx_http_lua_ffi_order_settle(ngx_queue_data(q,
                                              ngx_http_lua_ffi_sent_t, link));
    }
}


/* A copy of the next order to this worker, or NULL. */
static ngx_http_lua_ffi_order_t *
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


static void
ngx_http_lua_ffi_order_run(ngx_http_lua_ffi_order_t *order)
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

        if (ngx_http_lua_ffi_order_matches(order, entry)) {
            ngx_http_lua_ffi_order_reload(job, entry);
        }
    }

    ngx_http_lua_ffi_order_release(job);
}


static ngx_uint_t
ngx_http_lua_ffi_order_matches(ngx_http_lua_ffi_order_t *order,
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
ngx_http_lua_ffi_order_reload(ngx_http_lua_ffi_job_t *job,
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
    item->watcher.done = ngx_http_lua_ffi_order_reloaded;
    job->pending++;

    err = ngx_http_lua_ffi_reload_refusal(entry);

    if (err != NULL) {
        ngx_http_lua_ffi_order_reloaded(&item->watcher, err);
        return;
    }

    ngx_queue_insert_tail(&entry->later.watchers, &item->watcher.link);
    ngx_http_lua_ffi_reload(entry);
}


static void
ngx_http_lua_ffi_order_reloaded(ngx_http_lua_ffi_watcher_t *watcher,
    const char *error)
{
    ngx_http_lua_ffi_item_t  *item = (ngx_http_lua_ffi_item_t *) watcher;

    ngx_http_lua_ffi_order_report(item->job->number, item->name, error);
    ngx_http_lua_ffi_order_release(item->job);

    ngx_free(item);
}


static void
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


static void
ngx_http_lua_ffi_order_release(ngx_http_lua_ffi_job_t *job)
{
    if (--job->pending == 0) {
        ngx_http_lua_ffi_order_finish(job->number);
        ngx_free(job);
    }
}


static void
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
