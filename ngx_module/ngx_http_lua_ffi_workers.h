/*
 * What the workers of one nginx have in common: shared memory, and a bell for
 * each of them, an eventfd that all of them inherit.
 */

#ifndef _NGX_HTTP_LUA_FFI_WORKERS_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_WORKERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* A configuration's own. */
typedef struct {
    ngx_cycle_t     *cycle;
    ngx_shm_zone_t  *zone;
    int             *bells;
    ngx_uint_t       n;
    ngx_uint_t       number;
} ngx_http_lua_ffi_workers_t;


/* In the shared memory, guarded by its mutex. */
typedef struct {
    ngx_pid_t        pids[NGX_MAX_PROCESSES];    /* by ngx_worker; 0: none */
    ngx_uint_t       born[NGX_MAX_PROCESSES];    /* for which configuration */
    ngx_uint_t       configurations;             /* so far */
    ngx_queue_t      orders;
    ngx_uint_t       last;                       /* order's number */
} ngx_http_lua_ffi_shared_t;


/* Configuration time.  NGX_ERROR, logged. */
ngx_int_t ngx_http_lua_ffi_workers_add(ngx_conf_t *cf,
    ngx_http_lua_ffi_workers_t *workers);

/*
 * Worker.  Takes its place among the workers; has answer called, on the event
 * loop, when its bell has rung.  NGX_ERROR, logged: it has no place.
 */
ngx_int_t ngx_http_lua_ffi_workers_join(ngx_cycle_t *cycle,
    ngx_http_lua_ffi_workers_t *workers, void (*answer)(void));

/* Worker, at exit: leaves its place to the one that comes after it. */
void ngx_http_lua_ffi_workers_leave(void);

/*
 * Worker.  Rings the bell of a worker, by ngx_worker, which must be of the same
 * configuration: each has bells of its own.
 */
void ngx_http_lua_ffi_workers_ring(ngx_uint_t worker);

/* Worker.  Between the two the shared memory is this process's own. */
ngx_http_lua_ffi_shared_t *ngx_http_lua_ffi_workers_lock(void);
void ngx_http_lua_ffi_workers_unlock(void);

/* Whether there is such a process. */
ngx_uint_t ngx_http_lua_ffi_workers_exists(ngx_pid_t pid);

/* Worker, locked.  Zeroed memory, or NULL. */
void *ngx_http_lua_ffi_workers_alloc(size_t size);
void ngx_http_lua_ffi_workers_free(void *p);


#endif /* _NGX_HTTP_LUA_FFI_WORKERS_H_INCLUDED_ */
