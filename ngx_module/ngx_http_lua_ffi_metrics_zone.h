/*
 * The shared memory of the metrics: a place for each runtime of each worker.
 *
 * A place belongs to one worker at a time, which alone writes its numbers, with
 * relaxed atomics; whoever reads them gets no torn ones.  A worker that ends,
 * in whatever way, leaves its places to those that come after it with the same
 * number: they go on counting where it stopped.  While it still ends, after a
 * reload of nginx, they have places of their own: those of one runtime and
 * number are to be added up.
 *
 * When there is no free place, the one whose runtime has been gone for longest
 * is taken.  When all runtimes of all places live, a runtime has none.
 */

#ifndef _NGX_HTTP_LUA_FFI_METRICS_ZONE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_METRICS_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ffi_histogram.h"


/* What is counted; each is one _Atomic uint64_t of a place. */
typedef enum {
    NGX_HTTP_LUA_FFI_CALLS = 0,
    NGX_HTTP_LUA_FFI_REQUEST_BYTES,
    NGX_HTTP_LUA_FFI_RESPONSE_BYTES,

    /* calls that Lua got an error for, by its kind */
    NGX_HTTP_LUA_FFI_FAILED_LIBRARY,             /* its own rc */
    NGX_HTTP_LUA_FFI_FAILED_TIMEOUT,
    NGX_HTTP_LUA_FFI_FAILED_QUEUE_FULL,
    NGX_HTTP_LUA_FFI_FAILED_UNLOADED,
    NGX_HTTP_LUA_FFI_FAILED_DIED,
    NGX_HTTP_LUA_FFI_FAILED_SHUTDOWN,
    NGX_HTTP_LUA_FFI_FAILED_REFUSED,             /* phases, memory */

    NGX_HTTP_LUA_FFI_ABANDONED,
    NGX_HTTP_LUA_FFI_LOADS,
    NGX_HTTP_LUA_FFI_FAILED_LOADS,
    NGX_HTTP_LUA_FFI_RELOADS,
    NGX_HTTP_LUA_FFI_RECYCLES,
    NGX_HTTP_LUA_FFI_PEAK,                       /* of the depth */

    /* from here on: what is now, 0 when the owner has gone */
    NGX_HTTP_LUA_FFI_DEPTH,
    NGX_HTTP_LUA_FFI_UNANSWERED,
    NGX_HTTP_LUA_FFI_POLLERS,
    NGX_HTTP_LUA_FFI_THREADS,
    NGX_HTTP_LUA_FFI_COPIES,
    NGX_HTTP_LUA_FFI_RUNTIMES,

    NGX_HTTP_LUA_FFI_NUMBERS
} ngx_http_lua_ffi_number_e;

#define NGX_HTTP_LUA_FFI_FIRST_FAILURE  NGX_HTTP_LUA_FFI_FAILED_LIBRARY
#define NGX_HTTP_LUA_FFI_FAILURES       7
#define NGX_HTTP_LUA_FFI_FIRST_GAUGE    NGX_HTTP_LUA_FFI_DEPTH


typedef enum {
    NGX_HTTP_LUA_FFI_STATE_GONE = 0,
    NGX_HTTP_LUA_FFI_STATE_LOADING,
    NGX_HTTP_LUA_FFI_STATE_READY,
    NGX_HTTP_LUA_FFI_STATE_STUCK,
    NGX_HTTP_LUA_FFI_STATE_DRAINING,
    NGX_HTTP_LUA_FFI_STATE_DEAD,
    NGX_HTTP_LUA_FFI_STATE_FAILED,
    NGX_HTTP_LUA_FFI_STATES
} ngx_http_lua_ffi_place_state_e;


typedef enum {
    NGX_HTTP_LUA_FFI_IN_QUEUE = 0,
    NGX_HTTP_LUA_FFI_IN_GUEST,
    NGX_HTTP_LUA_FFI_IN_LOOP,
    NGX_HTTP_LUA_FFI_STAGES
} ngx_http_lua_ffi_stage_e;


/* Sizes of texts, NUL included; longer ones are cut. */
#define NGX_HTTP_LUA_FFI_PLACE_ID     24
#define NGX_HTTP_LUA_FFI_PLACE_TEXT   128
#define NGX_HTTP_LUA_FFI_PLACE_CFG    256
#define NGX_HTTP_LUA_FFI_PLACE_ERROR  256


/* Texts are NUL-terminated, of any bytes else. */
typedef struct {
    u_char             id[NGX_HTTP_LUA_FFI_PLACE_ID];
    u_char             library[NGX_HTTP_LUA_FFI_PLACE_TEXT];
    u_char             entry[NGX_HTTP_LUA_FFI_PLACE_TEXT];
    u_char             cfg[NGX_HTTP_LUA_FFI_PLACE_CFG];   /* masked */
    u_char             error[NGX_HTTP_LUA_FFI_PLACE_ERROR];
    time_t             error_time;               /* 0: there was none */
    time_t             loaded;                   /* 0: never */
    time_t             since;                    /* counted since */
} ngx_http_lua_ffi_place_text_t;


typedef struct {
    /* guarded by the zone's mutex */
    u_char                         key[16];      /* of library and cfg */
    ngx_uint_t                     claim;        /* by which it is known */
    ngx_uint_t                     worker;
    ngx_pid_t                      owner;        /* 0: none */
    ngx_msec_t                     gone;         /* when; 0: a runtime lives */
    ngx_http_lua_ffi_place_text_t  text;

    /* the owner writes, any process reads */
    _Atomic uint64_t               state;
    _Atomic uint64_t               numbers[NGX_HTTP_LUA_FFI_NUMBERS];
    ffi_histogram_t                stages[NGX_HTTP_LUA_FFI_STAGES];
} ngx_http_lua_ffi_place_t;


/* Of a configuration: 0 bytes is "off". */
typedef struct {
    ngx_shm_zone_t                *zone;
    size_t                         size;
} ngx_http_lua_ffi_metrics_conf_t;


/* Configuration time.  NGX_ERROR, logged. */
ngx_int_t ngx_http_lua_ffi_metrics_zone_add(ngx_conf_t *cf,
    ngx_http_lua_ffi_metrics_conf_t *conf);

/* Worker.  Whether there is one. */
ngx_uint_t ngx_http_lua_ffi_metrics_zone_exists(void);

/* Worker, before it has runtimes: takes over from those that are gone. */
void ngx_http_lua_ffi_metrics_zone_join(void);

/* Worker, at exit: its places are nobody's. */
void ngx_http_lua_ffi_metrics_zone_leave(void);

/*
 * Worker.  The place of the runtimes that have the key.  A new one gets the
 * text, and as id that of the key in other workers, else the text's, with a
 * number after it where another key has that.  NULL: there is no room.
 */
ngx_http_lua_ffi_place_t *ngx_http_lua_ffi_metrics_zone_claim(
    const u_char key[16], const ngx_http_lua_ffi_place_text_t *text);

/* Worker.  The last runtime of its place is gone: another may have it. */
void ngx_http_lua_ffi_metrics_zone_release(ngx_http_lua_ffi_place_t *place);

/* Worker.  Whether the place is still what it was when claimed. */
ngx_uint_t ngx_http_lua_ffi_metrics_zone_owns(ngx_http_lua_ffi_place_t *place,
    ngx_uint_t claim);

/* Worker.  Between the two the texts do not change but by the caller. */
void ngx_http_lua_ffi_metrics_zone_lock(void);
void ngx_http_lua_ffi_metrics_zone_unlock(void);

/* Worker.  Counts a runtime that has no place; how many there were before. */
uint64_t ngx_http_lua_ffi_metrics_zone_untracked(ngx_uint_t more);

/*
 * Worker.  Copies of the places in use, sorted by runtime, then by worker,
 * those of one runtime and worker added up; NULL without memory.
 */
ngx_array_t *ngx_http_lua_ffi_metrics_zone_read(ngx_pool_t *pool);


#endif /* _NGX_HTTP_LUA_FFI_METRICS_ZONE_H_INCLUDED_ */
