/*
 * The threads of this process as the kernel knows them: also those that never
 * called us.
 */

#ifndef FFI_PROCESS_H_INCLUDED
#define FFI_PROCESS_H_INCLUDED


#include <stddef.h>
#include <sys/types.h>


/* A thread's name, with its NUL: TASK_COMM_LEN of the kernel. */
#define FFI_PROCESS_NAME_MAX  16


typedef struct {
    size_t   n;
    pid_t    tids[];
} ffi_process_threads_t;


/* Any thread.  To be freed with free(); NULL without memory or /proc. */
ffi_process_threads_t *ffi_process_threads(void);

/* Any thread. */
int ffi_process_has(const ffi_process_threads_t *threads, pid_t tid);

/* Any thread.  Whether the thread has left user space for good. */
int ffi_process_gone(pid_t tid);

/* Any thread.  The thread's name; "" when it is gone. */
void ffi_process_name(pid_t tid, char name[FFI_PROCESS_NAME_MAX]);


#endif /* FFI_PROCESS_H_INCLUDED */
