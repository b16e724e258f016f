#include "ffi_task.h"

#include <stdlib.h>
#include <string.h>


static ffi_table_t  ffi_tasks;


static char *ffi_task_reserve(char **buf, size_t *cap, size_t size);
static void ffi_task_trim(char **buf, size_t *cap);
static void ffi_task_write_id(ffi_task_t *task, const char *id, size_t len);
static void ffi_task_free_response(ffi_task_t *task);


void
ffi_task_init(void)
{
    ffi_table_init(&ffi_tasks, FFI_HANDLE_TASK, sizeof(ffi_task_t));
}


ffi_task_t *
ffi_task_create(void)
{
    ffi_task_t  *task;

    task = (ffi_task_t *) ffi_table_take(&ffi_tasks);
    if (task == NULL) {
        return NULL;
    }

    atomic_store_explicit(&task->queue, NULL, memory_order_release);
    task->traceparent[0] = '\0';
    task->enqueued = 0;
    task->verdict = NULL;
    task->place = NULL;
    task->posted = 0;
    task->answered = 0;
    task->fetched = 0;
    task->told = 0;
    task->left = 0;
    task->slow = 0;

    if (task->id_len) {
        ffi_task_write_id(task, "", 0);
    }

    atomic_store_explicit(&task->abandoned, 0, memory_order_relaxed);

    ffi_task_set_state(task, FFI_TASK_HELD);

    return task;
}


/* At least size bytes, whose old content does not matter. */
static char *
ffi_task_reserve(char **buf, size_t *cap, size_t size)
{
    char  *p;

    if (size <= *cap) {
        return *buf;
    }

    if (size < FFI_TASK_KEEP) {
        size = FFI_TASK_KEEP;
    }

    p = malloc(size);
    if (p == NULL) {
        return NULL;
    }

    free(*buf);
    *buf = p;
    *cap = size;

    return p;
}


static void
ffi_task_trim(char **buf, size_t *cap)
{
    if (*cap > FFI_TASK_KEEP) {
        free(*buf);
        *buf = NULL;
        *cap = 0;
    }
}


int
ffi_task_set_request(ffi_task_t *task, const char *method, size_t method_len,
    const char *request, size_t request_len)
{
    char  *p;

    p = ffi_task_reserve(&task->request_buf, &task->request_cap,
                         method_len + 1 + request_len + 1);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, method, method_len);
    p += method_len;
    *p++ = '\0';

    task->method_len = method_len;
    task->request = p;
    task->request_len = request_len;
    task->request_nil = (request == NULL);

    if (request_len) {
        memcpy(p, request, request_len);
        p += request_len;
    }

    *p = '\0';

    return 0;
}


int
ffi_task_set_id(ffi_task_t *task, const char *id, size_t len)
{
    atomic_char  *buf;

    if (atomic_load_explicit(&task->id, memory_order_relaxed) == NULL) {
        buf = calloc(FFI_TASK_ID_MAX + 1, sizeof(atomic_char));
        if (buf == NULL) {
            return -1;
        }

        /* release: pairs with the acquire in ffi_task_copy_id() */
        atomic_store_explicit(&task->id, buf, memory_order_release);
    }

    ffi_task_write_id(task, id, len < FFI_TASK_ID_MAX ? len : FFI_TASK_ID_MAX);

    return 0;
}


static void
ffi_task_write_id(ffi_task_t *task, const char *id, size_t len)
{
    size_t        i;
    atomic_char  *p;

    p = atomic_load_explicit(&task->id, memory_order_relaxed);

    /*
     * release: a late reader that meets a byte of this sees the generation
     * that it is of, too
     */
    for (i = 0; i < len; i++) {
        atomic_store_explicit(&p[i],
                              ((unsigned char) id[i] < ' ' || id[i] == 0x7f)
                              ? '?' : id[i],
                              memory_order_release);
    }

    atomic_store_explicit(&p[len], '\0', memory_order_release);
    task->id_len = len;
}


void
ffi_task_copy_id(ffi_task_t *task, char id[FFI_TASK_ID_MAX + 1])
{
    size_t        i;
    atomic_char  *p;

    p = atomic_load_explicit(&task->id, memory_order_acquire);

    /* acquire: pairs with ffi_task_write_id() */
    for (i = 0; p != NULL && i < FFI_TASK_ID_MAX; i++) {
        id[i] = atomic_load_explicit(&p[i], memory_order_acquire);

        if (id[i] == '\0') {
            return;
        }
    }

    id[i] = '\0';
}


void
ffi_task_drop_request(ffi_task_t *task)
{
    ffi_task_trim(&task->request_buf, &task->request_cap);
}


static void
ffi_task_free_response(ffi_task_t *task)
{
    if (task->response_own) {
        free(task->response);
        task->response_own = 0;
    }

    task->response = NULL;
    ffi_task_trim(&task->response_buf, &task->response_cap);
}


void
ffi_task_destroy(ffi_task_t *task)
{
    ffi_task_free_response(task);
    ffi_task_drop_request(task);

    ffi_slot_retire(&task->slot);
    ffi_table_give(&ffi_tasks, &task->slot);
}


void *
ffi_task_handle(const ffi_task_t *task)
{
    return ffi_slot_handle(&task->slot);
}


unsigned
ffi_task_state(const ffi_task_t *task)
{
    /* acquire: pairs with the release of the side that answered */
    return ffi_slot_state(atomic_load_explicit(&task->slot.word,
                                               memory_order_acquire));
}


void
ffi_task_set_state(ffi_task_t *task, unsigned state)
{
    uint64_t  gen;

    gen = ffi_slot_gen(atomic_load_explicit(&task->slot.word,
                                            memory_order_relaxed));

    atomic_store_explicit(&task->slot.word, ffi_slot_word(gen, state),
                          memory_order_release);
}


int
ffi_task_move(ffi_task_t *task, unsigned from, unsigned to)
{
    uint64_t  word, gen;

    word = atomic_load_explicit(&task->slot.word, memory_order_relaxed);
    gen = ffi_slot_gen(word);
    word = ffi_slot_word(gen, from);

    /* acq_rel: what the former owner wrote is seen by the next one */
    if (atomic_compare_exchange_strong_explicit(&task->slot.word, &word,
                                                ffi_slot_word(gen, to),
                                                memory_order_acq_rel,
                                                memory_order_relaxed))
    {
        return 0;
    }

    return -1;
}


ffi_task_t *
ffi_task_at(uint32_t number)
{
    return (ffi_task_t *) ffi_table_at(&ffi_tasks, number);
}


ffi_task_t *
ffi_task_find(const void *handle)
{
    uint64_t     gen, word;
    ffi_slot_t  *slot;

    slot = ffi_table_find(&ffi_tasks, handle, &gen);
    if (slot == NULL) {
        return NULL;
    }

    /* acquire: pairs with the event loop's release when it queued the task */
    word = atomic_load_explicit(&slot->word, memory_order_acquire);

    return word == ffi_slot_word(gen, FFI_TASK_TAKEN) ? (ffi_task_t *) slot
                                                      : NULL;
}


ffi_task_t *
ffi_task_claim(const void *handle)
{
    uint64_t     gen, word;
    ffi_slot_t  *slot;

    slot = ffi_table_find(&ffi_tasks, handle, &gen);
    if (slot == NULL) {
        return NULL;
    }

    word = ffi_slot_word(gen, FFI_TASK_TAKEN);

    /* acquire: pairs with the event loop's release when it queued the task */
    if (!atomic_compare_exchange_strong_explicit(&slot->word, &word,
                                             ffi_slot_word(gen, FFI_TASK_DONE),
                                             memory_order_acq_rel,
                                             memory_order_relaxed))
    {
        return NULL;
    }

    return (ffi_task_t *) slot;
}


int
ffi_task_copy_response(ffi_task_t *task, int rc, const char *rsp, size_t len)
{
    char  *p;

    p = ffi_task_reserve(&task->response_buf, &task->response_cap,
                         len ? len : 1);
    if (p == NULL) {
        return -1;
    }

    memcpy(p, rsp, len);

    task->rc = rc;
    task->response = p;
    task->response_len = len;
    task->response_own = 0;

    return 0;
}


void
ffi_task_take_response(ffi_task_t *task, int rc, char *rsp, size_t len)
{
    task->rc = rc;
    task->response = rsp;
    task->response_len = len;
    task->response_own = 1;
}


void
ffi_task_static_response(ffi_task_t *task, int rc, const char *msg)
{
    task->rc = rc;
    task->response = (char *) msg;
    task->response_len = strlen(msg);
    task->response_own = 0;
}
