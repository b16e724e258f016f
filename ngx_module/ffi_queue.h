/*
 * A task queue: the event loop pushes, the threads of one runtime poll.
 *
 * Pushing is lock-free and wakes nobody; the event loop wakes consumers once
 * for all that it pushed.  After the queue is closed, consumers get what is
 * left and then its end, each as often as it asks.
 *
 * Queues live in slots that are never freed: a poll on the handle of a queue
 * that is gone finds its end.
 */

#ifndef FFI_QUEUE_H_INCLUDED
#define FFI_QUEUE_H_INCLUDED


#include "ffi_spin.h"
#include "ffi_task.h"


typedef struct ffi_member_s  ffi_member_t;

/* The threads seen on a queue; ffi_thread.c's, which guards it. */
typedef struct {
    ffi_member_t             *members;
    unsigned                  number;        /* names the threads */
    unsigned                  told;          /* somebody was, of the end */
    unsigned                  untracked;     /* seen without memory to note */
} ffi_crew_t;


#define FFI_QUEUE_NAME_MAX  128


/* What a poll returns besides a number of tasks. */
#define FFI_QUEUE_END      (-1)


/* Once per process, before anything else here. */
void ffi_queue_init(void);

/*
 * Event loop.  An open queue, or NULL when memory or handles ran out.
 * data is the owner's; name is copied and cut at FFI_QUEUE_NAME_MAX.
 */
ffi_queue_t *ffi_queue_create(void *data, const char *name, size_t len);

/*
 * Event loop.  Makes the handle stale and closes the event descriptor.  The
 * queue must be closed and empty; pollers that are still inside are let out.
 */
void ffi_queue_destroy(ffi_queue_t *queue);

/* Event loop. */
void *ffi_queue_handle(const ffi_queue_t *queue);
void *ffi_queue_data(const ffi_queue_t *queue);

/*
 * Event loop, or between enter and leave.  The queue that the handle names, or
 * NULL when it is gone.
 */
ffi_queue_t *ffi_queue_lookup(const void *handle);

/*
 * Any thread.  As lookup; the queue's slot is not reused until leave().
 */
ffi_queue_t *ffi_queue_enter(const void *handle);
void ffi_queue_leave(ffi_queue_t *queue);

/* Any thread, between enter and leave. */
const char *ffi_queue_name(const ffi_queue_t *queue);

/*
 * What the load knows of the library: the path that it was found at, and its
 * own word on why it failed.  The queue takes over what is set (malloc()ed);
 * the path stays with the queue, the error is the taker's to free.
 *
 * Any thread, between enter and leave.
 */
const char *ffi_queue_path(ffi_queue_t *queue);
void ffi_queue_set_path(ffi_queue_t *queue, char *path);
void ffi_queue_set_error(ffi_queue_t *queue, char *error);
char *ffi_queue_take_error(ffi_queue_t *queue);

/*
 * Whether the runtime is to replace another one with fresh code: set by the
 * event loop before the load starts; any thread, between enter and leave.
 */
void ffi_queue_set_reload(ffi_queue_t *queue);
int ffi_queue_is_reload(ffi_queue_t *queue);

/* Any thread that keeps the queue from being destroyed. */
ffi_crew_t *ffi_queue_crew(ffi_queue_t *queue);

/* Any thread.  The queue must be open. */
void ffi_queue_push(ffi_queue_t *queue, ffi_task_t *task);

/* Any thread.  Wakes consumers for n tasks that were pushed before. */
void ffi_queue_wake(ffi_queue_t *queue, int n);

/* Event loop.  Nothing may be pushed afterwards; wakes every consumer. */
void ffi_queue_close(ffi_queue_t *queue);

/* Any thread, between enter and leave. */
int ffi_queue_closed(ffi_queue_t *queue);

/*
 * Any thread, between enter and leave.  Takes up to max tasks, which are then
 * TAKEN; waits at most timeout_ms for the first, for ever when negative.
 * Tasks whose caller is gone are sent back unseen.  Returns their number, 0
 * when time ran out, or FFI_QUEUE_END.
 */
int ffi_queue_poll(ffi_queue_t *queue, ffi_task_t **tasks, int max,
    int timeout_ms, ffi_spin_t *spin);

/*
 * Any thread.  Whether tasks wait that nobody has polled, those included whose
 * caller is gone; and a number that changes whenever somebody polls some.
 */
int ffi_queue_waiting(ffi_queue_t *queue);
unsigned ffi_queue_polls(ffi_queue_t *queue);

/* Any thread.  How many tasks have left it, whoever took them. */
uint64_t ffi_queue_taken(ffi_queue_t *queue);

/*
 * Event loop.  Takes one task that nobody polled, which stays QUEUED; NULL
 * when there is none.
 */
ffi_task_t *ffi_queue_take_back(ffi_queue_t *queue);

/*
 * Any thread, between enter and leave.  An eventfd that becomes readable when
 * tasks wait after a poll with timeout 0 found none; -1 with errno.
 */
int ffi_queue_event_fd(ffi_queue_t *queue);

/* Event loop.  Whether somebody has asked for it. */
int ffi_queue_has_fd(ffi_queue_t *queue);

/*
 * Event loop.  Marks a task whose caller is gone, as often as it likes.  Where
 * the descriptor was asked for, a task that is TAKEN is told of once.
 */
void ffi_queue_abandon(ffi_queue_t *queue, ffi_task_t *task);

/* Event loop, before a task that came back is answered to the runtime. */
void ffi_queue_forget(ffi_queue_t *queue, ffi_task_t *task);

/*
 * Any thread, between enter and leave.  Handles of up to max tasks that are
 * told of; returns how many.
 */
int ffi_queue_poll_abandoned(ffi_queue_t *queue, void **handles, int max);


#endif /* FFI_QUEUE_H_INCLUDED */
