#include "ffi_queue.h"

#include "ffi_done.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>


struct ffi_queue_s {
    ffi_slot_t                                      slot;

    /* guarded by ffi_thread.c */
    ffi_crew_t                                      crew;

    /* event loop only */
    void                                           *data;
    ffi_queue_t                                    *retired;

    /* set once before start */
    char                                            name[FFI_QUEUE_NAME_MAX];

    /* load thread, then constant until the queue is destroyed; owned */
    _Atomic(char *)                                 path;

    /* any thread during the load; owned */
    _Atomic(char *)                                 error;

    /* any thread: newest first, pushed and exchanged without a lock */
    _Alignas(FFI_CACHE_LINE) _Atomic(ffi_task_t *)  pushed;

    /* any thread */
    _Alignas(FFI_CACHE_LINE) atomic_int             users;
    atomic_int                                      sleepers;
    atomic_uint                                     wakeups;   /* the futex */
    atomic_int                                      closed;
    atomic_int                                      fd;
    atomic_int                                      fd_armed;
    atomic_int                                      reload;
    atomic_int                                      push_cpu;

    /*
     * guarded by lock, read without it only to see whether it is NULL, or
     * another number
     */
    _Alignas(FFI_CACHE_LINE) pthread_mutex_t        lock;
    atomic_uint                                     polls;
    _Atomic uint64_t                                taken;
    _Atomic(ffi_task_t *)                           ready;     /* oldest first */
    ffi_task_link_t                                 gone;      /* to be told */
};


static ffi_table_t   ffi_queues;

/* event loop only: gone, but a poller may still be on its way out */
static ffi_queue_t  *ffi_retired;


static ffi_queue_t *ffi_queue_reuse(void);
static void ffi_queue_drop(ffi_queue_t *queue);
static ffi_task_t *ffi_queue_pop(ffi_queue_t *queue);
static int ffi_queue_take(ffi_queue_t *queue, ffi_task_t **tasks, int max);
static int ffi_queue_has_work(void *data);
static int ffi_queue_idle(ffi_queue_t *queue);
static int ffi_queue_spin(ffi_queue_t *queue, ffi_spin_t *spin);
static void ffi_queue_sleep(ffi_queue_t *queue, int64_t ns);
static void ffi_queue_signal_fd(ffi_queue_t *queue);
static int ffi_queue_arm_fd(ffi_queue_t *queue);
static long ffi_futex(atomic_uint *word, int op, unsigned value,
    const struct timespec *timeout);


void
ffi_queue_init(void)
{
    ffi_table_init(&ffi_queues, FFI_HANDLE_QUEUE, sizeof(ffi_queue_t));
}


static long
ffi_futex(atomic_uint *word, int op, unsigned value,
    const struct timespec *timeout)
{
    return syscall(SYS_futex, word, op|FUTEX_PRIVATE_FLAG, value, timeout,
                   NULL, 0);
}


/* A retired queue that its last poller has left. */
static ffi_queue_t *
ffi_queue_reuse(void)
{
    ffi_queue_t  *queue, **last;

    for (last = &ffi_retired; *last != NULL; last = &queue->retired) {
        queue = *last;

        /*
         * seq_cst: pairs with ffi_queue_enter(), which announces itself
         * before it compares the generation
         */
        if (atomic_load(&queue->users) == 0) {
            *last = queue->retired;
            return queue;
        }
    }

    return NULL;
}


ffi_queue_t *
ffi_queue_create(void *data, const char *name, size_t len)
{
    ffi_queue_t  *queue;

    queue = ffi_queue_reuse();

    if (queue == NULL) {
        queue = (ffi_queue_t *) ffi_table_take(&ffi_queues);
        if (queue == NULL) {
            return NULL;
        }

        pthread_mutex_init(&queue->lock, NULL);
        atomic_store(&queue->fd, -1);
    }

    if (len >= FFI_QUEUE_NAME_MAX) {
        len = FFI_QUEUE_NAME_MAX - 1;
    }

    memcpy(queue->name, name, len);
    queue->name[len] = '\0';

    /* left by a guest that was inside when the last queue here ended */
    ffi_queue_drop(queue);

    ffi_task_list_init(&queue->gone);
    queue->crew = (ffi_crew_t) { 0 };
    queue->data = data;
    queue->retired = NULL;
    atomic_store(&queue->closed, 0);
    atomic_store(&queue->fd_armed, 0);
    atomic_store(&queue->reload, 0);
    atomic_store(&queue->taken, 0);

    atomic_store(&queue->slot.word,
                 ffi_slot_word(ffi_slot_gen(atomic_load(&queue->slot.word)), 1));

    return queue;
}


/* What a queue owns. */
static void
ffi_queue_drop(ffi_queue_t *queue)
{
    int  fd;

    fd = atomic_exchange(&queue->fd, -1);
    if (fd != -1) {
        (void) close(fd);
    }

    free(atomic_exchange(&queue->path, NULL));
    free(atomic_exchange(&queue->error, NULL));
}


void
ffi_queue_destroy(ffi_queue_t *queue)
{
    ffi_slot_retire(&queue->slot);
    ffi_queue_drop(queue);

    queue->data = NULL;
    queue->retired = ffi_retired;
    ffi_retired = queue;
}


void *
ffi_queue_handle(const ffi_queue_t *queue)
{
    return ffi_slot_handle(&queue->slot);
}


void *
ffi_queue_data(const ffi_queue_t *queue)
{
    return queue->data;
}


ffi_queue_t *
ffi_queue_lookup(const void *handle)
{
    uint64_t     gen, word;
    ffi_slot_t  *slot;

    slot = ffi_table_find(&ffi_queues, handle, &gen);
    if (slot == NULL) {
        return NULL;
    }

    word = atomic_load(&slot->word);

    if (ffi_slot_gen(word) != gen || ffi_slot_state(word) == FFI_SLOT_FREE) {
        return NULL;
    }

    return (ffi_queue_t *) slot;
}


/* any thread */
ffi_queue_t *
ffi_queue_enter(const void *handle)
{
    uint64_t      gen;
    ffi_slot_t   *slot;
    ffi_queue_t  *queue;

    slot = ffi_table_find(&ffi_queues, handle, &gen);
    if (slot == NULL) {
        return NULL;
    }

    queue = (ffi_queue_t *) slot;

    /* seq_cst: pairs with retire, then ffi_queue_reuse() */
    atomic_fetch_add(&queue->users, 1);

    if (ffi_queue_lookup(handle) == NULL) {
        ffi_queue_leave(queue);
        return NULL;
    }

    return queue;
}


/* any thread */
void
ffi_queue_leave(ffi_queue_t *queue)
{
    /* release: all that was done with the queue comes before its reuse */
    atomic_fetch_sub_explicit(&queue->users, 1, memory_order_release);
}


/* any thread */
const char *
ffi_queue_name(const ffi_queue_t *queue)
{
    return queue->name;
}


/* any thread */
const char *
ffi_queue_path(ffi_queue_t *queue)
{
    return atomic_load(&queue->path);
}


void
ffi_queue_set_reload(ffi_queue_t *queue)
{
    atomic_store(&queue->reload, 1);
}


/* any thread */
int
ffi_queue_is_reload(ffi_queue_t *queue)
{
    return atomic_load(&queue->reload);
}


/* load thread */
void
ffi_queue_set_path(ffi_queue_t *queue, char *path)
{
    free(atomic_exchange(&queue->path, path));
}


/* any thread */
void
ffi_queue_set_error(ffi_queue_t *queue, char *error)
{
    free(atomic_exchange(&queue->error, error));
}


/* load thread */
char *
ffi_queue_take_error(ffi_queue_t *queue)
{
    return atomic_exchange(&queue->error, NULL);
}


int
ffi_queue_has_fd(ffi_queue_t *queue)
{
    return atomic_load(&queue->fd) != -1;
}


ffi_crew_t *
ffi_queue_crew(ffi_queue_t *queue)
{
    return &queue->crew;
}


/* any thread */
void
ffi_queue_push(ffi_queue_t *queue, ffi_task_t *task)
{
    ffi_task_t  *head;

    head = atomic_load_explicit(&queue->pushed, memory_order_relaxed);

    /* seq_cst: pairs with a consumer's last look before it sleeps */
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak(&queue->pushed, &head, task));

    if (head == NULL) {
        atomic_store_explicit(&queue->push_cpu, sched_getcpu(),
                              memory_order_relaxed);
    }
}


/* any thread */
void
ffi_queue_wake(ffi_queue_t *queue, int n)
{
    /*
     * seq_cst: pairs with ffi_queue_sleep(); either the sleeper is seen here,
     * or the sleeper sees what was pushed
     */
    if (atomic_load(&queue->sleepers) > 0) {
        atomic_fetch_add(&queue->wakeups, 1);
        (void) ffi_futex(&queue->wakeups, FUTEX_WAKE, n, NULL);
    }

    /* seq_cst: pairs with the arming in ffi_queue_poll() */
    if (atomic_load(&queue->fd_armed)
        && atomic_exchange(&queue->fd_armed, 0))
    {
        ffi_queue_signal_fd(queue);
    }
}


void
ffi_queue_close(ffi_queue_t *queue)
{
    atomic_store(&queue->closed, 1);

    atomic_fetch_add(&queue->wakeups, 1);
    (void) ffi_futex(&queue->wakeups, FUTEX_WAKE, INT_MAX, NULL);

    ffi_queue_signal_fd(queue);
}


int
ffi_queue_closed(ffi_queue_t *queue)
{
    return atomic_load(&queue->closed);
}


/* guarded by lock */
static ffi_task_t *
ffi_queue_pop(ffi_queue_t *queue)
{
    ffi_task_t  *task, *next, *ready;

    ready = atomic_load_explicit(&queue->ready, memory_order_relaxed);

    if (ready == NULL) {
        /* acquire: pairs with the push */
        task = atomic_load_explicit(&queue->pushed, memory_order_relaxed);
        if (task == NULL) {
            return NULL;
        }

        task = atomic_exchange_explicit(&queue->pushed, NULL,
                                        memory_order_acq_rel);

        for ( /* void */ ; task != NULL; task = next) {
            next = task->next;
            task->next = ready;
            ready = task;
        }
    }

    /* seq_cst: read without the lock by ffi_queue_has_work() */
    atomic_store(&queue->ready, ready->next);

    /* relaxed: a number that orders nothing */
    atomic_store_explicit(&queue->taken,
                          atomic_load_explicit(&queue->taken,
                                               memory_order_relaxed) + 1,
                          memory_order_relaxed);

    return ready;
}


/* any thread */
static int
ffi_queue_take(ffi_queue_t *queue, ffi_task_t **tasks, int max)
{
    int          n;
    int64_t      now;
    ffi_task_t  *task, *dropped;

    n = 0;
    now = 0;
    dropped = NULL;

    pthread_mutex_lock(&queue->lock);

    while (n < max) {
        task = ffi_queue_pop(queue);
        if (task == NULL) {
            break;
        }

        if (atomic_load_explicit(&task->abandoned, memory_order_relaxed)) {
            (void) ffi_task_move(task, FFI_TASK_QUEUED, FFI_TASK_DONE);
            ffi_task_static_response(task, 1, "abandoned");
            task->next = dropped;
            dropped = task;
            continue;
        }

        if (task->enqueued) {
            now = now ? now : ffi_spin_clock();
            task->polled = now;
        }

        (void) ffi_task_move(task, FFI_TASK_QUEUED, FFI_TASK_TAKEN);
        tasks[n++] = task;
    }

    if (n > 0 || dropped != NULL) {
        /* relaxed: it is a sign of life and orders nothing */
        atomic_store_explicit(&queue->polls,
                              atomic_load_explicit(&queue->polls,
                                                   memory_order_relaxed) + 1,
                              memory_order_relaxed);
    }

    pthread_mutex_unlock(&queue->lock);

    while (dropped != NULL) {
        task = dropped;
        dropped = task->next;
        ffi_done_push(task);
    }

    return n;
}


/* any thread */
int
ffi_queue_waiting(ffi_queue_t *queue)
{
    return atomic_load(&queue->pushed) != NULL
           || atomic_load(&queue->ready) != NULL;
}


unsigned
ffi_queue_polls(ffi_queue_t *queue)
{
    return atomic_load_explicit(&queue->polls, memory_order_relaxed);
}


/* any thread */
uint64_t
ffi_queue_taken(ffi_queue_t *queue)
{
    return atomic_load_explicit(&queue->taken, memory_order_relaxed);
}


/* any thread */
static int
ffi_queue_has_work(void *data)
{
    ffi_queue_t  *queue = data;

    return ffi_queue_waiting(queue) || atomic_load(&queue->closed);
}


/*
 * any thread, announced; whether it may sleep.  Under the lock: while another
 * takes a batch over, what it leaves is in neither list.
 */
static int
ffi_queue_idle(ffi_queue_t *queue)
{
    int  idle;

    pthread_mutex_lock(&queue->lock);
    idle = !ffi_queue_has_work(queue);
    pthread_mutex_unlock(&queue->lock);

    return idle;
}


/* any thread */
static int
ffi_queue_spin(ffi_queue_t *queue, ffi_spin_t *spin)
{
    if (!ffi_spin_worth(spin)) {
        return 0;
    }

    if (!ffi_spin_until(ffi_queue_has_work, queue)) {
        ffi_spin_miss(spin);
        return 0;
    }

    if (atomic_load_explicit(&queue->push_cpu, memory_order_relaxed)
        == sched_getcpu())
    {
        ffi_spin_miss(spin);

    } else {
        ffi_spin_hit(spin);
    }

    return 1;
}


/* any thread; ns is negative to sleep for ever */
static void
ffi_queue_sleep(ffi_queue_t *queue, int64_t ns)
{
    unsigned         seen;
    struct timespec  ts;

    ts.tv_sec = ns / 1000000000;
    ts.tv_nsec = ns % 1000000000;

    seen = atomic_load(&queue->wakeups);

    /* seq_cst: pairs with ffi_queue_wake() */
    atomic_fetch_add(&queue->sleepers, 1);

    if (ffi_queue_idle(queue)) {
        (void) ffi_futex(&queue->wakeups, FUTEX_WAIT, seen,
                         ns < 0 ? NULL : &ts);
    }

    atomic_fetch_sub(&queue->sleepers, 1);
}


/* any thread */
int
ffi_queue_poll(ffi_queue_t *queue, ffi_task_t **tasks, int max, int timeout_ms,
    ffi_spin_t *spin)
{
    int      n;
    int64_t  end, left;

    end = timeout_ms > 0 ? ffi_spin_clock() + timeout_ms * INT64_C(1000000) : 0;

    for ( ;; ) {
        n = ffi_queue_take(queue, tasks, max);
        if (n > 0) {
            return n;
        }

        if (atomic_load(&queue->closed)) {
            /* closed after the last push: what is not there now never comes */
            n = ffi_queue_take(queue, tasks, max);
            if (n > 0) {
                return n;
            }

            /* others may wait for the descriptor, which this one has read */
            ffi_queue_signal_fd(queue);

            return FFI_QUEUE_END;
        }

        if (timeout_ms == 0) {
            if (!ffi_queue_arm_fd(queue)) {
                return 0;
            }

            continue;
        }

        if (ffi_queue_spin(queue, spin)) {
            continue;
        }

        left = -1;

        if (timeout_ms > 0) {
            left = end - ffi_spin_clock();
            if (left <= 0) {
                return 0;
            }
        }

        ffi_queue_sleep(queue, left);
    }
}


ffi_task_t *
ffi_queue_take_back(ffi_queue_t *queue)
{
    ffi_task_t  *task;

    pthread_mutex_lock(&queue->lock);
    task = ffi_queue_pop(queue);
    pthread_mutex_unlock(&queue->lock);

    return task;
}


/* any thread */
static void
ffi_queue_signal_fd(ffi_queue_t *queue)
{
    int       fd;
    ssize_t   n;
    uint64_t  one = 1;

    fd = atomic_load(&queue->fd);
    if (fd == -1) {
        return;
    }

    do {
        n = write(fd, &one, sizeof(one));
    } while (n == -1 && errno == EINTR);
}


/*
 * any thread; whether there is work after all
 */
static int
ffi_queue_arm_fd(ffi_queue_t *queue)
{
    if (atomic_load_explicit(&queue->fd, memory_order_relaxed) == -1) {
        return 0;
    }

    /* seq_cst: pairs with ffi_queue_wake() */
    atomic_store(&queue->fd_armed, 1);

    return !ffi_queue_idle(queue);
}


/* any thread */
int
ffi_queue_event_fd(ffi_queue_t *queue)
{
    int  fd, none;

    fd = atomic_load(&queue->fd);
    if (fd != -1) {
        return fd;
    }

    /* readable from the start: tasks may wait already */
    fd = eventfd(1, EFD_NONBLOCK|EFD_CLOEXEC);
    if (fd == -1) {
        return -1;
    }

    none = -1;

    if (!atomic_compare_exchange_strong(&queue->fd, &none, fd)) {
        (void) close(fd);
        return none;
    }

    return fd;
}


void
ffi_queue_abandon(ffi_queue_t *queue, ffi_task_t *task)
{
    int  first;

    /* relaxed: who polls it later has the lock after this, below */
    atomic_store_explicit(&task->abandoned, 1, memory_order_relaxed);

    if (task->told || atomic_load(&queue->fd) == -1) {
        return;
    }

    first = 0;

    pthread_mutex_lock(&queue->lock);

    /* a poll sends a QUEUED one back unseen from here on */
    if (ffi_task_state(task) == FFI_TASK_TAKEN) {
        first = ffi_task_list_empty(&queue->gone);
        ffi_task_link_append(&queue->gone, &task->gone);
        task->told = 1;
    }

    pthread_mutex_unlock(&queue->lock);

    if (first) {
        ffi_queue_signal_fd(queue);
    }
}


void
ffi_queue_forget(ffi_queue_t *queue, ffi_task_t *task)
{
    pthread_mutex_lock(&queue->lock);

    if (task->gone.next != NULL) {
        ffi_task_link_remove(&task->gone);
        task->gone.next = NULL;
    }

    pthread_mutex_unlock(&queue->lock);
}


/* any thread */
int
ffi_queue_poll_abandoned(ffi_queue_t *queue, void **handles, int max)
{
    int          n;
    ffi_task_t  *task;

    n = 0;

    pthread_mutex_lock(&queue->lock);

    while (n < max && !ffi_task_list_empty(&queue->gone)) {
        task = (ffi_task_t *) ((char *) queue->gone.next
                               - offsetof(ffi_task_t, gone));

        ffi_task_link_remove(&task->gone);
        task->gone.next = NULL;

        if (ffi_task_state(task) == FFI_TASK_TAKEN) {
            /* in the list until now: its handle is not retired yet */
            handles[n++] = ffi_task_handle(task);
        }
    }

    pthread_mutex_unlock(&queue->lock);

    return n;
}
