#include "ngx_http_lua_ffi_sent.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_name.h"


/* How often one looks whether workers that were sent an order still live. */
#define NGX_HTTP_LUA_FFI_SENT_CHECK_MS  200

/* How long a result is kept for the coroutine that waited for it. */
#define NGX_HTTP_LUA_FFI_SENT_KEEP_MS   2000


struct ngx_http_lua_ffi_sent_s {
    ngx_queue_t                  link;
    ngx_http_lua_ffi_order_t    *order;          /* in shared memory */
    ngx_http_lua_ffi_waiters_t   waiters;
    ngx_event_t                  timer;
    ngx_msec_t                   end;            /* as ngx_current_msec */
    ngx_uint_t                   settled;
};


static void ngx_http_lua_ffi_sent_settle(ngx_http_lua_ffi_sent_t *sent);
static void ngx_http_lua_ffi_sent_check(ngx_event_t *ev);


static ngx_queue_t  ngx_http_lua_ffi_sent_orders = {
    &ngx_http_lua_ffi_sent_orders, &ngx_http_lua_ffi_sent_orders
};


ngx_http_lua_ffi_sent_t *
ngx_http_lua_ffi_sent_make(ngx_str_t *lib, ngx_str_t *cfg, ngx_msec_t ms,
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
    sent->end = ngx_current_msec + ms + NGX_HTTP_LUA_FFI_SENT_KEEP_MS;
    ngx_queue_insert_tail(&ngx_http_lua_ffi_sent_orders, &sent->link);

    sent->timer.handler = ngx_http_lua_ffi_sent_check;
    sent->timer.data = sent;
    sent->timer.log = ngx_cycle->log;
    sent->timer.cancelable = 1;
    ngx_add_timer(&sent->timer, NGX_HTTP_LUA_FFI_SENT_CHECK_MS);

    return sent;
}


void
ngx_http_lua_ffi_sent_send(ngx_http_lua_ffi_sent_t *sent)
{
    ngx_uint_t  i;

    for (i = 0; i < sent->order->n; i++) {
        if (sent->order->workers[i].pid) {
            ngx_http_lua_ffi_workers_ring(i);
        }
    }
}


void
ngx_http_lua_ffi_sent_cancel(ngx_http_lua_ffi_sent_t *sent)
{
    ngx_http_lua_ffi_sent_free(sent->order);
}


ngx_http_lua_ffi_waiters_t *
ngx_http_lua_ffi_sent_waiters(ngx_http_lua_ffi_sent_t *sent)
{
    return &sent->waiters;
}


ngx_uint_t
ngx_http_lua_ffi_sent_number(ngx_http_lua_ffi_sent_t *sent)
{
    return sent->order->number;
}


void
ngx_http_lua_ffi_sent_answered(void)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_sent_orders);
         q = ngx_queue_next(q))
    {
        ngx_http_lua_ffi_sent_settle(ngx_queue_data(q,
                                              ngx_http_lua_ffi_sent_t, link));
    }
}


static void
ngx_http_lua_ffi_sent_settle(ngx_http_lua_ffi_sent_t *sent)
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
        sent->end = ngx_current_msec + NGX_HTTP_LUA_FFI_SENT_KEEP_MS;
        ngx_http_lua_ffi_call_settle(&sent->waiters, NULL);
    }
}


static void
ngx_http_lua_ffi_sent_check(ngx_event_t *ev)
{
    ngx_http_lua_ffi_sent_t  *sent;

    sent = ev->data;

    ngx_http_lua_ffi_sent_settle(sent);

    if ((ngx_msec_int_t) (ngx_current_msec - sent->end) < 0) {
        ngx_add_timer(ev, NGX_HTTP_LUA_FFI_SENT_CHECK_MS);
        return;
    }

    ngx_http_lua_ffi_sent_free(sent->order);
}


void
ngx_http_lua_ffi_sent_free(const ngx_http_lua_ffi_order_t *order)
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
ngx_http_lua_ffi_sent_result(ngx_uint_t number)
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
ngx_http_lua_ffi_sent_exit(void)
{
    ngx_queue_t              *q;
    ngx_http_lua_ffi_sent_t  *sent;

    ngx_http_lua_ffi_workers_leave();

    while (!ngx_queue_empty(&ngx_http_lua_ffi_sent_orders)) {
        q = ngx_queue_head(&ngx_http_lua_ffi_sent_orders);
        sent = ngx_queue_data(q, ngx_http_lua_ffi_sent_t, link);
        ngx_http_lua_ffi_sent_free(sent->order);
    }
}


void
ngx_http_lua_ffi_sent_shutdown(const char *error)
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
