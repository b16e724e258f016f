/*
 * What is counted of a worker's runtimes, and of their calls.
 *
 * Calls are all counted.  Each has its times taken, up to
 * NGX_HTTP_LUA_FFI_TIMED_MAX of a runtime in a millisecond; beyond that one in
 * NGX_HTTP_LUA_FFI_TIMED_ONE_IN has, by chance, and counts for as many: a look
 * at the clock costs a tenth of a call.
 *
 * Event loop only.  All of it does nothing where metrics are off, and for a
 * runtime without a place.
 */

#ifndef _NGX_HTTP_LUA_FFI_METRICS_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_METRICS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ffi_task.h"
#include "ngx_http_lua_ffi_metrics_zone.h"
#include "ngx_http_lua_ffi_runtime.h"


#define NGX_HTTP_LUA_FFI_TIMED_MAX     16
#define NGX_HTTP_LUA_FFI_TIMED_ONE_IN  64


/* ---- runtimes --------------------------------------------------------- */

/* Finds a place for a new runtime of an entry; at the end lets it go. */
void ngx_http_lua_ffi_metrics_join(ngx_http_lua_ffi_runtime_t *rt);
void ngx_http_lua_ffi_metrics_leave(ngx_http_lua_ffi_runtime_t *rt);

/* The runtime is READY, or its load came to nothing. */
void ngx_http_lua_ffi_metrics_loaded(ngx_http_lua_ffi_runtime_t *rt);
void ngx_http_lua_ffi_metrics_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);

/* It has taken the place of another one. */
void ngx_http_lua_ffi_metrics_replaced(ngx_http_lua_ffi_runtime_t *rt);

/* What it is now; of no effect for one that its entry has left. */
void ngx_http_lua_ffi_metrics_state(ngx_http_lua_ffi_runtime_t *rt,
    ngx_http_lua_ffi_place_state_e state);

/*
 * How many calls are unanswered, and how many of them wait, where those that
 * were pushed since the last wake do; and its threads, which takes a lock.
 */
void ngx_http_lua_ffi_metrics_depth(ngx_http_lua_ffi_runtime_t *rt);
void ngx_http_lua_ffi_metrics_threads(ngx_http_lua_ffi_runtime_t *rt);

/* Both, of all runtimes of this worker. */
void ngx_http_lua_ffi_metrics_refresh(void);

/* ---- calls ------------------------------------------------------------ */

/* A call that is about to be pushed: it may be timed. */
void ngx_http_lua_ffi_metrics_posted(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task);

/* Lua was told at once that its call is not made; err as Lua gets it. */
void ngx_http_lua_ffi_metrics_refused(ngx_http_lua_ffi_entry_t *entry,
    const char *err);

/* A task has come back, timed and polled; now in ns. */
void ngx_http_lua_ffi_metrics_answered(ffi_task_t *task, int64_t now);

/* Lua gets the answer to its call, or the core's own verdict. */
void ngx_http_lua_ffi_metrics_fetched(ffi_task_t *task, const char *verdict);

/* The caller has gone without an answer; as often as it likes. */
void ngx_http_lua_ffi_metrics_abandoned(ffi_task_t *task);


static ngx_inline void
ngx_http_lua_ffi_metrics_add(ngx_http_lua_ffi_place_t *place,
    ngx_http_lua_ffi_number_e number, uint64_t n)
{
    if (place != NULL) {
        ffi_count(&place->numbers[number], n);
    }
}


#endif /* _NGX_HTTP_LUA_FFI_METRICS_H_INCLUDED_ */
