/*
 * The contract between nginx (ngx_http_lua_ffi_module) and every library
 * and loader that it runs.
 *
 * A library is a shared object that exports libffi_init().  The module calls
 * it once per runtime (one runtime = one library + one configuration) and
 * hands it a task queue.  The library polls tasks from that queue on threads
 * of its own and responds to each of them once, from any thread, in any order.
 *
 * The functions below are exported by the module itself; a library leaves
 * them undefined, or looks them up with dlsym(RTLD_DEFAULT, ...).
 *
 * Handles.  A queue (tq) and a task are opaque handles: 64-bit numbers in
 * pointer clothing, never addresses.  Every function checks the handle that
 * it is given, so that one which is stale, forged or used twice is refused
 * and never touches memory.
 *
 * Threads.  Unless said otherwise a function may be called from any thread,
 * never blocks and never calls back into the library.
 *
 * Signals.  Threads that a library starts from libffi_init() inherit a mask
 * with every signal blocked but SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT and
 * SIGURG (ignored by nginx, used by Go to interrupt a thread of its own);
 * nginx's signals belong to nginx.  A child process inherits the mask: who
 * starts one must give it an empty mask, or it cannot be told to terminate.
 *
 * None of the functions may be called from a signal handler, nor in a forked
 * child, nor are they cancellation points to rely on.
 */

#ifndef NGX_HTTP_LUA_FFI_H_INCLUDED
#define NGX_HTTP_LUA_FFI_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


#ifdef __cplusplus
extern "C" {
#endif


/*
 * Raised by one whenever a function is added here.  Functions are never
 * removed and never change their meaning.
 */
#define NGX_HTTP_LUA_FFI_ABI_VERSION  4


/* Levels of ngx_http_lua_ffi_log(); the numbers of nginx and of ngx.log(). */
#define NGX_HTTP_LUA_FFI_LOG_EMERG    1
#define NGX_HTTP_LUA_FFI_LOG_ALERT    2
#define NGX_HTTP_LUA_FFI_LOG_CRIT     3
#define NGX_HTTP_LUA_FFI_LOG_ERR      4
#define NGX_HTTP_LUA_FFI_LOG_WARN     5
#define NGX_HTTP_LUA_FFI_LOG_NOTICE   6
#define NGX_HTTP_LUA_FFI_LOG_INFO     7
#define NGX_HTTP_LUA_FFI_LOG_DEBUG    8


/* ---- what a library exports ------------------------------------------- */

/*
 * Required.  Starts one runtime: called on a thread of its own that ends
 * after the call, once per runtime, never twice at the same time for a library
 * that is loaded under one name.  It may block; nginx goes on serving.
 *
 * cfg   the configuration, NUL-terminated, or NULL when there is none;
 *       borrowed, valid during the call
 * tq    the runtime's task queue
 *
 * Returns 0 when the runtime is ready to poll; anything else is a failed
 * load.  Say why with ngx_http_lua_ffi_set_error().
 */
int libffi_init(char *cfg, void *tq);

/*
 * Optional.  Called on a thread of its own after the runtime was unloaded,
 * when every call was answered and every poller got its end of queue.
 * Returns when the threads that the runtime started are gone: what comes next
 * may be dlclose().  Not called after a failed libffi_init().
 */
void libffi_fini(void *tq);

/*
 * Optional; for a library that hands over to another one, which may stay when
 * it goes.  Called on a thread of its own when the last of its runtimes has
 * ended and it is about to be unmapped, tq being that runtime's: after
 * libffi_fini(), and after a failed libffi_init(), too.  May block.
 *
 * When it returns no thread may run this library's own code any more: nginx
 * does not wait for the threads of a library that exports this.
 */
void libffi_close(void *tq);

/*
 * Optional.  Called on a thread of its own when a polled task has passed its
 * deadline, unanswered, and its caller has left, or, once, when it has taken as
 * long as lua_ffi_slow_call in nginx.conf says: a chance to say in the log what
 * its handler is doing (ngx_http_lua_ffi_log_task()).  The task may be responded
 * to at the same time, as its handle then tells.
 *
 * One at a time in a worker, and for a few tasks a second at most; the others
 * are skipped.  May block, but the runtime is not ended before it returns.
 */
void libffi_overdue(void *tq, void *task);


/* ---- polling ---------------------------------------------------------- */

/*
 * Blocks until a call arrives and returns its task.  NULL means that the
 * runtime is being unloaded and nothing is left to do: end this thread.
 * Every poller gets NULL, as often as it asks.
 */
void *ngx_http_lua_ffi_task_poll(void *tq);

/*
 * Takes up to max tasks at once, waiting at most timeout_ms milliseconds for
 * the first one (0 does not wait, a negative timeout waits for ever).
 *
 * Returns the number of tasks stored in tasks[] (64 at most), 0 when the time
 * ran out or max is less than 1, or -1 at the end of the queue (as NULL above).
 *
 * In libffi_init(), with timeout_ms 0, -1 says that the load was given up, and
 * that others wait for it to return.  Its thread does not become one that polls.
 *
 * A runtime that has calls to answer while every thread that ever polled it
 * has ended, for a few tenths of a second, is taken for dead and unloaded.
 */
int ngx_http_lua_ffi_task_poll_many(void *tq, void **tasks, int max,
    int timeout_ms);

/*
 * A descriptor for a library with an event loop of its own: readable when
 * tasks wait, callers of polled tasks have gone or the queue has ended.  When
 * it is, read it empty (8 bytes, an eventfd) and then call
 * ngx_http_lua_ffi_task_poll_many() with timeout 0 until it returns 0 (which
 * arms the descriptor anew) or -1, and, if it is of interest,
 * ngx_http_lua_ffi_poll_abandoned() until it returns 0.
 *
 * The descriptor is non-blocking, belongs to the queue, must not be closed and
 * lives until every thread that polls has got -1.  Ask for it where it will be
 * read: from then on the unload waits for a poll.  Returns -1 with errno set
 * when it cannot be made.
 */
int ngx_http_lua_ffi_event_fd(void *tq);

/*
 * Handles of polled, unanswered tasks of the queue that were abandoned since
 * (see ngx_http_lua_ffi_is_abandoned()), each told once, for a library that
 * cancels what it runs.  The tasks must be responded to all the same; one that
 * was responded to meanwhile has a stale handle.
 *
 * Only a queue whose descriptor was asked for remembers them.  Returns the
 * number of handles stored in tasks[], 0 to max; never blocks.
 */
int ngx_http_lua_ffi_poll_abandoned(void *tq, void **tasks, int max);


/* ---- the request ------------------------------------------------------ */

/*
 * The request of a polled task: borrowed, valid until the task is responded
 * to, with a NUL beyond its last byte.  NULL is a nil request, or a handle that
 * is not a polled task.  *len (may be NULL) gets its length in bytes.
 */
char *ngx_http_lua_ffi_get_req(void *task, int *len);

/* The same for requests of any size. */
const char *ngx_http_lua_ffi_get_request(void *task, size_t *len);

/*
 * The name of the Lua method that was called ("get" in kv:get("a")), "" for a
 * plain call (kv("a")); borrowed, NUL-terminated, valid until respond.  NULL
 * for a handle that is not a polled task.
 */
const char *ngx_http_lua_ffi_get_method(void *task, size_t *len);

/*
 * The id of the request that the call was made in, as lua_ffi_request_id in
 * nginx.conf has it: 1 to 128 bytes without control characters; borrowed,
 * NUL-terminated, valid until respond.  NULL for a call that has none, and for
 * a handle that is not a polled task.
 */
const char *ngx_http_lua_ffi_get_request_id(void *task, size_t *len);

/*
 * The header "traceparent" of the request that the call was made in, as W3C's
 * Trace Context has it: 55 bytes, version, trace-id, parent-id and flags;
 * borrowed, NUL-terminated, valid until respond.  NULL for a call whose request
 * has none that is valid, and for a handle that is not a polled task.
 */
const char *ngx_http_lua_ffi_get_traceparent(void *task, size_t *len);

/*
 * 1 when nobody waits for the response any more (timeout, client gone,
 * coroutine killed) or the handle is not a polled task, else 0.  The task must
 * be responded to all the same.
 */
int ngx_http_lua_ffi_is_abandoned(void *task);

/*
 * Milliseconds until the caller gives up, 0 when it has, -1 for a handle that
 * is not a polled task.
 */
int64_t ngx_http_lua_ffi_time_left(void *task);


/* ---- the response ----------------------------------------------------- */

/*
 * Each polled task is responded to exactly once.  rc 0 is success: Lua gets
 * true and the response.  Any other rc is an error: Lua gets false, rc and the
 * response as message.  A response of NULL is nil, a response of length 0 is
 * the empty string.
 *
 * A handle that is not an unanswered, polled task is refused and logged.  So
 * is a response to be taken over that is seen not to be malloc()ed, a library's
 * static data: it is not freed, and Lua gets an error.
 */

/*
 * Copies len bytes; rsp stays the caller's.  Returns 0, or -1 when the handle
 * was refused or there is no memory (Lua then gets an error).
 */
int ngx_http_lua_ffi_respond_copy(void *task, int rc, const void *rsp,
    size_t len);

/*
 * Takes ownership of rsp, which must come from malloc() and is freed with
 * free() in every case.  Returns 0, or -1 when the handle or rsp was refused.
 */
int ngx_http_lua_ffi_respond_take(void *task, int rc, void *rsp, size_t len);

/*
 * As respond_take, in the older form: rsp_len 0 means that rsp is a
 * NUL-terminated string.  An empty response made with malloc(0) would
 * therefore be read beyond its end: use the two functions above instead.
 * A negative rsp_len is an error to the caller; rsp NULL is nil whatever rsp_len.
 */
void ngx_http_lua_ffi_respond(void *task, int rc, char *rsp, int rsp_len);


/* ---- the runtime ------------------------------------------------------ */

/* The ABI version of the running module. */
unsigned ngx_http_lua_ffi_abi_version(void);

/*
 * Says why libffi_init() is about to fail: the message (copied) becomes the
 * error of ngx.load_ffi().  Of use during libffi_init() only.
 */
void ngx_http_lua_ffi_set_error(void *tq, const char *msg, size_t len);

/*
 * Writes msg to nginx's error.log, a line for each line of it, with the
 * runtime's name in front (tq may be NULL: no name).  Lines go through a
 * bounded list to the event loop; what does not fit is counted and the count
 * is logged.
 */
void ngx_http_lua_ffi_log(void *tq, int level, const char *msg, size_t len);

/*
 * The same on behalf of a polled, unanswered task: with the name of its runtime
 * and, if there is one, the id of its request.  Any other handle is as tq NULL
 * above; the task may be responded to at the same time.
 */
void ngx_http_lua_ffi_log_task(void *task, int level, const char *msg,
    size_t len);

/*
 * 1 for a runtime that a reload makes, while the one that it is to replace
 * still runs; else 0.  A changed file of the library itself has been mapped
 * already: this is for a loader, which must read the code that it hosts afresh.
 */
int ngx_http_lua_ffi_is_reload(void *tq);

/*
 * 1 once the runtime is being unloaded or nginx has given up on its load (there
 * may be calls to answer still), else 0.  For a libffi_init() that waits: the
 * loads behind it wait, too.
 */
int ngx_http_lua_ffi_is_ending(void *tq);

/*
 * The path that the library was found at, which dladdr() does not tell when
 * nginx opened a private copy.  NUL-terminated, borrowed, valid during
 * libffi_init(), libffi_fini() and libffi_close(): copy it for any other use.
 * NULL for a stale handle.
 */
const char *ngx_http_lua_ffi_library_path(void *tq);


#ifdef __cplusplus
}
#endif


#endif /* NGX_HTTP_LUA_FFI_H_INCLUDED */
