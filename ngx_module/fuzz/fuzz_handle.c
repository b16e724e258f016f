/*
 * Handles, against a model of them.  An input is a program: what guests call
 * with handles that live, are stale, belong to something else or are made up,
 * among the steps of the event loop.  No handle but that of a polled,
 * unanswered task is accepted, and every task comes back once.
 */

#include "../test/check.h"
#include "input.h"

#include "ffi_done.h"
#include "ffi_log.h"
#include "ffi_queue.h"
#include "ffi_thread.h"

#include <ngx_http_lua_ffi.h>

#include <stdio.h>
#include <stdlib.h>


#define TASKS       256
#define QUEUES      16
#define POLL_MAX    64
#define DEADLINE    60000
#define TEXT_MAX    16


typedef enum {
    QUEUED,
    TAKEN,
    DONE,
    GONE
} state_e;


typedef struct {
    ffi_task_t   *task;
    void         *handle;
    unsigned      queue;
    state_e       state;
    unsigned      abandoned:1;
    unsigned      told:1;
    unsigned      untold:1;      /* the next to be told of */
    unsigned      has_id:1;

    int           rc;
    unsigned      answer;            /* which it was; 0: sent back unseen */
    char          text[TEXT_MAX];    /* of the request, then of the answer */
} model_task_t;


typedef struct {
    ffi_queue_t  *queue;
    void         *handle;
    unsigned      closed:1;
    unsigned      gone:1;
    unsigned      has_fd:1;
    char          name[TEXT_MAX];

    unsigned      waiting[TASKS];
    unsigned      nwaiting;
} model_queue_t;


static model_task_t   tasks[TASKS];
static unsigned       ntasks;

static model_queue_t  queues[QUEUES];
static unsigned       nqueues;

/* on their way back, and answers that were given */
static unsigned       ndone;
static unsigned       nanswers;


/* ---- the model ---------------------------------------------------------- */


/* The polled, unanswered task of that handle, or NULL. */
static model_task_t *
taken(void *handle)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        if (tasks[i].handle == handle) {
            return tasks[i].state == TAKEN ? &tasks[i] : NULL;
        }
    }

    return NULL;
}


static model_queue_t *
live(void *handle)
{
    unsigned  i;

    for (i = 0; i < nqueues; i++) {
        if (queues[i].handle == handle) {
            return queues[i].gone ? NULL : &queues[i];
        }
    }

    return NULL;
}


/* The first of what waits in a list. */
static unsigned
shift(unsigned *list, unsigned *n)
{
    unsigned  first;

    check(*n > 0);
    first = list[0];
    memmove(list, list + 1, --*n * sizeof(*list));

    return first;
}


static unsigned
unanswered(unsigned queue)
{
    unsigned  i, n;

    for (i = 0, n = 0; i < ntasks; i++) {
        n += tasks[i].queue == queue && tasks[i].state != GONE;
    }

    return n;
}


static void
answered(model_task_t *t, unsigned answer, int rc, const char *text)
{
    t->state = DONE;
    t->answer = answer;
    t->rc = rc;
    (void) snprintf(t->text, TEXT_MAX, "%s", text);

    ndone++;
}


/* The answered task that is there. */
static model_task_t *
came_back(ffi_task_t *task)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        if (tasks[i].task == task && tasks[i].state == DONE) {
            return &tasks[i];
        }
    }

    return NULL;
}


static void
new_handle(void *handle)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        check(tasks[i].handle != handle);
    }

    for (i = 0; i < nqueues; i++) {
        check(queues[i].handle != handle);
    }
}


/* What was logged since: one line of that runtime and request, or none. */
static void
logged(unsigned lines, const char *name, const char *id)
{
    ffi_log_line_t  *line;

    while ((line = ffi_log_take()) != NULL) {
        check(lines-- > 0);
        check(strcmp(line->name, name) == 0);
        check(strcmp(line->id, id) == 0);
        free(line);
    }

    check(lines == 0);
    check(ffi_log_dropped() == 0);
}


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


/* ---- steps of the event loop -------------------------------------------- */


static void
create_queue(void)
{
    model_queue_t  *q;

    if (nqueues == QUEUES) {
        return;
    }

    q = &queues[nqueues];
    memset(q, 0, sizeof(*q));

    (void) snprintf(q->name, TEXT_MAX, "queue %u", nqueues);
    q->queue = ffi_queue_create(q, q->name, strlen(q->name));
    check(q->queue != NULL);

    q->handle = ffi_queue_handle(q->queue);
    new_handle(q->handle);
    nqueues++;
}


static model_queue_t *
any_queue(input_t *input)
{
    uint8_t  which;

    which = input_byte(input);

    return nqueues ? &queues[which % nqueues] : NULL;
}


static void
post(input_t *input)
{
    int             nil;
    model_task_t   *t;
    model_queue_t  *q;

    q = any_queue(input);

    if (q == NULL || q->closed || ntasks == TASKS) {
        return;
    }

    t = &tasks[ntasks];
    memset(t, 0, sizeof(*t));

    t->task = ffi_task_create();
    check(t->task != NULL);

    t->handle = ffi_task_handle(t->task);
    new_handle(t->handle);

    nil = input_byte(input) % 4 == 0;
    t->has_id = input_byte(input) % 2;
    t->queue = q - queues;
    (void) snprintf(t->text, TEXT_MAX, "request %u", ntasks++);

    check(ffi_task_set_request(t->task, t->text, 7, nil ? NULL : t->text,
                               nil ? 0 : strlen(t->text))
          == 0);
    check(!t->has_id || ffi_task_set_id(t->task, q->name, strlen(q->name)) == 0);

    t->task->deadline = ffi_spin_clock() / 1000000 + DEADLINE;
    atomic_store(&t->task->queue, q->queue);
    ffi_task_set_state(t->task, FFI_TASK_QUEUED);
    q->waiting[q->nwaiting++] = t - tasks;

    ffi_queue_push(q->queue, t->task);
    ffi_queue_wake(q->queue, 1);
}


static void
end_task(model_task_t *t)
{
    ffi_queue_forget(t->task->queue, t->task);
    ffi_task_destroy(t->task);
    t->state = GONE;
    t->untold = 0;
}


static void
drain(void)
{
    unsigned       last;
    ffi_task_t    *task, *next;
    model_task_t  *t;

    last = 0;

    for (task = ffi_done_take(); task != NULL; task = next) {
        next = task->next;
        t = came_back(task);
        check(t != NULL);

        if (t->answer) {
            check(t->answer > last);
            last = t->answer;
        }

        check(ffi_task_state(task) == FFI_TASK_DONE);
        check(task->rc == t->rc);
        check(task->response_len == strlen(t->text));
        check(memcmp(task->response, t->text, task->response_len) == 0);

        end_task(t);
        ndone--;
    }

    check(ndone == 0);
}


static void
abandon(input_t *input)
{
    model_task_t  *t;

    if (ntasks == 0) {
        return;
    }

    t = &tasks[input_byte(input) % ntasks];

    if (t->state == GONE) {
        return;
    }

    ffi_queue_abandon(t->task->queue, t->task);
    t->abandoned = 1;

    if (t->state == TAKEN && queues[t->queue].has_fd && !t->told) {
        t->told = 1;
        t->untold = 1;
    }
}


/* As a reload moves what nobody has polled. */
static void
move(input_t *input)
{
    ffi_task_t     *task;
    model_task_t   *t;
    model_queue_t  *from, *to;

    from = any_queue(input);
    to = any_queue(input);

    if (to == NULL || from == to || from->gone || to->closed) {
        return;
    }

    while ((task = ffi_queue_take_back(from->queue)) != NULL) {
        t = &tasks[shift(from->waiting, &from->nwaiting)];
        check(t->task == task);

        t->queue = to - queues;
        to->waiting[to->nwaiting++] = t - tasks;
        atomic_store(&task->queue, to->queue);
        ffi_queue_push(to->queue, task);
    }

    check(from->nwaiting == 0);
}


/* As for a runtime whose threads have all ended. */
static void
reclaim(model_queue_t *q)
{
    unsigned       i;
    ffi_task_t    *task;
    model_task_t  *t;

    while ((task = ffi_queue_take_back(q->queue)) != NULL) {
        t = &tasks[shift(q->waiting, &q->nwaiting)];
        check(t->task == task);

        ffi_task_set_state(task, FFI_TASK_DONE);
        ffi_task_take_response(task, 0, NULL, 0);
        end_task(t);
    }

    for (i = 0; i < ntasks; i++) {
        t = &tasks[i];

        if (t->queue != q - queues || t->state == GONE) {
            continue;
        }

        check((ffi_task_move(t->task, FFI_TASK_TAKEN, FFI_TASK_DONE) == 0)
              == (t->state == TAKEN));

        if (t->state == TAKEN) {
            ffi_task_take_response(t->task, 0, NULL, 0);
            end_task(t);
        }
    }
}


static void
close_queue(model_queue_t *q)
{
    if (!q->closed) {
        ffi_queue_close(q->queue);
        q->closed = 1;
    }
}


static void
destroy_queue(model_queue_t *q)
{
    if (!q->closed || q->gone || unanswered(q - queues)) {
        return;
    }

    ffi_queue_destroy(q->queue);
    ffi_thread_forget(q->queue);
    q->gone = 1;
}


/* ---- steps of guests ---------------------------------------------------- */


static void
expect_polled(model_queue_t *q, int max, void **polled, int n)
{
    int            i;
    model_task_t  *t;

    for (i = 0; i < max && q->nwaiting; /* void */ ) {
        t = &tasks[shift(q->waiting, &q->nwaiting)];

        if (t->abandoned) {
            answered(t, 0, 1, "abandoned");
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

    q = live(tq);

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
    q = live(tq);

    for (j = 0, waiting = 0; q != NULL && j < ntasks; j++) {
        waiting += tasks[j].queue == q - queues && tasks[j].state == TAKEN
                   && tasks[j].untold;
    }

    n = ngx_http_lua_ffi_poll_abandoned(tq, polled, max);
    check(n == (max < 0 ? 0 : max < (int) waiting ? max : (int) waiting));

    for (i = 0; i < n; i++) {
        t = taken(polled[i]);
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
    t = taken(handle);
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
        answered(t, ++nanswers, rc, text);
    }

    logged(t == NULL, "", "");
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
    t = taken(handle);

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
    q = live(tq);

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
    t = taken(handle);
    q = live(handle);

    ngx_http_lua_ffi_log(handle, (int8_t) input_byte(input), "line", 4);
    logged(1, q ? q->name : "", "");

    ngx_http_lua_ffi_log_task(handle, NGX_HTTP_LUA_FFI_LOG_ERR, "line", 4);
    q = t ? &queues[t->queue] : NULL;
    logged(1, q ? q->name : "",
           t && t->has_id ? (char *) t->task->id : "");
}


/* ---- the program -------------------------------------------------------- */


static void
step(input_t *input)
{
    model_queue_t  *q;

    switch (input_byte(input) % 15) {

    case 0:
        create_queue();
        break;

    case 1:
    case 2:
        post(input);
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
        drain();
        break;

    case 10:
        abandon(input);
        break;

    case 11:
        poll_abandoned(input);
        break;

    case 12:
        write_log(input);
        break;

    case 13:
        move(input);
        break;

    default:
        q = any_queue(input);

        if (q == NULL || q->gone) {
            break;
        }

        switch (input_byte(input) % 3) {

        case 0:
            close_queue(q);
            break;

        case 1:
            reclaim(q);
            break;

        default:
            destroy_queue(q);
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
            close_queue(&queues[i]);
            reclaim(&queues[i]);
        }
    }

    drain();

    for (i = 0; i < ntasks; i++) {
        check(tasks[i].state == GONE);
        check(ngx_http_lua_ffi_respond_copy(tasks[i].handle, 0, "", 0) == -1);
        logged(1, "", "");
    }

    for (i = 0; i < nqueues; i++) {
        destroy_queue(&queues[i]);
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
