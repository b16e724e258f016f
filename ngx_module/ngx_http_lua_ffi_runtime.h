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
#include <ngx_event.h>

#include "ffi_queue.h"
#include "ngx_http_lua_ffi_library.h"
#include "ngx_http_lua_ffi_metrics_zone.h"
#include "ngx_http_lua_ffi_registry.h"


/* Why no call is taken, or none is answered. */
#define NGX_HTTP_LUA_FFI_TIMEOUT   "timeout"
#define NGX_HTTP_LUA_FFI_FULL      "queue full"
#define NGX_HTTP_LUA_FFI_UNLOADED  "unloaded"
#define NGX_HTTP_LUA_FFI_SHUTDOWN  "shutting down"
#define NGX_HTTP_LUA_FFI_DIED      "the runtime died: its threads have ended; " \
                                   "load it again"


typedef struct {
    ngx_uint_t                max_queue;
    ngx_msec_t                timeout;
    ngx_msec_t                load_timeout;
    ngx_uint_t                max_requests;      /* 0: any number */
    ngx_msec_t                max_age;           /* 0: any */
    ngx_msec_t                stuck_after;
    unsigned                  replace_stuck:1;
    unsigned                  unpin:1;
    unsigned                  global:1;
} ngx_http_lua_ffi_opts_t;


typedef enum {
    NGX_HTTP_LUA_FFI_LOADING = 0,
    NGX_HTTP_LUA_FFI_READY,
    NGX_HTTP_LUA_FFI_DRAINING,
    NGX_HTTP_LUA_FFI_UNLOADING
} ngx_http_lua_ffi_state_e;


struct ngx_http_lua_ffi_runtime_s {
    ngx_http_lua_ffi_entry_t *entry;             /* NULL: of no use to Lua */
    ngx_queue_t               link;              /* in one of the two lists */
    ngx_queue_t               dirty;             /* pushed to, not yet woken */

    ngx_http_lua_ffi_state_e  state;
    ffi_queue_t              *queue;
    ngx_http_lua_ffi_opts_t   opts;
    ngx_http_lua_ffi_op_t    *op;                /* its load, then unload */

    ngx_uint_t                unanswered;
    ngx_uint_t                pushed;            /* since the last wake */
    ngx_uint_t                ticks;             /* without a live poller */
    ngx_msec_t                load_end;          /* as ngx_current_msec */
    ngx_http_lua_ffi_waiters_t  waiters;         /* for loaded, or for gone */
    ngx_uint_t                calls;             /* posted to it */
    ngx_uint_t                calls_end;         /* 0: no limit */
    ngx_event_t               age;
    ngx_uint_t                timeouts;          /* calls past their deadline */
    ngx_uint_t                polls;             /* the queue's, a tick ago */
    ngx_msec_t                unpolled;          /* how long calls have waited */

    ngx_http_lua_ffi_place_t *place;             /* of its metrics, or NULL */
    uint64_t                  depth;             /* its part of the place's */
    uint64_t                  running;           /* the same, of unanswered */
    uint64_t                  pollers;           /* the same */
    uint64_t                  threads;           /* the same */
    ngx_msec_t                timed_msec;        /* in which calls were timed */
    ngx_uint_t                timed;             /* as many */
    ngx_uint_t                untimed;           /* to come before the next */

    unsigned                  dead:1;            /* its pollers have ended */
    unsigned                  stuck:1;           /* nobody polls */
    unsigned                  kept:1;            /* nothing replaces it */
};


/* Every runtime is in one of the two: those that end are in the second. */
extern ngx_queue_t  ngx_http_lua_ffi_runtimes;
extern ngx_queue_t  ngx_http_lua_ffi_draining;


void ngx_http_lua_ffi_runtime_init(void);

/*
 * The entry of a library and configuration, whose runtime is found or on its
 * way.  lib is as Lua has it; cfg->data NULL is nil; opts are used when it is
 * new.  NULL: *err is static.
 */
ngx_http_lua_ffi_entry_t *ngx_http_lua_ffi_runtime_load(ngx_str_t *lib,
    ngx_str_t *cfg, ngx_http_lua_ffi_opts_t *opts, const char **err);

/* The runtime that takes a registered entry's calls, or is going to. */
ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_runtime_current(
    ngx_http_lua_ffi_entry_t *entry);

/* Whether the worker takes no load and no call any more. */
ngx_uint_t ngx_http_lua_ffi_runtime_ending(void);

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

/*
 * The entry's name is free.  Its runtime, if READY, takes no more calls, and
 * ends when the rest is answered; one that loads to replace it is given up.
 */
void ngx_http_lua_ffi_runtime_unload(ngx_http_lua_ffi_entry_t *entry);

/* Moves on what can move on: unloads drained runtimes. */
void ngx_http_lua_ffi_runtime_advance(void);

/* Blocks until a LOADING runtime is READY; NGX_ERROR with err: it is not. */
ngx_int_t ngx_http_lua_ffi_runtime_await(ngx_http_lua_ffi_runtime_t *rt,
    u_char *err, size_t len);

/* Unloads all, ends every wait, takes no load and no call any more. */
void ngx_http_lua_ffi_runtime_shutdown(void);

/* Whether a runtime is left, in whatever state. */
ngx_uint_t ngx_http_lua_ffi_runtime_any(void);

/* ---- the steps of a runtime's life, for its reload and its watch ------- */

/* One of the entry's, LOADING when it is started.  NULL without memory. */
ngx_http_lua_ffi_runtime_t *ngx_http_lua_ffi_runtime_create(
    ngx_http_lua_ffi_entry_t *entry, ngx_http_lua_ffi_opts_t *opts);
ngx_int_t ngx_http_lua_ffi_runtime_start(ngx_http_lua_ffi_runtime_t *rt);

/* The load ends without a runtime: logs it, and tells who waits for it. */
void ngx_http_lua_ffi_runtime_failed(ngx_http_lua_ffi_runtime_t *rt,
    const char *error);

/* Nobody wants a load any more, which may have started: frees it, or has it
 * unloaded when it ends. */
void ngx_http_lua_ffi_runtime_abandon(ngx_http_lua_ffi_runtime_t *rt);

/* The entry has no use for the runtime any more, nor it for the entry. */
void ngx_http_lua_ffi_runtime_leave(ngx_http_lua_ffi_runtime_t *rt);

/* READY -> DRAINING */
void ngx_http_lua_ffi_runtime_close(ngx_http_lua_ffi_runtime_t *rt);

void ngx_http_lua_ffi_runtime_destroy(ngx_http_lua_ffi_runtime_t *rt);


#endif /* _NGX_HTTP_LUA_FFI_RUNTIME_H_INCLUDED_ */
