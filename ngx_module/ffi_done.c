#include "ffi_done.h"

#include "ffi_spin.h"

#include <errno.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>


typedef struct {
    /* pushed by any thread, taken by the event loop */
    _Alignas(FFI_CACHE_LINE) _Atomic(ffi_task_t *)  head;
    atomic_int                                      cpu;

    _Alignas(FFI_CACHE_LINE) atomic_int             awake;
    atomic_int                                      fd;
} ffi_done_t;


static ffi_done_t  ffi_done = { .fd = -1 };


int
ffi_done_open(void)
{
    int  fd;

    fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);
    if (fd != -1) {
        atomic_store(&ffi_done.fd, fd);
    }

    return fd;
}


/* any thread */
void
ffi_done_kick(void)
{
    int       fd;
    ssize_t   n;
    uint64_t  one = 1;

    fd = atomic_load_explicit(&ffi_done.fd, memory_order_relaxed);
    if (fd == -1) {
        return;
    }

    /* EAGAIN means that the counter is full: readable all the same */
    do {
        n = write(fd, &one, sizeof(one));
    } while (n == -1 && errno == EINTR);
}


/* any thread */
void
ffi_done_push(ffi_task_t *task)
{
    ffi_task_t  *head;

    if (task->enqueued) {
        task->responded = ffi_spin_clock();
    }

    head = atomic_load_explicit(&ffi_done.head, memory_order_relaxed);

    /*
     * seq_cst: either this thread sees that the loop has gone to sleep, or
     * the loop's last look at the list sees this task
     */
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&ffi_done.head, &head, task));

    if (head != NULL) {
        return;
    }

    atomic_store_explicit(&ffi_done.cpu, sched_getcpu(), memory_order_relaxed);

    if (!atomic_load(&ffi_done.awake)) {
        ffi_done_kick();
    }
}


ffi_task_t *
ffi_done_take(void)
{
    ffi_task_t  *task, *next, *first;

    /* acquire: pairs with the push, whose task is read from here on */
    task = atomic_exchange_explicit(&ffi_done.head, NULL,
                                    memory_order_acq_rel);

    for (first = NULL; task != NULL; task = next) {
        next = task->next;
        task->next = first;
        first = task;
    }

    return first;
}


void
ffi_done_set_awake(int awake)
{
    atomic_store(&ffi_done.awake, awake);
}


/* any thread */
int
ffi_done_empty(void)
{
    return atomic_load(&ffi_done.head) == NULL;
}


int
ffi_done_cpu(void)
{
    return atomic_load_explicit(&ffi_done.cpu, memory_order_relaxed);
}
