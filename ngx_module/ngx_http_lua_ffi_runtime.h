/*
 * Runtimes: a library with one configuration, alive.  The registry is the
 * worker's; Lua keeps handles.
 *
 *     LOADING -> READY -> DRAINING -> UNLOADING -> gone
 *        `-> gone (failed)
 *
 *   LOADING    its load operation waits or runs
 *   READY      takes calls
 *   DRAINING   takes none; what it has is answered, pollers leave
 *   UNLOADING  its unload operation waits or runs
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_RUNTIME_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_RUNTIME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ffi_queue.h"
#include "ffi_task.h"
#include "ngx_http_lua_ffi_library.h"


typedef struct {
    ngx_uint_t                max_queue;
    ngx_msec_t                timeout;
    ngx_msec_t                load_timeout;
    unsigned                  unpin:1;
    unsigned                  global:1;
    unsigned                  fresh:1;           /* part of the key */
} ngx_http_lua_ffi_opts_t;


typedef enum {
    NGX_HTTP_LUA_FFI_LOADING = 0,
    NGX_HTTP_LUA_FFI_READY,
    NGX_HTTP_LUA_FFI_DRAINING,
    NGX_HTTP_LUA_FFI_UNLOADING
} ngx_http_lua_ffi_state_e;


typedef struct {
    ngx_str_node_t            node;              /* in the registry, by key */
    ngx_queue_t               link;              /* in the list of all */
    ngx_queue_t               dirty;             /* pushed to, not yet woken */

    ngx_http_lua_ffi_state_e  state;
    ffi_queue_t              *queue;
    ngx_http_lua_ffi_opts_t   opts;
    ngx_http_lua_ffi_op_t    *op;                /* its load, then unload */

    ngx_uint_t                unanswered;
    ngx_uint_t                pushed;            /* since the last wake */
    ngx_uint_t                ticks;             /* without a live poller */
    ngx_msec_t                load_end;          /* as ngx_current_msec */
    ffi_task_link_t           waiters;           /* for loaded, or for gone */

    unsigned                  registered:1;
    unsigned                  late:1;            /* nobody wants the load */
    unsigned                  dead:1;            /* its pollers have ended */
} ngx_http_lua_ffi_runtime_t;


ngx_int_t ngx_http_lua_ffi_runtime_init(ngx_cycle_t *cycle);

/*
 * The runtime of a library and configuration, found or on its way.  lib is as
 * Lua has it; cfg->data NULL is nil; opts are used when it is new, but for
 * fresh, which is set.  NULL: *err is static.
 */
ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_runtime_load(ngx_str_t *lib,
    ngx_str_t *cfg, ngx_http_lua_ffi_opts_t *opts, const char **err);

/* The runtime of a queue handle that is not gone yet, or NULL. */
ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_runtime_find(const void *tq);

/*
 * Why the runtime (NULL: one that is gone) takes no call now, a static
 * message; NULL: it does.
 */
const char *ngx_http_lua_ffi_runtime_refusal(ngx_http_lua_ffi_runtime_t *rt);

/* Accounts for a call that was pushed, or answered. */
void ngx_http_lua_ffi_runtime_posted(ngx_http_lua_ffi_runtime_t *rt);
void ngx_http_lua_ffi_runtime_answered(ngx_http_lua_ffi_runtime_t *rt);

/* Wakes the threads of all runtimes that were pushed to. */
void ngx_http_lua_ffi_runtime_wake(void);

/* Ends a READY runtime: no more calls, the rest is answered first. */
void ngx_http_lua_ffi_runtime_unload(ngx_http_lua_ffi_runtime_t *rt);

/* Moves on what can move on: unloads drained runtimes. */
void ngx_http_lua_ffi_runtime_advance(void);

/* Blocks until a LOADING runtime is READY; NGX_ERROR with err: it is not. */
ngx_int_t ngx_http_lua_ffi_runtime_await(ngx_http_lua_ffi_runtime_t *rt,
    u_char *err, size_t len);

/* Every NGX_HTTP_LUA_FFI_TICK_MS: looks after late loads and dead pollers.
 * Whether there is anything left to look after. */
ngx_uint_t ngx_http_lua_ffi_runtime_tick(void);

/* Unloads all, ends every wait, takes no load and no call any more. */
void ngx_http_lua_ffi_runtime_shutdown(void);

/* Whether a runtime is left, in whatever state. */
ngx_uint_t ngx_http_lua_ffi_runtime_any(void);


#endif /* _NGX_HTTP_LUA_FFI_RUNTIME_H_INCLUDED_ */
