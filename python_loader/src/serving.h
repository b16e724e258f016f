/*
 * Which thread is running which call, at this moment.  All functions need the
 * GIL.
 */

#ifndef SERVING_H_INCLUDED
#define SERVING_H_INCLUDED


#include "python_system.h"


typedef struct serving_s  serving_t;

/* On the stack of the thread that runs the call. */
struct serving_s {
    serving_t      *prev;
    serving_t      *next;
    void           *task;
    PyObject       *object;     /* of the task; NULL: nobody has asked for it */
    unsigned long   thread;     /* as threading.get_ident() has it */
};


/* The object stays the caller's. */
void serving_begin(serving_t *serving, void *task, PyObject *object);
void serving_end(serving_t *serving);

/*
 * What this thread runs, or NULL.  Not in thread-local memory: the process
 * ends when a thread cannot have that.
 */
serving_t *serving_here(void);

/* The thread that runs the task, or 0: none does now. */
unsigned long serving_thread(void *task);


#endif /* SERVING_H_INCLUDED */
