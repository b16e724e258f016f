#include "handle.h"

#include "ffi_log.h"

#include <stdio.h>
#include <stdlib.h>


model_task_t   tasks[TASKS];
unsigned       ntasks;

model_queue_t  queues[QUEUES];
unsigned       nqueues;

unsigned       ndone;
unsigned       nanswers;


model_task_t *
model_taken(void *handle)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        if (tasks[i].handle == handle) {
            return tasks[i].state == TAKEN ? &tasks[i] : NULL;
        }
    }

    return NULL;
}


model_queue_t *
model_live(void *handle)
{
    unsigned  i;

    for (i = 0; i < nqueues; i++) {
        if (queues[i].handle == handle) {
            return queues[i].gone ? NULL : &queues[i];
        }
    }

    return NULL;
}


unsigned
model_shift(unsigned *list, unsigned *n)
{
    unsigned  first;

    check(*n > 0);
    first = list[0];
    memmove(list, list + 1, --*n * sizeof(*list));

    return first;
}


unsigned
model_unanswered(unsigned queue)
{
    unsigned  i, n;

    for (i = 0, n = 0; i < ntasks; i++) {
        n += tasks[i].queue == queue && tasks[i].state != GONE;
    }

    return n;
}


void
model_answered(model_task_t *t, unsigned answer, int rc, const char *text)
{
    t->state = DONE;
    t->answer = answer;
    t->rc = rc;
    (void) snprintf(t->text, TEXT_MAX, "%s", text);

    ndone++;
}


model_task_t *
model_came_back(ffi_task_t *task)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        if (tasks[i].task == task && tasks[i].state == DONE) {
            return &tasks[i];
        }
    }

    return NULL;
}


void
model_new(void *handle)
{
    unsigned  i;

    for (i = 0; i < ntasks; i++) {
        check(tasks[i].handle != handle);
    }

    for (i = 0; i < nqueues; i++) {
        check(queues[i].handle != handle);
    }
}


void
model_logged(unsigned lines, const char *name, const char *id)
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
