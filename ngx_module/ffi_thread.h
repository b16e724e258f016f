/*
 * The threads of libraries: who polls and responds for which queue, and who
 * of them has ended.  Whether a library's code may be unmapped, and whether a
 * runtime still has anybody to answer, is decided by these facts.
 */

#ifndef FFI_THREAD_H_INCLUDED
#define FFI_THREAD_H_INCLUDED


#include <pthread.h>

#include "ffi_process.h"
#include "ffi_queue.h"


typedef struct {
    unsigned  pollers;     /* alive, and not yet told the queue's end */
    unsigned  told;        /* whether any poller was, even one that ended */
    unsigned  polled;      /* alive or not: threads that ever polled */
    unsigned  alive;       /* pollers, told or not, and responders */
    unsigned  untracked;   /* unknown whether alive: there was no memory */
} ffi_thread_census_t;


/* Event loop, once per process.  -1 with errno set. */
int ffi_thread_init(void);

/*
 * Event loop.  Starts a thread for a library's code: it takes none of nginx's
 * signals, nor does any that it starts.  0, or an errno.
 */
int ffi_thread_create(pthread_t *thread, void *(*start)(void *), void *data);

/*
 * Any thread, between enter and leave.  Notes that this thread polls, or
 * responds for, the queue, unless that is not the handle's any more.
 */
void ffi_thread_polls(ffi_queue_t *queue, void *handle);
void ffi_thread_responds(ffi_queue_t *queue, void *handle);

/*
 * Any thread, between enter and leave.  Notes that this thread got the
 * queue's end, and wakes the event loop.
 */
void ffi_thread_told(ffi_queue_t *queue);

/*
 * Load thread.  What libffi_init() is called between: begin() names the
 * thread, and with it all that it starts, after the queue, and returns the
 * threads of before; started() notes those that came since and frees the
 * list.  A thread that has not polled yet runs the library's code already.
 */
ffi_process_threads_t *ffi_thread_begin(ffi_queue_t *queue);
void ffi_thread_started(ffi_queue_t *queue, ffi_process_threads_t *before);

/* Any thread.  The calling thread's spin state. */
ffi_spin_t *ffi_thread_spin(void);

/* Event loop. */
void ffi_thread_count(ffi_queue_t *queue, ffi_thread_census_t *census);

/* Event loop.  Whether the thread tid was seen on the queue. */
int ffi_thread_seen(ffi_queue_t *queue, int tid);

/*
 * Event loop.  Whether a thread that was seen on no queue may have been started
 * by those of this one: unless it bears the name of another.
 */
int ffi_thread_may_belong(ffi_queue_t *queue, int tid);

/*
 * Any thread; may block.  Whether every thread of the queue, started for it
 * or seen on it, has left user space for good within timeout_ms.
 */
int ffi_thread_wait_gone(ffi_queue_t *queue, int timeout_ms);

/* Event loop, after the queue was destroyed: nobody is noted any more. */
void ffi_thread_forget(ffi_queue_t *queue);


#endif /* FFI_THREAD_H_INCLUDED */
