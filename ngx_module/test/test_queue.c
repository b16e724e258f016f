#include "check.h"
#include "ffi_done.h"
#include "ffi_queue.h"
#include "ffi_thread.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>


#define PRODUCERS  4
#define CONSUMERS  4
#define TASKS      (64 * 1024)
#define BATCH      8


static void        *handle;
static ffi_task_t  *tasks[TASKS];
static atomic_int   seen[TASKS];
static atomic_int   ended;


static ffi_queue_t *
new_queue(void)
{
    ffi_queue_t  *queue;

    queue = ffi_queue_create(NULL, "test", 4);
    check(queue != NULL);

    return queue;
}


static ffi_task_t *
new_task(ffi_queue_t *queue)
{
    ffi_task_t  *task;

    task = ffi_task_create();
    check(task != NULL);

    task->queue = queue;
    ffi_task_set_state(task, FFI_TASK_QUEUED);

    return task;
}


static int
poll_one(ffi_queue_t *queue, int timeout, ffi_task_t **task)
{
    return ffi_queue_poll(queue, task, 1, timeout, ffi_thread_spin());
}


static void
end_task(ffi_task_t *task)
{
    check(ffi_task_claim(ffi_task_handle(task)) == task);
    ffi_task_take_response(task, 0, NULL, 0);
    ffi_task_destroy(task);
}


static void
end_queue(ffi_queue_t *queue)
{
    ffi_queue_close(queue);
    ffi_queue_destroy(queue);
    ffi_thread_forget(queue);
}


static void
tasks_come_out_in_order(void)
{
    ffi_task_t   *first, *second, *task;
    ffi_queue_t  *queue;

    queue = new_queue();

    first = new_task(queue);
    second = new_task(queue);
    ffi_queue_push(queue, first);
    ffi_queue_push(queue, second);

    check(poll_one(queue, 0, &task) == 1 && task == first);
    check(poll_one(queue, 0, &task) == 1 && task == second);
    check(poll_one(queue, 0, &task) == 0);
    check(poll_one(queue, 1, &task) == 0);

    end_task(first);
    end_task(second);
    end_queue(queue);
}


static void
a_closed_queue_gives_what_is_left_and_then_its_end(void)
{
    ffi_task_t   *task;
    ffi_queue_t  *queue;

    queue = new_queue();

    ffi_queue_push(queue, new_task(queue));
    ffi_queue_close(queue);

    check(poll_one(queue, -1, &task) == 1);
    check(poll_one(queue, -1, &task) == FFI_QUEUE_END);
    check(poll_one(queue, 0, &task) == FFI_QUEUE_END);

    end_task(task);
    end_queue(queue);
}


static void
a_queue_that_is_gone_cannot_be_entered(void)
{
    void         *old;
    ffi_queue_t  *queue, *next;

    queue = new_queue();
    old = ffi_queue_handle(queue);

    check(ffi_queue_enter(old) == queue);
    end_queue(queue);
    check(ffi_queue_enter(old) == NULL);

    /* somebody is inside still: the slot is not reused */
    next = new_queue();
    check(next != queue);
    end_queue(next);

    ffi_queue_leave(queue);
    check(ffi_queue_enter(old) == NULL);
}


static void
an_abandoned_task_goes_back_unseen(void)
{
    ffi_task_t   *task, *gone;
    ffi_queue_t  *queue;

    queue = new_queue();

    gone = new_task(queue);
    atomic_store(&gone->abandoned, 1);
    ffi_queue_push(queue, gone);

    check(poll_one(queue, 0, &task) == 0);
    check(ffi_done_take() == gone);

    ffi_task_destroy(gone);
    end_queue(queue);
}


static void
the_descriptor_is_readable_when_tasks_wait(void)
{
    uint64_t       count;
    ffi_task_t    *task;
    ffi_queue_t   *queue;
    struct pollfd  pfd;

    queue = new_queue();

    pfd.fd = ffi_queue_event_fd(queue);
    pfd.events = POLLIN;
    check(pfd.fd != -1 && ffi_queue_event_fd(queue) == pfd.fd);

    /* at first it asks to look at the queue */
    check(poll(&pfd, 1, 0) == 1);
    check(read(pfd.fd, &count, sizeof(count)) == sizeof(count));
    check(poll_one(queue, 0, &task) == 0);
    check(poll(&pfd, 1, 0) == 0);

    ffi_queue_push(queue, new_task(queue));
    ffi_queue_wake(queue, 1);
    check(poll(&pfd, 1, 0) == 1);

    check(read(pfd.fd, &count, sizeof(count)) == sizeof(count));
    check(poll_one(queue, 0, &task) == 1);
    end_task(task);

    /* not armed: nobody found the queue empty since */
    ffi_queue_push(queue, new_task(queue));
    ffi_queue_wake(queue, 1);
    check(poll(&pfd, 1, 0) == 0);

    check(poll_one(queue, 0, &task) == 1);
    end_task(task);

    ffi_queue_close(queue);
    check(poll(&pfd, 1, 0) == 1);

    end_queue(queue);
}


static void *
produce(void *data)
{
    size_t        i;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(handle);

    for (i = (uintptr_t) data; i < TASKS; i += PRODUCERS) {
        ffi_queue_push(queue, tasks[i]);
        ffi_queue_wake(queue, 1);
    }

    ffi_queue_leave(queue);

    return NULL;
}


static void *
consume(void *data)
{
    int           i, n;
    ffi_task_t   *batch[BATCH];
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(handle);
    ffi_thread_polls(queue, handle);

    for ( ;; ) {
        n = ffi_queue_poll(queue, batch, BATCH, (uintptr_t) data ? 1 : -1,
                           ffi_thread_spin());

        if (n == FFI_QUEUE_END) {
            break;
        }

        for (i = 0; i < n; i++) {
            check(ffi_task_claim(ffi_task_handle(batch[i])) == batch[i]);
            ffi_task_take_response(batch[i], 0, NULL, 0);
            ffi_done_push(batch[i]);
        }
    }

    ffi_thread_told(queue);
    ffi_queue_leave(queue);
    atomic_fetch_add(&ended, 1);

    return NULL;
}


/* the event loop: collects every task once, sleeping on the eventfd between */
static void
collect(int fd, ffi_queue_t *queue)
{
    int             left;
    uint64_t        count;
    ffi_task_t     *task, *next;
    struct pollfd   pfd;

    for (left = TASKS; left > 0; /* void */ ) {
        ffi_done_set_awake(1);

        for (task = ffi_done_take(); task != NULL; task = next) {
            next = task->next;

            check(task->queue == queue);
            check(atomic_fetch_add(&seen[(uintptr_t) task->verdict], 1) == 0);
            ffi_task_destroy(task);
            left--;
        }

        ffi_done_set_awake(0);

        if (left > 0 && ffi_done_empty()) {
            pfd.fd = fd;
            pfd.events = POLLIN;

            /* a lost wake-up would leave the loop here */
            check(poll(&pfd, 1, 30000) == 1);
            check(read(fd, &count, sizeof(count)) == sizeof(count));
        }
    }
}


static void
every_task_arrives_once_and_every_consumer_gets_the_end(int fd)
{
    size_t                 i;
    pthread_t              producers[PRODUCERS], consumers[CONSUMERS];
    ffi_queue_t           *queue;
    ffi_thread_census_t    census;

    queue = new_queue();
    handle = ffi_queue_handle(queue);
    atomic_store(&ended, 0);

    for (i = 0; i < TASKS; i++) {
        atomic_store(&seen[i], 0);
        tasks[i] = new_task(queue);
        tasks[i]->verdict = (char *) i;
    }

    /* half of them wait with a timeout */
    for (i = 0; i < CONSUMERS; i++) {
        check(pthread_create(&consumers[i], NULL, consume,
                             (void *) (i % 2)) == 0);
    }

    for (i = 0; i < PRODUCERS; i++) {
        check(pthread_create(&producers[i], NULL, produce, (void *) i) == 0);
    }

    collect(fd, queue);

    for (i = 0; i < PRODUCERS; i++) {
        check(pthread_join(producers[i], NULL) == 0);
    }

    ffi_queue_close(queue);

    for (i = 0; i < CONSUMERS; i++) {
        check(pthread_join(consumers[i], NULL) == 0);
    }

    check(atomic_load(&ended) == CONSUMERS);
    check(ffi_thread_wait_gone(queue, 5000));

    ffi_thread_count(queue, &census);
    check(census.polled > 0 && census.pollers == 0 && census.alive == 0);

    end_queue(queue);
}


int
main(void)
{
    int  fd;

    ffi_task_init();
    ffi_queue_init();
    check(ffi_thread_init() == 0);

    fd = ffi_done_open();
    check(fd != -1);

    tasks_come_out_in_order();
    a_closed_queue_gives_what_is_left_and_then_its_end();
    a_queue_that_is_gone_cannot_be_entered();
    an_abandoned_task_goes_back_unseen();
    the_descriptor_is_readable_when_tasks_wait();

    for (int i = 0; i < 4; i++) {
        every_task_arrives_once_and_every_consumer_gets_the_end(fd);
    }


    return 0;
}
