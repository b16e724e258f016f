#include "check.h"
#include "ffi_task.h"

#include <pthread.h>
#include <string.h>


#define CLAIMERS  4
#define ROUNDS    20000


static pthread_barrier_t  barrier;
static _Atomic(void *)    target;
static atomic_int         claimed;


static ffi_task_t *
taken_task(const char *request)
{
    ffi_task_t  *task;

    task = ffi_task_create();
    check(task != NULL);
    check(ffi_task_set_request(task, "echo", 4, request,
                               request ? strlen(request) : 0) == 0);

    ffi_task_set_state(task, FFI_TASK_QUEUED);
    check(ffi_task_move(task, FFI_TASK_QUEUED, FFI_TASK_TAKEN) == 0);

    return task;
}


static void
a_task_is_found_only_while_it_is_taken(void)
{
    void        *handle;
    ffi_task_t  *task;

    task = ffi_task_create();
    handle = ffi_task_handle(task);
    check(ffi_task_find(handle) == NULL);

    ffi_task_set_state(task, FFI_TASK_QUEUED);
    check(ffi_task_find(handle) == NULL);

    check(ffi_task_move(task, FFI_TASK_QUEUED, FFI_TASK_TAKEN) == 0);
    check(ffi_task_find(handle) == task);

    check(ffi_task_claim(handle) == task);
    check(ffi_task_find(handle) == NULL);
    check(ffi_task_claim(handle) == NULL);

    ffi_task_take_response(task, 0, NULL, 0);
    ffi_task_destroy(task);
    check(ffi_task_claim(handle) == NULL);
}


static void
requests_and_methods_end_with_a_nul(void)
{
    ffi_task_t  *task;

    task = taken_task("hello");

    check(task->request[task->request_len] == '\0');
    check(strcmp(task->request - task->method_len - 1, "echo") == 0);

    check(ffi_task_claim(ffi_task_handle(task)) == task);
    ffi_task_take_response(task, 0, NULL, 0);
    ffi_task_destroy(task);
}


static void
nil_and_empty_requests_differ(void)
{
    ffi_task_t  *nil, *empty;

    nil = taken_task(NULL);
    empty = taken_task("");

    check(nil->request_nil && nil->request_len == 0);
    check(!empty->request_nil && empty->request_len == 0);

    ffi_task_destroy(nil);
    ffi_task_destroy(empty);
}


static void
large_buffers_go_with_the_call(void)
{
    char        *big;
    ffi_task_t  *task;

    big = malloc(FFI_TASK_KEEP * 4 + 1);
    memset(big, 'x', FFI_TASK_KEEP * 4);
    big[FFI_TASK_KEEP * 4] = '\0';

    task = taken_task(big);
    check(ffi_task_claim(ffi_task_handle(task)) == task);
    check(ffi_task_copy_response(task, 0, big, FFI_TASK_KEEP * 4) == 0);
    check(task->response_len == FFI_TASK_KEEP * 4);

    ffi_task_drop_request(task);
    check(task->request_cap == 0);

    ffi_task_destroy(task);
    check(task->response_cap == 0);

    free(big);
}


static void *
claim(void *data)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);

        if (ffi_task_claim(atomic_load(&target)) != NULL) {
            atomic_fetch_add(&claimed, 1);
        }

        pthread_barrier_wait(&barrier);
    }

    return NULL;
}


static void
one_of_many_claims_succeeds(void)
{
    pthread_t    threads[CLAIMERS];
    ffi_task_t  *task;

    pthread_barrier_init(&barrier, NULL, CLAIMERS + 1);

    for (int i = 0; i < CLAIMERS; i++) {
        check(pthread_create(&threads[i], NULL, claim, NULL) == 0);
    }

    for (int i = 0; i < ROUNDS; i++) {
        task = taken_task("x");
        atomic_store(&target, ffi_task_handle(task));

        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);

        check(atomic_load(&claimed) == i + 1);

        ffi_task_take_response(task, 0, NULL, 0);
        ffi_task_destroy(task);
    }

    for (int i = 0; i < CLAIMERS; i++) {
        check(pthread_join(threads[i], NULL) == 0);
    }
}


int
main(void)
{
    ffi_task_init();

    a_task_is_found_only_while_it_is_taken();
    requests_and_methods_end_with_a_nul();
    nil_and_empty_requests_differ();
    large_buffers_go_with_the_call();
    one_of_many_claims_succeeds();

    return 0;
}
