#include "handle.h"

#include "ffi_done.h"
#include "ffi_thread.h"

#include <stdio.h>


void
loop_create_queue(void)
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
    model_new(q->handle);
    nqueues++;
}


model_queue_t *
loop_any_queue(input_t *input)
{
    uint8_t  which;

    which = input_byte(input);

    return nqueues ? &queues[which % nqueues] : NULL;
}


void
loop_post(input_t *input)
{
    int             nil;
    model_task_t   *t;
    model_queue_t  *q;

    q = loop_any_queue(input);

    if (q == NULL || q->closed || ntasks == TASKS) {
        return;
    }

    t = &tasks[ntasks];
    memset(t, 0, sizeof(*t));

    t->task = ffi_task_create();
    check(t->task != NULL);

    t->handle = ffi_task_handle(t->task);
    model_new(t->handle);

    nil = input_byte(input) % 4 == 0;
    t->has_id = input_byte(input) % 2;
    t->queue = q - queues;
    (void) snprintf(t->text, TEXT_MAX, "request %u", ntasks++);

    check(ffi_task_set_request(t->task, t->text, 7, nil ? NULL : t->text,
                               nil ? 0 : strlen(t->text))
          == 0);
    check(!t->has_id
          || ffi_task_set_id(t->task, q->name, strlen(q->name)) == 0);

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


void
loop_drain(void)
{
    unsigned       last;
    ffi_task_t    *task, *next;
    model_task_t  *t;

    last = 0;

    for (task = ffi_done_take(); task != NULL; task = next) {
        next = task->next;
        t = model_came_back(task);
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


void
loop_abandon(input_t *input)
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


void
loop_move(input_t *input)
{
    ffi_task_t     *task;
    model_task_t   *t;
    model_queue_t  *from, *to;

    from = loop_any_queue(input);
    to = loop_any_queue(input);

    if (to == NULL || from == to || from->gone || to->closed) {
        return;
    }

    while ((task = ffi_queue_take_back(from->queue)) != NULL) {
        t = &tasks[model_shift(from->waiting, &from->nwaiting)];
        check(t->task == task);

        t->queue = to - queues;
        to->waiting[to->nwaiting++] = t - tasks;
        atomic_store(&task->queue, to->queue);
        ffi_queue_push(to->queue, task);
    }

    check(from->nwaiting == 0);
}


void
loop_reclaim(model_queue_t *q)
{
    unsigned       i;
    ffi_task_t    *task;
    model_task_t  *t;

    while ((task = ffi_queue_take_back(q->queue)) != NULL) {
        t = &tasks[model_shift(q->waiting, &q->nwaiting)];
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


void
loop_close_queue(model_queue_t *q)
{
    if (!q->closed) {
        ffi_queue_close(q->queue);
        q->closed = 1;
    }
}


void
loop_destroy_queue(model_queue_t *q)
{
    if (!q->closed || q->gone || model_unanswered(q - queues)) {
        return;
    }

    ffi_queue_destroy(q->queue);
    ffi_thread_forget(q->queue);
    q->gone = 1;
}
