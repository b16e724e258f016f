/*
 * Which thread is running which call, at this moment.  All functions need the
 * GIL.
 */

#ifndef SERVING_H_INCLUDED
#define SERVING_H_INCLUDED


typedef struct serving_s  serving_t;

/* On the stack of the thread that runs the call. */
struct serving_s {
    serving_t      *prev;
    serving_t      *next;
    void           *task;
    unsigned long   thread;     /* as threading.get_ident() has it */
};


void serving_begin(serving_t *serving, void *task);
void serving_end(serving_t *serving);

/* The thread that runs the task, or 0: none does now. */
unsigned long serving_thread(void *task);


#endif /* SERVING_H_INCLUDED */
