/*
 * The functions that libraries call (include/ngx_http_lua_ffi.h).  All of
 * them run on guest threads: nothing here may touch nginx.
 */

#include <ngx_http_lua_ffi.h>

#include "ffi_done.h"
#include "ffi_log.h"
#include "ffi_queue.h"
#include "ffi_thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define NGX_HTTP_LUA_FFI_API  __attribute__((visibility("default")))

/* How many tasks one poll takes at most: others want to work, too. */
#define NGX_HTTP_LUA_FFI_POLL_MAX    64

/* The rc of a response that a library failed to make. */
#define NGX_HTTP_LUA_FFI_BAD_RESPONSE  (-1)

/* Of what malloc() returns, in every allocator that is preloaded. */
#define NGX_HTTP_LUA_FFI_ALIGNMENT     8

#define NGX_HTTP_LUA_FFI_STATIC                                               \
    "the library responded with memory that is not malloc()ed"

#define NGX_HTTP_LUA_FFI_NEGATIVE                                             \
    "the library responded with a negative length"


static ffi_queue_t *ngx_http_lua_ffi_enter(void *handle,
    char id[FFI_TASK_ID_MAX + 1]);
static void ngx_http_lua_ffi_write(ffi_queue_t *queue, int level,
    const char *id, const char *msg, size_t len);
static ffi_task_t *ngx_http_lua_ffi_claim(void *handle);
static void ngx_http_lua_ffi_refused(void *handle);
static int ngx_http_lua_ffi_is_heap(void *p);
static void ngx_http_lua_ffi_drop(void *rsp);
static void ngx_http_lua_ffi_spoilt(ffi_task_t *task, const char *why);


/* any thread */
NGX_HTTP_LUA_FFI_API unsigned
ngx_http_lua_ffi_abi_version(void)
{
    return NGX_HTTP_LUA_FFI_ABI_VERSION;
}


/* any thread; blocks */
NGX_HTTP_LUA_FFI_API void *
ngx_http_lua_ffi_task_poll(void *tq)
{
    void  *task;

    if (ngx_http_lua_ffi_task_poll_many(tq, &task, 1, -1) != 1) {
        return NULL;
    }

    return task;
}


/* any thread; blocks for timeout_ms */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_task_poll_many(void *tq, void **tasks, int max,
    int timeout_ms)
{
    int           i, n;
    ffi_task_t   *taken[NGX_HTTP_LUA_FFI_POLL_MAX];
    ffi_queue_t  *queue;

    if (max < 1) {
        return 0;
    }

    if (max > NGX_HTTP_LUA_FFI_POLL_MAX) {
        max = NGX_HTTP_LUA_FFI_POLL_MAX;
    }

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return FFI_QUEUE_END;
    }

    ffi_thread_polls(queue, tq);

    n = ffi_queue_poll(queue, taken, max, timeout_ms, ffi_thread_spin());

    for (i = 0; i < n; i++) {
        tasks[i] = ffi_task_handle(taken[i]);
    }

    if (n == FFI_QUEUE_END) {
        ffi_thread_told(queue);
    }

    ffi_queue_leave(queue);

    return n;
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_event_fd(void *tq)
{
    int           fd;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        errno = EINVAL;
        return -1;
    }

    fd = ffi_queue_event_fd(queue);
    ffi_queue_leave(queue);

    return fd;
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_poll_abandoned(void *tq, void **tasks, int max)
{
    int           n;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return 0;
    }

    n = ffi_queue_poll_abandoned(queue, tasks, max);
    ffi_queue_leave(queue);

    return n;
}


/* any thread */
NGX_HTTP_LUA_FFI_API const char *
ngx_http_lua_ffi_get_request(void *handle, size_t *len)
{
    ffi_task_t  *task;

    task = ffi_task_find(handle);

    if (len != NULL) {
        *len = task != NULL ? task->request_len : 0;
    }

    if (task == NULL || task->request_nil) {
        return NULL;
    }

    return task->request;
}


/* any thread */
NGX_HTTP_LUA_FFI_API char *
ngx_http_lua_ffi_get_req(void *handle, int *len)
{
    size_t       n;
    const char  *request;

    request = ngx_http_lua_ffi_get_request(handle, &n);

    if (len != NULL) {
        *len = n > INT_MAX ? INT_MAX : (int) n;
    }

    return (char *) request;
}


/* any thread */
NGX_HTTP_LUA_FFI_API const char *
ngx_http_lua_ffi_get_method(void *handle, size_t *len)
{
    ffi_task_t  *task;

    task = ffi_task_find(handle);

    if (len != NULL) {
        *len = task != NULL ? task->method_len : 0;
    }

    return task != NULL ? task->request - task->method_len - 1 : NULL;
}


/* any thread */
NGX_HTTP_LUA_FFI_API const char *
ngx_http_lua_ffi_get_request_id(void *handle, size_t *len)
{
    ffi_task_t  *task;

    task = ffi_task_find(handle);

    if (len != NULL) {
        *len = task != NULL ? task->id_len : 0;
    }

    return task != NULL && task->id_len ? (const char *) task->id : NULL;
}


/* any thread */
NGX_HTTP_LUA_FFI_API const char *
ngx_http_lua_ffi_get_traceparent(void *handle, size_t *len)
{
    ffi_task_t  *task;

    task = ffi_task_find(handle);

    if (task != NULL && *task->traceparent == '\0') {
        task = NULL;
    }

    if (len != NULL) {
        *len = task != NULL ? FFI_TRACEPARENT_LEN : 0;
    }

    return task != NULL ? task->traceparent : NULL;
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_is_abandoned(void *handle)
{
    ffi_task_t  *task;

    task = ffi_task_find(handle);

    return task == NULL
           || atomic_load_explicit(&task->abandoned, memory_order_relaxed);
}


/* any thread */
NGX_HTTP_LUA_FFI_API int64_t
ngx_http_lua_ffi_time_left(void *handle)
{
    int64_t      left;
    ffi_task_t  *task;

    task = ffi_task_find(handle);
    if (task == NULL) {
        return -1;
    }

    if (atomic_load_explicit(&task->abandoned, memory_order_relaxed)) {
        return 0;
    }

    left = task->deadline - ffi_spin_clock() / 1000000;

    return left > 0 ? left : 0;
}


/* any thread */
static void
ngx_http_lua_ffi_refused(void *handle)
{
    int   n;
    char  msg[128];

    n = snprintf(msg, sizeof(msg), "response refused: %p is no unanswered "
                 "task of a runtime; each task is responded to once", handle);

    ffi_log_write(NGX_HTTP_LUA_FFI_LOG_ERR, "", "", msg, n);
}


/* any thread */
static ffi_task_t *
ngx_http_lua_ffi_claim(void *handle)
{
    ffi_task_t  *task;

    task = ffi_task_claim(handle);

    if (task == NULL) {
        ngx_http_lua_ffi_refused(handle);
        return NULL;
    }

    /* the queue lives at least as long as this task is not pushed back */
    ffi_thread_responds(task->queue, ffi_queue_handle(task->queue));

    return task;
}


/*
 * any thread; whether it may come from malloc(): no static data of a library
 * does, and nothing at an odd address.  Takes no lock: another thread may hold
 * the dynamic linker's.
 */
static int
ngx_http_lua_ffi_is_heap(void *p)
{
#if __GLIBC_PREREQ(2, 35)
    struct dl_find_object  object;

    if (_dl_find_object(p, &object) == 0) {
        return 0;
    }
#endif

    return (uintptr_t) p % NGX_HTTP_LUA_FFI_ALIGNMENT == 0;
}


/* any thread */
static void
ngx_http_lua_ffi_drop(void *rsp)
{
    if (ngx_http_lua_ffi_is_heap(rsp)) {
        free(rsp);
    }
}


/* any thread; answers a claimed task, whose response is of no use */
static void
ngx_http_lua_ffi_spoilt(ffi_task_t *task, const char *why)
{
    ffi_log_write(NGX_HTTP_LUA_FFI_LOG_ERR, ffi_queue_name(task->queue), "",
                  why, strlen(why));

    ffi_task_static_response(task, NGX_HTTP_LUA_FFI_BAD_RESPONSE, why);
    ffi_done_push(task);
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_respond_copy(void *handle, int rc, const void *rsp,
    size_t len)
{
    int          err;
    ffi_task_t  *task;

    task = ngx_http_lua_ffi_claim(handle);
    if (task == NULL) {
        return -1;
    }

    err = 0;

    if (rsp == NULL) {
        ffi_task_take_response(task, rc, NULL, 0);

    } else if (ffi_task_copy_response(task, rc, rsp, len) != 0) {
        ffi_task_static_response(task, NGX_HTTP_LUA_FFI_BAD_RESPONSE,
                                 "no memory for the response");
        err = -1;
    }

    ffi_done_push(task);

    return err;
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_respond_take(void *handle, int rc, void *rsp, size_t len)
{
    ffi_task_t  *task;

    task = ngx_http_lua_ffi_claim(handle);
    if (task == NULL) {
        ngx_http_lua_ffi_drop(rsp);
        return -1;
    }

    if (!ngx_http_lua_ffi_is_heap(rsp)) {
        ngx_http_lua_ffi_spoilt(task, NGX_HTTP_LUA_FFI_STATIC);
        return -1;
    }

    ffi_task_take_response(task, rc, rsp, rsp != NULL ? len : 0);
    ffi_done_push(task);

    return 0;
}


/* any thread */
NGX_HTTP_LUA_FFI_API void
ngx_http_lua_ffi_respond(void *handle, int rc, char *rsp, int rsp_len)
{
    ffi_task_t  *task;

    if (rsp == NULL || rsp_len > 0) {
        (void) ngx_http_lua_ffi_respond_take(handle, rc, rsp, rsp_len);
        return;
    }

    if (rsp_len == 0) {
        /* what is no heap is refused whatever its length */
        (void) ngx_http_lua_ffi_respond_take(handle, rc, rsp, strlen(rsp));
        return;
    }

    ngx_http_lua_ffi_drop(rsp);

    task = ngx_http_lua_ffi_claim(handle);
    if (task != NULL) {
        ngx_http_lua_ffi_spoilt(task, NGX_HTTP_LUA_FFI_NEGATIVE);
    }
}


/* any thread */
NGX_HTTP_LUA_FFI_API void
ngx_http_lua_ffi_set_error(void *tq, const char *msg, size_t len)
{
    char         *error;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return;
    }

    error = strndup(msg, len);
    if (error != NULL) {
        ffi_queue_set_error(queue, error);
    }

    ffi_queue_leave(queue);
}


/*
 * any thread; the queue of a task that is polled and unanswered, entered, and
 * the request's id, else NULL and none.  The task may be answered meanwhile.
 */
static ffi_queue_t *
ngx_http_lua_ffi_enter(void *handle, char id[FFI_TASK_ID_MAX + 1])
{
    ffi_task_t   *task;
    ffi_queue_t  *queue;

    *id = '\0';

    task = ffi_task_find(handle);
    if (task == NULL) {
        return NULL;
    }

    queue = task->queue;
    if (queue != NULL) {
        queue = ffi_queue_enter(ffi_queue_handle(queue));
    }

    ffi_task_copy_id(task, id);

    if (ffi_task_find(handle) == task) {
        return queue;
    }

    if (queue != NULL) {
        ffi_queue_leave(queue);
    }

    *id = '\0';

    return NULL;
}


/* any thread; leaves the queue, which may be NULL */
static void
ngx_http_lua_ffi_write(ffi_queue_t *queue, int level, const char *id,
    const char *msg, size_t len)
{
    if (level < NGX_HTTP_LUA_FFI_LOG_EMERG) {
        level = NGX_HTTP_LUA_FFI_LOG_EMERG;

    } else if (level > NGX_HTTP_LUA_FFI_LOG_DEBUG) {
        level = NGX_HTTP_LUA_FFI_LOG_DEBUG;
    }

    ffi_log_write(level, queue != NULL ? ffi_queue_name(queue) : "", id, msg,
                  len);

    if (queue != NULL) {
        ffi_queue_leave(queue);
    }
}


/* any thread */
NGX_HTTP_LUA_FFI_API void
ngx_http_lua_ffi_log(void *tq, int level, const char *msg, size_t len)
{
    ngx_http_lua_ffi_write(ffi_queue_enter(tq), level, "", msg, len);
}


/* any thread */
NGX_HTTP_LUA_FFI_API void
ngx_http_lua_ffi_log_task(void *handle, int level, const char *msg, size_t len)
{
    char          id[FFI_TASK_ID_MAX + 1];
    ffi_queue_t  *queue;

    queue = ngx_http_lua_ffi_enter(handle, id);
    ngx_http_lua_ffi_write(queue, level, id, msg, len);
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_is_reload(void *tq)
{
    int           reload;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return 0;
    }

    reload = ffi_queue_is_reload(queue);
    ffi_queue_leave(queue);

    return reload;
}


/* any thread */
NGX_HTTP_LUA_FFI_API int
ngx_http_lua_ffi_is_ending(void *tq)
{
    int           ending;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return 1;
    }

    ending = ffi_queue_closed(queue);
    ffi_queue_leave(queue);

    return ending;
}


/* any thread */
NGX_HTTP_LUA_FFI_API const char *
ngx_http_lua_ffi_library_path(void *tq)
{
    const char   *path;
    ffi_queue_t  *queue;

    queue = ffi_queue_enter(tq);
    if (queue == NULL) {
        return NULL;
    }

    path = ffi_queue_path(queue);
    ffi_queue_leave(queue);

    return path;
}
