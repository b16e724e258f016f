/*
 * The model that handles are checked against, and the steps of the event loop,
 * which change both.
 */

#ifndef HANDLE_H_INCLUDED
#define HANDLE_H_INCLUDED


#include "../test/check.h"
#include "input.h"

#include "ffi_queue.h"


#define TASKS       256
#define QUEUES      16
#define DEADLINE    60000    /* ms */
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


extern model_task_t   tasks[TASKS];
extern unsigned       ntasks;

extern model_queue_t  queues[QUEUES];
extern unsigned       nqueues;

/* on their way back, and answers that were given */
extern unsigned       ndone;
extern unsigned       nanswers;


/* The polled, unanswered task of that handle; the queue that is not gone. */
model_task_t *model_taken(void *handle);
model_queue_t *model_live(void *handle);

/* The first of what waits in a list. */
unsigned model_shift(unsigned *list, unsigned *n);

/* A task is on its way back; answer 0: unseen by any guest. */
void model_answered(model_task_t *t, unsigned answer, int rc,
    const char *text);

/* The answered task that is there, or NULL. */
model_task_t *model_came_back(ffi_task_t *task);

/* How many tasks of a queue are not gone. */
unsigned model_unanswered(unsigned queue);

/* That no such handle was ever given. */
void model_new(void *handle);

/* What was logged since: lines of that runtime and request. */
void model_logged(unsigned lines, const char *name, const char *id);


/* ---- the event loop ----------------------------------------------------- */


void loop_create_queue(void);
void loop_post(input_t *input);
void loop_drain(void);
void loop_abandon(input_t *input);

/* NULL when there is none. */
model_queue_t *loop_any_queue(input_t *input);

/* As a reload moves what nobody has polled. */
void loop_move(input_t *input);

/* As for a runtime whose threads have all ended. */
void loop_reclaim(model_queue_t *q);

void loop_close_queue(model_queue_t *q);

/* Does nothing before the queue is closed and has no task. */
void loop_destroy_queue(model_queue_t *q);


#endif /* HANDLE_H_INCLUDED */
