#include "ngx_http_lua_ffi_library.h"

#include "ffi_done.h"
#include "ffi_preempt.h"
#include "ffi_thread.h"
#include "ngx_http_lua_ffi_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


/*
 * How long an unload waits for the threads of a library to be gone before it
 * gives up on unmapping their code.
 */
#define NGX_HTTP_LUA_FFI_GONE_MS  5000


struct ngx_http_lua_ffi_library_s {
    ngx_queue_t                 link;
    ngx_str_t                   name;

    /* event loop, or the running operation's thread: never both */
    ngx_http_lua_ffi_image_t   *image;           /* of the next load */

    /* the running operation's thread writes, the event loop reads */
    atomic_uint                 mapped;          /* images */

    /* event loop only */
    ngx_uint_t                  users;           /* runtimes */
    ngx_http_lua_ffi_op_t      *running;
    ngx_http_lua_ffi_op_t      *first;           /* waiting */
    ngx_http_lua_ffi_op_t     **last;
};


#define ngx_http_lua_ffi_text(n)   ngx_http_lua_ffi_text_(n)
#define ngx_http_lua_ffi_text_(n)  #n


/* A function of a library that a thread is started for. */
typedef struct {
    void                      (*function)(void *tq);
    void                       *tq;
} ngx_http_lua_ffi_called_t;


static ngx_http_lua_ffi_library_t *ngx_http_lua_ffi_library_get(
    ngx_str_t *name);
static void ngx_http_lua_ffi_library_forget(ngx_http_lua_ffi_library_t *lib);
static void ngx_http_lua_ffi_library_add(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_library_next(ngx_http_lua_ffi_library_t *lib);
static ngx_int_t ngx_http_lua_ffi_op_start(ngx_http_lua_ffi_op_t *op);
static void *ngx_http_lua_ffi_op_thread(void *data);
static void ngx_http_lua_ffi_op_end(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_op_warn(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_op_load(ngx_http_lua_ffi_op_t *op);
static ngx_int_t ngx_http_lua_ffi_op_open(ngx_http_lua_ffi_op_t *op);
static ngx_int_t ngx_http_lua_ffi_op_init(ngx_http_lua_ffi_op_t *op);
static ngx_uint_t ngx_http_lua_ffi_op_spoilt(ngx_http_lua_ffi_image_t *image);
static ngx_http_lua_ffi_image_t *ngx_http_lua_ffi_op_image(
    ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_op_unload(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_op_call(ngx_http_lua_ffi_op_t *op,
    void (*function)(void *), const char *failure);
static void *ngx_http_lua_ffi_op_called(void *data);
static ngx_uint_t ngx_http_lua_ffi_op_gone(ngx_http_lua_ffi_op_t *op);
static void ngx_http_lua_ffi_op_close(ngx_http_lua_ffi_op_t *op);


static ngx_queue_t              ngx_http_lua_ffi_libraries = {
    &ngx_http_lua_ffi_libraries, &ngx_http_lua_ffi_libraries
};

/* any thread: ended, not yet drained */
static _Atomic(ngx_http_lua_ffi_op_t *)  ngx_http_lua_ffi_ops;


static ngx_http_lua_ffi_library_t *
ngx_http_lua_ffi_library_get(ngx_str_t *name)
{
    ngx_queue_t                 *q;
    ngx_http_lua_ffi_library_t  *lib;

    for (q = ngx_queue_head(&ngx_http_lua_ffi_libraries);
         q != ngx_queue_sentinel(&ngx_http_lua_ffi_libraries);
         q = ngx_queue_next(q))
    {
        lib = ngx_queue_data(q, ngx_http_lua_ffi_library_t, link);

        if (lib->name.len == name->len
            && ngx_strncmp(lib->name.data, name->data, name->len) == 0)
        {
            return lib;
        }
    }

    lib = ngx_calloc(sizeof(ngx_http_lua_ffi_library_t) + name->len + 1,
                     ngx_cycle->log);
    if (lib == NULL) {
        return NULL;
    }

    lib->name.len = name->len;
    lib->name.data = (u_char *) (lib + 1);
    ngx_memcpy(lib->name.data, name->data, name->len);

    lib->last = &lib->first;

    ngx_queue_insert_head(&ngx_http_lua_ffi_libraries, &lib->link);

    return lib;
}


/* Names that led to nothing must not pile up. */
static void
ngx_http_lua_ffi_library_forget(ngx_http_lua_ffi_library_t *lib)
{
    if (lib->image == NULL && lib->users == 0) {
        ngx_queue_remove(&lib->link);
        ngx_free(lib);
    }
}


ngx_int_t
ngx_http_lua_ffi_library_load(ngx_http_lua_ffi_op_t *op, ngx_str_t *name)
{
    op->library = ngx_http_lua_ffi_library_get(name);
    if (op->library == NULL) {
        return NGX_ERROR;
    }

    op->library->users++;

    op->run = ngx_http_lua_ffi_op_load;
    ngx_http_lua_ffi_library_add(op);

    return NGX_OK;
}


ngx_int_t
ngx_http_lua_ffi_library_cancel(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_op_t       **last;
    ngx_http_lua_ffi_library_t   *lib;

    lib = op->library;

    for (last = &lib->first; *last != NULL; last = &(*last)->next) {

        if (*last == op) {
            *last = op->next;

            if (lib->last == &op->next) {
                lib->last = last;
            }

            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_lua_ffi_library_release(ngx_http_lua_ffi_op_t *op)
{
    op->library->users--;
    ngx_http_lua_ffi_library_forget(op->library);
}


void
ngx_http_lua_ffi_library_unload(ngx_http_lua_ffi_op_t *op)
{
    op->run = ngx_http_lua_ffi_op_unload;
    ngx_http_lua_ffi_library_add(op);
}


static void
ngx_http_lua_ffi_library_add(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_library_t  *lib;

    lib = op->library;

    op->next = NULL;
    *lib->last = op;
    lib->last = &op->next;

    if (lib->running == NULL) {
        ngx_http_lua_ffi_library_next(lib);
    }
}


static void
ngx_http_lua_ffi_library_next(ngx_http_lua_ffi_library_t *lib)
{
    ngx_http_lua_ffi_op_t  *op;

    op = lib->first;
    lib->running = op;

    if (op == NULL) {
        return;
    }

    lib->first = op->next;

    if (lib->first == NULL) {
        lib->last = &lib->first;
    }

    if (ngx_http_lua_ffi_op_start(op) != NGX_OK) {
        op->failed = 1;
        op->error = strdup("cannot start a thread");
        ngx_http_lua_ffi_op_end(op);
    }
}


static ngx_int_t
ngx_http_lua_ffi_op_start(ngx_http_lua_ffi_op_t *op)
{
    int  err;

    err = ffi_thread_create(&op->thread, ngx_http_lua_ffi_op_thread, op);

    if (err != 0) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, err,
                      "ffi: pthread_create() failed");
        return NGX_ERROR;
    }

    op->started = 1;

    return NGX_OK;
}


/* the operation's thread */
static void *
ngx_http_lua_ffi_op_thread(void *data)
{
    ngx_http_lua_ffi_op_t  *op = data;

    /* a name of ours: no library that is being loaded has started this */
    (void) pthread_setname_np(pthread_self(), "ffi-op");

    op->run(op);
    ngx_http_lua_ffi_op_end(op);

    return NULL;
}


/* any thread */
static void
ngx_http_lua_ffi_op_end(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_op_t  *head;

    head = atomic_load_explicit(&ngx_http_lua_ffi_ops, memory_order_relaxed);

    /* release: what the operation found out goes with it */
    do {
        op->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&ngx_http_lua_ffi_ops,
                                                    &head, op,
                                                    memory_order_release,
                                                    memory_order_relaxed));

    ffi_done_kick();
}


ngx_uint_t
ngx_http_lua_ffi_library_mapped(ngx_http_lua_ffi_op_t *op)
{
    return atomic_load(&op->library->mapped);
}


void
ngx_http_lua_ffi_library_drain(void)
{
    ngx_http_lua_ffi_op_t       *op, *next;
    ngx_http_lua_ffi_library_t  *lib;

    if (atomic_load_explicit(&ngx_http_lua_ffi_ops, memory_order_relaxed)
        == NULL)
    {
        return;
    }

    /* acquire: pairs with ngx_http_lua_ffi_op_end() */
    op = atomic_exchange_explicit(&ngx_http_lua_ffi_ops, NULL,
                                  memory_order_acquire);

    for ( /* void */ ; op != NULL; op = next) {
        next = op->next;
        lib = op->library;

        /* done() frees the operation, and its use of the library, or adds
         * another */
        lib->users++;
        lib->running = NULL;

        ngx_http_lua_ffi_op_warn(op);
        op->done(op);

        if (lib->running == NULL) {
            ngx_http_lua_ffi_library_next(lib);
        }

        lib->users--;
        ngx_http_lua_ffi_library_forget(lib);
    }
}


/* Of what was mapped, whether or not its runtime has started. */
static void
ngx_http_lua_ffi_op_warn(ngx_http_lua_ffi_op_t *op)
{
    if (op->warning != NULL) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "ffi: runtime \"%s\": %s", ffi_queue_name(op->queue),
                      op->warning);
        op->warning = NULL;
    }
}


/* the operation's thread; blocks */
static void
ngx_http_lua_ffi_op_load(ngx_http_lua_ffi_op_t *op)
{
    ffi_process_threads_t  *before;

    before = ffi_thread_begin(op->queue);

    if (ngx_http_lua_ffi_op_open(op) != NGX_OK
        || ngx_http_lua_ffi_op_init(op) != NGX_OK)
    {
        op->failed = 1;
    }

    ffi_thread_started(op->queue, before);
}


/* load thread */
static ngx_int_t
ngx_http_lua_ffi_op_open(ngx_http_lua_ffi_op_t *op)
{
    ngx_uint_t                 n;
    ngx_http_lua_ffi_image_t  *image, *older;

    n = ngx_http_lua_ffi_image_residents();

    image = ngx_http_lua_ffi_op_image(op);

    if (ngx_http_lua_ffi_image_residents() > n
        && n + 1 >= NGX_HTTP_LUA_FFI_RESIDENT_WARN)
    {
        op->warning = "many libraries are mapped that cannot be unmapped; "
                      "loads of more will fail from "
                      ngx_http_lua_ffi_text(NGX_HTTP_LUA_FFI_RESIDENT_MAX)
                      " on: reload nginx to start with none";
    }

    if (image == NULL) {
        return NGX_ERROR;
    }

    older = op->library->image;

    if (older != NULL && older != image) {
        /* it is mapped for good, and of use again when this one is gone */
        image->older = older->pinned ? older : older->older;

        if (ngx_http_lua_ffi_op_spoilt(older)) {
            ngx_http_lua_ffi_image_leave(older);
        }
    }

    if (op->global) {
        ngx_http_lua_ffi_image_globalize(image);
    }

    if (older != image) {
        atomic_fetch_add(&op->library->mapped, 1);
    }

    op->image = image;
    op->library->image = image;
    image->users++;

    return NGX_OK;
}


/* load thread; blocks */
static ngx_int_t
ngx_http_lua_ffi_op_init(ngx_http_lua_ffi_op_t *op)
{
    int                        rc;
    char                      *path;
    ngx_http_lua_ffi_image_t  *image;

    image = op->image;

    path = strdup(image->path);
    if (path != NULL) {
        ffi_queue_set_path(op->queue, path);
    }

    rc = image->init(op->cfg, ffi_queue_handle(op->queue));

    /* it may have opened another library, and that be one of Go's */
    ffi_preempt_adopt();

    if (rc == 0) {
        image->pinned |= !op->unpin || image->resident;

        if (op->unpin && image->resident && !image->told) {
            image->told = 1;
            op->notice = "unpin has no effect: its library cannot be unmapped, "
                         "as any in Go";
        }

        return NGX_OK;
    }

    op->error = ffi_queue_take_error(op->queue);

    if (op->error == NULL
        && asprintf(&op->error, "libffi_init() returned %d", rc) == -1)
    {
        op->error = strdup("libffi_init() failed");
    }

    return NGX_ERROR;
}


/* the operation's thread; the image to use, opened when there is none */
static ngx_http_lua_ffi_image_t *
ngx_http_lua_ffi_op_image(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_image_t     *image;
    ngx_http_lua_ffi_location_t   location;

    image = op->library->image;

    if (image != NULL && !op->fresh && !ngx_http_lua_ffi_op_spoilt(image)) {
        return image;
    }

    if (ngx_http_lua_ffi_location_find(&op->library->name, &location,
                                       &op->error)
        != NGX_OK)
    {
        return NULL;
    }

    if (image != NULL) {
        if (!location.found) {
            ngx_http_lua_ffi_image_locate(image, &location);
        }

        if (ngx_http_lua_ffi_image_is(image, &location)) {
            return image;
        }

        if (image->global) {
            op->error = strdup("the file changed, but the mapped library is "
                               "global: new code would call the old; load it "
                               "without is_global, or reload nginx");
            return NULL;
        }
    }

    return ngx_http_lua_ffi_image_open(&location,
                                       op->fresh || op->unpin || image != NULL,
                                       op->global, &op->error);
}


/* Whether no load ever succeeded of an image that is mapped for good. */
static ngx_uint_t
ngx_http_lua_ffi_op_spoilt(ngx_http_lua_ffi_image_t *image)
{
    return image->resident && !image->pinned && image->users == 0;
}


/* the operation's thread; blocks */
static void
ngx_http_lua_ffi_op_unload(ngx_http_lua_ffi_op_t *op)
{
    if (op->joins) {
        (void) pthread_join(op->load_thread, NULL);
    }

    if (op->image == NULL) {
        return;
    }

    if (op->fini) {
        ngx_http_lua_ffi_op_call(op, op->image->fini, "no thread to call "
                                 "libffi_fini() on");
    }

    ngx_http_lua_ffi_op_close(op);
}


/*
 * the operation's thread; blocks.  Calls a function of the library, which may
 * be NULL, on a thread of its own: thread-local destructors that the library
 * registers would keep it mapped until this one ends.
 */
static void
ngx_http_lua_ffi_op_call(ngx_http_lua_ffi_op_t *op, void (*function)(void *),
    const char *failure)
{
    pthread_t                  thread;
    ngx_http_lua_ffi_called_t  called;

    if (function == NULL) {
        return;
    }

    called.function = function;
    called.tq = ffi_queue_handle(op->queue);

    if (pthread_create(&thread, NULL, ngx_http_lua_ffi_op_called, &called)
        != 0)
    {
        op->image->stuck = 1;
        op->notice = failure;
        return;
    }

    (void) pthread_join(thread, NULL);
}


/* a thread of its own; blocks */
static void *
ngx_http_lua_ffi_op_called(void *data)
{
    ngx_http_lua_ffi_called_t  *called = data;

    called->function(called->tq);

    return NULL;
}


/* the operation's thread; blocks; whether no thread runs the library's code */
static ngx_uint_t
ngx_http_lua_ffi_op_gone(ngx_http_lua_ffi_op_t *op)
{
    if (op->image->close != NULL) {
        /* it knows better */
        return 1;
    }

    /* a pinned library's failed load is not worth waiting for */
    if (ffi_thread_wait_gone(op->queue,
                             op->unpin ? NGX_HTTP_LUA_FFI_GONE_MS : 0))
    {
        return 1;
    }

    if (op->unpin) {
        op->notice = "it stays mapped: some of its threads have not ended";
    }

    return 0;
}


/* the operation's thread; blocks */
static void
ngx_http_lua_ffi_op_close(ngx_http_lua_ffi_op_t *op)
{
    ngx_http_lua_ffi_image_t  *image;

    image = op->image;
    image->users--;

    if (image->pinned) {
        return;
    }

    if (image->resident) {
        if (image->users == 0 && op->library->image != image) {
            ngx_http_lua_ffi_image_leave(image);
        }

        return;
    }

    if (!ngx_http_lua_ffi_op_gone(op)) {
        image->stuck = 1;
    }

    if (image->users > 0) {
        return;
    }

    if (!op->unpin && (image->stuck || image->close != NULL)) {
        /* it is there to stay, and to be used */
        return;
    }

    if (!image->stuck) {
        ngx_http_lua_ffi_op_call(op, image->close, "no thread to call "
                                 "libffi_close() on");
    }

    if (image->stuck) {
        /* never freed: the next load opens a new copy */

    } else if (ngx_http_lua_ffi_image_close(image) != NGX_OK) {
        image->pinned = 1;

        if (op->unpin) {
            op->notice = "it stays mapped: unpin has no effect on it";
        }

        return;
    }

    if (op->library->image == image) {
        op->library->image = image->older;
    }

    if (!image->stuck) {
        ngx_http_lua_ffi_image_free(image);
        atomic_fetch_sub(&op->library->mapped, 1);
    }
}
