#include "ngx_http_lua_ffi_call.h"

#include "ffi_done.h"
#include "ffi_queue.h"
#include "ngx_http_lua_ffi_metrics.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_overdue.h"
#include "ngx_http_lua_ffi_request.h"
#include "ngx_http_lua_ffi_slow.h"
#include "ngx_http_lua_ffi_waiter.h"


/* As much of a handle as a double holds: 32 bits of generation, the slot. */
#define NGX_HTTP_LUA_FFI_TICKET_MASK  ((INT64_C(1) << 52) - 1)


static ngx_int_t ngx_http_lua_ffi_call_wait(ngx_http_request_t *r,
    ffi_task_t *task, ngx_msec_t timeout, u_char *err);
static ngx_http_lua_ffi_ticket_t ngx_http_lua_ffi_call_ticket(
    ffi_task_t *task);
static void ngx_http_lua_ffi_call_wake(ffi_task_t *task);
static void ngx_http_lua_ffi_call_finish(ffi_task_t *task);
static void ngx_http_lua_ffi_call_destroy(ffi_task_t *task);
static ffi_task_t *ngx_http_lua_ffi_call_find(
    ngx_http_lua_ffi_ticket_t ticket);
static void ngx_http_lua_ffi_call_sweep(ngx_event_t *ev);
static void ngx_http_lua_ffi_call_return(ffi_task_t *task,
    ngx_http_lua_ffi_runtime_t *rt, const char *verdict);


/* posted and unanswered */
static ffi_task_link_t  ngx_http_lua_ffi_inflight;

/* answered, on their way into Lua */
static ffi_task_link_t  ngx_http_lua_ffi_delivered;

static ngx_event_t      ngx_http_lua_ffi_sweep;


void
ngx_http_lua_ffi_call_init(ngx_cycle_t *cycle)
{
    ffi_task_list_init(&ngx_http_lua_ffi_inflight);
    ffi_task_list_init(&ngx_http_lua_ffi_delivered);

    ngx_http_lua_ffi_sweep.handler = ngx_http_lua_ffi_call_sweep;
    ngx_http_lua_ffi_sweep.log = cycle->log;
}


void
ngx_http_lua_ffi_call_shutdown(void)
{
    uint32_t     i;
    ffi_task_t  *task;

    for (i = 0; (task = ffi_task_at(i)) != NULL; i++) {
        if (task->sema != NULL) {
            ngx_http_lua_ffi_waiter_destroy(task->sema);
            task->sema = NULL;
        }

        if (i == FFI_HANDLE_SLOT_MASK) {
            break;
        }
    }
}


static ngx_int_t
ngx_http_lua_ffi_call_wait(ngx_http_request_t *r, ffi_task_t *task,
    ngx_msec_t timeout, u_char *err)
{
    size_t       len;
    const char  *msg;

    if (task->sema == NULL) {
        task->sema = ngx_http_lua_ffi_waiter_create(&msg);
        if (task->sema == NULL) {
            ngx_cpystrn(err, (u_char *) msg, NGX_HTTP_LUA_FFI_ERR_MAX);
            return NGX_ERROR;
        }
    }

    len = NGX_HTTP_LUA_FFI_ERR_MAX - 1;

    if (ngx_http_lua_ffi_waiter_wait(r, task->sema, timeout, err, &len)
        == NGX_AGAIN)
    {
        return NGX_OK;
    }

    err[len] = '\0';

    return NGX_ERROR;
}


static ngx_http_lua_ffi_ticket_t
ngx_http_lua_ffi_call_ticket(ffi_task_t *task)
{
    return (uintptr_t) ffi_task_handle(task) & NGX_HTTP_LUA_FFI_TICKET_MASK;
}


ngx_http_lua_ffi_ticket_t
ngx_http_lua_ffi_call_post(ngx_http_request_t *r,
    ngx_http_lua_ffi_runtime_t *rt, ngx_http_lua_ffi_call_t *call,
    u_char *err)
{
    ffi_task_t  *task;

    task = ffi_task_create();

    if (task == NULL
        || ffi_task_set_request(task, (char *) call->method.data,
                                call->method.len,
                                (char *) call->request.data,
                                call->request.len)
           != 0)
    {
        ngx_cpystrn(err, (u_char *) "no memory for the call",
                    NGX_HTTP_LUA_FFI_ERR_MAX);
        goto failed;
    }

    /*
     * The wait comes first: it refuses phases that may not wait, and nothing
     * can be missed since the answer comes through this event loop.
     */
    if (ngx_http_lua_ffi_call_wait(r, task, call->timeout, err) != NGX_OK) {
        goto failed;
    }

    ngx_http_lua_ffi_request_id(r, task);
    ngx_http_lua_ffi_request_trace(r, task);

    atomic_store_explicit(&task->queue, rt->queue, memory_order_release);
    task->timeout = call->timeout;
    task->deadline = ngx_current_msec + call->timeout;
    ngx_http_lua_ffi_metrics_posted(rt, task);

    ffi_task_list_append(&ngx_http_lua_ffi_inflight, task);
    ffi_task_set_state(task, FFI_TASK_QUEUED);
    ffi_queue_push(rt->queue, task);

    ngx_http_lua_ffi_runtime_posted(rt);

    return ngx_http_lua_ffi_call_ticket(task);

failed:

    if (task != NULL) {
        ffi_task_destroy(task);
    }

    return -1;
}


ngx_http_lua_ffi_ticket_t
ngx_http_lua_ffi_call_await(ngx_http_request_t *r,
    ngx_http_lua_ffi_waiters_t *waiters, ngx_msec_t timeout, u_char *err)
{
    ffi_task_t  *task;

    task = ffi_task_create();

    if (task == NULL) {
        ngx_cpystrn(err, (u_char *) "no memory to wait",
                    NGX_HTTP_LUA_FFI_ERR_MAX);
        return -1;
    }

    if (ngx_http_lua_ffi_call_wait(r, task, timeout, err) != NGX_OK) {
        ffi_task_destroy(task);
        return -1;
    }

    ffi_task_list_append(&waiters->tasks, task);

    return ngx_http_lua_ffi_call_ticket(task);
}


void
ngx_http_lua_ffi_call_settle(ngx_http_lua_ffi_waiters_t *waiters,
    const char *error)
{
    ngx_queue_t                 *q;
    ffi_task_t                  *task;
    ngx_http_lua_ffi_watcher_t  *watcher;

    while (!ffi_task_list_empty(&waiters->tasks)) {
        task = ffi_task_list_entry(waiters->tasks.next);

        if (error == NULL) {
            ffi_task_take_response(task, 0, NULL, 0);

        } else if (ffi_task_copy_response(task, 1, error, ngx_strlen(error))
                   != 0)
        {
            ffi_task_static_response(task, 1, "no memory for the reason");
        }

        ffi_task_set_state(task, FFI_TASK_DONE);
        ngx_http_lua_ffi_call_finish(task);
    }

    while (!ngx_queue_empty(&waiters->watchers)) {
        q = ngx_queue_head(&waiters->watchers);
        ngx_queue_remove(q);

        watcher = ngx_queue_data(q, ngx_http_lua_ffi_watcher_t, link);
        watcher->done(watcher, error);
    }
}


static void
ngx_http_lua_ffi_call_wake(ffi_task_t *task)
{
    ngx_http_lua_ffi_waiter_wake(task->sema);
    task->posted = 1;
}


/* The task is DONE, and in the list of those that are not answered. */
static void
ngx_http_lua_ffi_call_finish(ffi_task_t *task)
{
    ffi_task_list_remove(task);
    ffi_task_drop_request(task);

    if (task->told) {
        ffi_queue_forget(task->queue, task);
    }

    if (!task->posted) {

        if (ngx_http_lua_ffi_waiter_balance(task->sema) >= 0) {
            ngx_http_lua_ffi_call_destroy(task);
            return;
        }

        ngx_http_lua_ffi_call_wake(task);
    }

    task->answered = 1;
    ffi_task_list_append(&ngx_http_lua_ffi_delivered, task);

    /*
     * The sweep runs when all that is posted now has run: a task that is
     * left then has nobody to fetch it.
     */
    if (ngx_http_lua_ffi_sweep.posted) {
        ngx_delete_posted_event(&ngx_http_lua_ffi_sweep);
    }

    ngx_post_event(&ngx_http_lua_ffi_sweep, &ngx_posted_events);
}


static void
ngx_http_lua_ffi_call_destroy(ffi_task_t *task)
{
    if (!task->fetched) {
        ngx_http_lua_ffi_metrics_abandoned(task);
    }

    /* a wake-up that nobody took would end the next wait at once */
    if (ngx_http_lua_ffi_waiter_balance(task->sema) != 0) {
        ngx_http_lua_ffi_waiter_destroy(task->sema);
        task->sema = NULL;
    }

    ffi_task_destroy(task);
}


static void
ngx_http_lua_ffi_call_sweep(ngx_event_t *ev)
{
    ffi_task_t  *task;

    while (!ffi_task_list_empty(&ngx_http_lua_ffi_delivered)) {
        task = ffi_task_list_entry(ngx_http_lua_ffi_delivered.next);

        ffi_task_list_remove(task);
        ngx_http_lua_ffi_call_destroy(task);
    }
}


static ffi_task_t *
ngx_http_lua_ffi_call_find(ngx_http_lua_ffi_ticket_t ticket)
{
    ffi_task_t  *task;

    task = ffi_task_at(ticket & FFI_HANDLE_SLOT_MASK);

    if (task == NULL || task->fetched
        || ngx_http_lua_ffi_call_ticket(task) != ticket)
    {
        return NULL;
    }

    return task;
}


void
ngx_http_lua_ffi_call_fetch(ngx_http_lua_ffi_ticket_t ticket,
    ngx_http_lua_ffi_answer_t *answer)
{
    ffi_task_t  *task;

    answer->task = NULL;
    answer->verdict = NGX_HTTP_LUA_FFI_TIMEOUT;

    task = ngx_http_lua_ffi_call_find(ticket);
    if (task == NULL) {
        return;
    }

    if (task->answered) {
        answer->task = task;
        answer->verdict = task->verdict;
        ngx_http_lua_ffi_metrics_fetched(task, answer->verdict);
        return;
    }

    if (ffi_task_state(task) == FFI_TASK_HELD) {
        /* a wait on a list, of which nobody else knows */
        ffi_task_list_remove(task);
        ngx_http_lua_ffi_call_destroy(task);
        return;
    }

    if (task->verdict != NULL) {
        answer->verdict = task->verdict;

    } else {
        ngx_http_lua_ffi_overdue_call(task);
    }

    ngx_http_lua_ffi_metrics_fetched(task, answer->verdict);
    task->fetched = 1;

    if (ngx_http_lua_ffi_waiter_balance(task->sema) == 0) {
        task->posted = 0;
    }

    ffi_queue_abandon(task->queue, task);
}


void
ngx_http_lua_ffi_call_end(ffi_task_t *task)
{
    task->fetched = 1;

    if (ngx_http_lua_ffi_waiter_balance(task->sema) == 0) {
        ffi_task_list_remove(task);
        ngx_http_lua_ffi_call_destroy(task);
    }

    /* else timeout and answer met: the sweep ends it after the wake-up ran */
}


ngx_uint_t
ngx_http_lua_ffi_call_drain(void)
{
    int64_t                      now;
    ngx_uint_t                   n;
    ffi_task_t                  *task, *next;
    ngx_http_lua_ffi_runtime_t  *rt;

    n = 0;
    now = 0;

    for (task = ffi_done_take(); task != NULL; task = next) {
        next = task->next;
        rt = ffi_queue_data(task->queue);

        if (task->enqueued && task->polled) {
            now = now ? now : ffi_spin_clock();

            ngx_http_lua_ffi_metrics_answered(task, now);
            ngx_http_lua_ffi_slow_answered(rt, task, now);
        }

        ngx_http_lua_ffi_call_finish(task);
        ngx_http_lua_ffi_runtime_answered(rt);
        n++;
    }

    return n;
}


ngx_uint_t
ngx_http_lua_ffi_call_pending(void)
{
    return !ffi_task_list_empty(&ngx_http_lua_ffi_inflight);
}


void
ngx_http_lua_ffi_call_mark_abandoned(void)
{
    ffi_task_t       *task;
    ffi_task_link_t  *link;

    for (link = ngx_http_lua_ffi_inflight.next;
         link != &ngx_http_lua_ffi_inflight;
         link = link->next)
    {
        task = ffi_task_list_entry(link);

        ngx_http_lua_ffi_slow_watch(task);

        if (ngx_http_lua_ffi_waiter_balance(task->sema) < 0) {
            continue;
        }

        if (!task->fetched && !task->posted) {
            ngx_http_lua_ffi_metrics_abandoned(task);
        }

        ffi_queue_abandon(task->queue, task);
    }
}


void
ngx_http_lua_ffi_call_fail(const char *verdict)
{
    ffi_task_t       *task;
    ffi_task_link_t  *link;

    for (link = ngx_http_lua_ffi_inflight.next;
         link != &ngx_http_lua_ffi_inflight;
         link = link->next)
    {
        task = ffi_task_list_entry(link);

        if (!task->posted
            && ngx_http_lua_ffi_waiter_balance(task->sema) < 0)
        {
            task->verdict = verdict;
            ngx_http_lua_ffi_call_wake(task);
        }
    }

    ngx_http_lua_ffi_call_mark_abandoned();
}


void
ngx_http_lua_ffi_call_move(ngx_http_lua_ffi_runtime_t *from,
    ngx_http_lua_ffi_runtime_t *to)
{
    ffi_task_t  *task;

    while ((task = ffi_queue_take_back(from->queue)) != NULL) {
        atomic_store_explicit(&task->queue, to->queue, memory_order_release);
        ffi_queue_push(to->queue, task);

        ngx_http_lua_ffi_runtime_answered(from);
        ngx_http_lua_ffi_runtime_posted(to);
    }
}


ngx_uint_t
ngx_http_lua_ffi_call_unpolled(ngx_http_lua_ffi_runtime_t *rt)
{
    ngx_uint_t        n;
    ffi_task_t       *task;
    ffi_task_link_t  *link;

    n = 0;

    for (link = ngx_http_lua_ffi_inflight.next;
         link != &ngx_http_lua_ffi_inflight;
         link = link->next)
    {
        task = ffi_task_list_entry(link);
        n += task->queue == rt->queue
             && ffi_task_state(task) == FFI_TASK_QUEUED;
    }

    return n;
}


ngx_uint_t
ngx_http_lua_ffi_call_waited(ngx_http_lua_ffi_runtime_t *rt)
{
    ffi_task_t       *task;
    ffi_task_link_t  *link;

    for (link = ngx_http_lua_ffi_inflight.next;
         link != &ngx_http_lua_ffi_inflight;
         link = link->next)
    {
        task = ffi_task_list_entry(link);

        if (task->queue == rt->queue
            && ngx_http_lua_ffi_waiter_balance(task->sema) < 0)
        {
            return 1;
        }
    }

    return 0;
}


/* No library has the task any more. */
static void
ngx_http_lua_ffi_call_return(ffi_task_t *task, ngx_http_lua_ffi_runtime_t *rt,
    const char *verdict)
{
    task->verdict = verdict;
    ffi_task_take_response(task, 0, NULL, 0);

    ngx_http_lua_ffi_call_finish(task);
    ngx_http_lua_ffi_runtime_answered(rt);
}


void
ngx_http_lua_ffi_call_reclaim(ngx_http_lua_ffi_runtime_t *rt,
    const char *verdict, ngx_uint_t taken)
{
    ffi_task_t       *task;
    ffi_task_link_t  *link, *next;

    while ((task = ffi_queue_take_back(rt->queue)) != NULL) {
        ffi_task_set_state(task, FFI_TASK_DONE);
        ngx_http_lua_ffi_call_return(task, rt, verdict);
    }

    if (!taken) {
        return;
    }

    for (link = ngx_http_lua_ffi_inflight.next;
         link != &ngx_http_lua_ffi_inflight;
         link = next)
    {
        next = link->next;
        task = ffi_task_list_entry(link);

        if (task->queue == rt->queue
            && ffi_task_move(task, FFI_TASK_TAKEN, FFI_TASK_DONE) == 0)
        {
            ngx_http_lua_ffi_call_return(task, rt, verdict);
        }
    }
}
