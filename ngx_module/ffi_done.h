/*
 * The done list: finished tasks on their way back to the event loop, and the
 * eventfd that wakes it.  One per process.
 *
 * Any number of threads push, the event loop takes all.  The eventfd is
 * written only when the list was empty and the loop is asleep or about to be.
 */

#ifndef FFI_DONE_H_INCLUDED
#define FFI_DONE_H_INCLUDED


#include "ffi_task.h"


/*
 * Event loop, once before any thread pushes.  Returns the eventfd, or -1 with
 * errno set.  It stays open as long as the process: guest threads outlive the
 * loop.
 */
int ffi_done_open(void);

/* Any thread.  The task must be DONE, and is the event loop's from here on. */
void ffi_done_push(ffi_task_t *task);

/* Any thread.  Wakes the event loop for something else than a task. */
void ffi_done_kick(void);

/* Event loop.  All finished tasks, oldest first, linked by next. */
ffi_task_t *ffi_done_take(void);

/*
 * Event loop.  While awake, nobody writes the eventfd.  Who turns it off must
 * look at the list once more afterwards.
 */
void ffi_done_set_awake(int awake);

/* Any thread.  Whether the list has no task. */
int ffi_done_empty(void);

/* Event loop.  The CPU that the last push to an empty list ran on. */
int ffi_done_cpu(void);


#endif /* FFI_DONE_H_INCLUDED */
