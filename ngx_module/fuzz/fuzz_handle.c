/*
 * Handles, against a model of them.  An input is a program: what guests call
 * with handles that live, are stale, belong to something else or are made up,
 * among the steps of the event loop.  No handle but that of a polled,
 * unanswered task is accepted, and every task comes back once.
 */

#include "handle.h"

#include "ffi_thread.h"

#include <ngx_http_lua_ffi.h>

#include <stdio.h>
#include <stdlib.h>


#define POLL_MAX  64


/* ---- handles ------------------------------------------------------------ */


/* One that was seen, of any age and kind, or one made up. */
static void *
any_handle(input_t *input)
{
    uint8_t   how;
    uint64_t  bits;

    how = input_byte(input);

    if (how & 1 && ntasks) {
        bits = (uintptr_t) tasks[input_byte(input) % ntasks].handle;

    } else if (how & 2 && nqueues) {
        bits = (uintptr_t) queues[input_byte(input) % nqueues].handle;

    } else {
        bits = input_word(input);
    }

    if (how & 4) {
        bits ^= UINT64_C(1) << input_byte(input) % 64;
    }

    return (void *) (uintptr_t) bits;
}


static void *
queue_handle(input_t *input)
{
    uint8_t  which;

    which = input_byte(input);

    return which < 0xf0 && nqueues ? queues[which % nqueues].handle
                                   : any_handle(input);
}


/* ---- steps of guests ---------------------------------------------------- */


static void
expect_polled(model_queue_t *q, int max, void **polled, int n)
{
    int            i;
    model_task_t  *t;

    for (i = 0; i < max && q->nwaiting; /* void */ ) {
        t = &tasks[model_shift(q->waiting, &q->nwaiting)];

        if (t->abandoned) {
            model_answered(t, 0, 1, "abandoned");
            continue;
        }

        check(i < n && polled[i] == t->handle);
        t->state = TAKEN;
        i++;
    }

    check(n == (i == 0 && q->closed ? -1 : i));
}


static void
poll(input_t *input)
{
    int             n, max;
    void           *tq, *polled[POLL_MAX];
    model_queue_t  *q;

    tq = queue_handle(input);
    max = (int8_t) input_byte(input);
    n = ngx_http_lua_ffi_task_poll_many(tq, polled, max, 0);

    q = model_live(tq);

    if (max < 1) {
        check(n == 0);

    } else if (q == NULL) {
        check(n == -1);
        check(ngx_http_lua_ffi_task_poll(tq) == NULL);

    } else {
        expect_polled(q, max < POLL_MAX ? max : POLL_MAX, polled, n);
    }
}


static void
poll_abandoned(input_t *input)
{
    int             i, n, max;
    void           *tq, *polled[POLL_MAX];
    unsigned        j, waiting;
    model_task_t   *t;
    model_queue_t  *q;

    tq = queue_handle(input);
    max = (int8_t) input_byte(input) % (POLL_MAX + 1);
    q = model_live(tq);

    for (j = 0, waiting = 0; q != NULL && j < ntasks; j++) {
        waiting += tasks[j].queue == q - queues && tasks[j].state == TAKEN
                   && tasks[j].untold;
    }

    n = ngx_http_lua_ffi_poll_abandoned(tq, polled, max);
    check(n == (max < 0 ? 0 : max < (int) waiting ? max : (int) waiting));

    for (i = 0; i < n; i++) {
        t = model_taken(polled[i]);
        check(t != NULL && t->untold && t->queue == q - queues);
        t->untold = 0;
    }
}


static void
respond(input_t *input)
{
    int            rc, how, err;
    char           text[TEXT_MAX];
    void          *handle;
    size_t         len;
    model_task_t  *t;

    how = input_byte(input) % 4;
    handle = any_handle(input);
    rc = (int8_t) input_byte(input);

    (void) snprintf(text, TEXT_MAX, "answer %d", rc);
    len = strlen(text);
    t = model_taken(handle);
    err = t == NULL ? -1 : 0;

    if (how == 0) {
        check(ngx_http_lua_ffi_respond_copy(handle, rc, text, len) == err);

    } else if (how == 1) {
        check(ngx_http_lua_ffi_respond_take(handle, rc, strdup(text), len)
              == err);

    } else {
        ngx_http_lua_ffi_respond(handle, rc, strdup(text), how == 2 ? len : 0);
    }

    if (t != NULL) {
        model_answered(t, ++nanswers, rc, text);
    }

    model_logged(t == NULL, "", "");
}


static void
read_task(input_t *input)
{
    void          *handle;
    int64_t        left;
    size_t         len;
    const char    *text;
    model_task_t  *t;

    handle = any_handle(input);
    t = model_taken(handle);

    text = ngx_http_lua_ffi_get_method(handle, &len);
    check(t ? strcmp(text, "request") == 0 && len == 7 : text == NULL);

    text = ngx_http_lua_ffi_get_request_id(handle, &len);
    check(t && t->has_id ? len == strlen(text) : text == NULL && len == 0);

    text = ngx_http_lua_ffi_get_request(handle, &len);
    check(text == NULL ? len == 0
                       : t && strcmp(text, t->text) == 0
                         && len == strlen(text));
    check(ngx_http_lua_ffi_get_req(handle, NULL) == text);

    check(ngx_http_lua_ffi_is_abandoned(handle) == (t == NULL || t->abandoned));

    left = ngx_http_lua_ffi_time_left(handle);
    check(t == NULL ? left == -1
                    : t->abandoned ? left == 0 : left > 0 && left <= DEADLINE);
}


static void
read_queue(input_t *input)
{
    int             fd;
    void           *tq;
    model_queue_t  *q;

    tq = queue_handle(input);
    q = model_live(tq);

    check(ngx_http_lua_ffi_is_ending(tq) == (q == NULL || q->closed));
    check(ngx_http_lua_ffi_is_reload(tq) == 0);
    check(ngx_http_lua_ffi_library_path(tq) == NULL);
    ngx_http_lua_ffi_set_error(tq, "why", 3);

    if (input_byte(input) % 2) {
        fd = ngx_http_lua_ffi_event_fd(tq);
        check((fd == -1) == (q == NULL));

        if (q != NULL) {
            q->has_fd = 1;
        }
    }
}


static void
write_log(input_t *input)
{
    void           *handle;
    model_task_t   *t;
    model_queue_t  *q;

    handle = any_handle(input);
    t = model_taken(handle);
    q = model_live(handle);

    ngx_http_lua_ffi_log(handle, (int8_t) input_byte(input), "line", 4);
    model_logged(1, q ? q->name : "", "");

    ngx_http_lua_ffi_log_task(handle, NGX_HTTP_LUA_FFI_LOG_ERR, "line", 4);
    q = t ? &queues[t->queue] : NULL;
    model_logged(1, q ? q->name : "",
           t && t->has_id ? (char *) t->task->id : "");
}


/* ---- the program -------------------------------------------------------- */


static void
step(input_t *input)
{
    model_queue_t  *q;

    switch (input_byte(input) % 15) {

    case 0:
        loop_create_queue();
        break;

    case 1:
    case 2:
        loop_post(input);
        break;

    case 3:
    case 4:
        poll(input);
        break;

    case 5:
    case 6:
        respond(input);
        break;

    case 7:
        read_task(input);
        break;

    case 8:
        read_queue(input);
        break;

    case 9:
        loop_drain();
        break;

    case 10:
        loop_abandon(input);
        break;

    case 11:
        poll_abandoned(input);
        break;

    case 12:
        write_log(input);
        break;

    case 13:
        loop_move(input);
        break;

    default:
        q = loop_any_queue(input);

        if (q == NULL || q->gone) {
            break;
        }

        switch (input_byte(input) % 3) {

        case 0:
            loop_close_queue(q);
            break;

        case 1:
            loop_reclaim(q);
            break;

        default:
            loop_destroy_queue(q);
            break;
        }
    }
}


static void
end_all(void)
{
    unsigned  i;

    for (i = 0; i < nqueues; i++) {
        if (!queues[i].gone) {
            loop_close_queue(&queues[i]);
            loop_reclaim(&queues[i]);
        }
    }

    loop_drain();

    for (i = 0; i < ntasks; i++) {
        check(tasks[i].state == GONE);
        check(ngx_http_lua_ffi_respond_copy(tasks[i].handle, 0, "", 0) == -1);
        model_logged(1, "", "");
    }

    for (i = 0; i < nqueues; i++) {
        loop_destroy_queue(&queues[i]);
        check(queues[i].gone);
        check(ngx_http_lua_ffi_task_poll(queues[i].handle) == NULL);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input_t          input = { data, size };
    static unsigned   started;

    if (!started) {
        started = 1;
        ffi_task_init();
        ffi_queue_init();
        check(ffi_thread_init() == 0);
    }

    ntasks = 0;
    nqueues = 0;
    ndone = 0;
    nanswers = 0;

    while (input.left) {
        step(&input);
    }

    end_all();

    return 0;
}
