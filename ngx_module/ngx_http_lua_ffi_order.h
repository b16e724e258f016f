/*
 * Orders: a worker has all workers reload what they run of a library, and
 * learns how each of them got on.  This is what they share of one.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_


#include "ngx_http_lua_ffi_workers.h"


typedef enum {
    NGX_HTTP_LUA_FFI_ORDER_NONE = 0,     /* no such worker at the time */
    NGX_HTTP_LUA_FFI_ORDER_SENT,
    NGX_HTTP_LUA_FFI_ORDER_TAKEN,
    NGX_HTTP_LUA_FFI_ORDER_DONE,
    NGX_HTTP_LUA_FFI_ORDER_EXITED        /* the worker, before it was done */
} ngx_http_lua_ffi_order_state_e;


typedef struct ngx_http_lua_ffi_report_s  ngx_http_lua_ffi_report_t;

/* What a worker says of one of its runtimes. */
struct ngx_http_lua_ffi_report_s {
    ngx_http_lua_ffi_report_t       *next;
    u_char                          *name;       /* NUL-terminated, printable */
    u_char                          *error;      /* the same; NULL: reloaded */
};


typedef struct {
    ngx_pid_t                        pid;
    ngx_http_lua_ffi_order_state_e   state;
    ngx_uint_t                       reloaded;
    ngx_uint_t                       kept;
    ngx_http_lua_ffi_report_t       *reports;    /* as far as memory went */
} ngx_http_lua_ffi_order_worker_t;


/* In shared memory. */
typedef struct {
    ngx_queue_t                      link;
    ngx_uint_t                       number;     /* 0: workers find it no more */
    ngx_pid_t                        caller;
    ngx_uint_t                       caller_worker;
    ngx_str_t                        lib;
    ngx_str_t                        cfg;        /* data NULL: any */
    ngx_uint_t                       n;
    ngx_http_lua_ffi_order_worker_t  workers[1];
} ngx_http_lua_ffi_order_t;


/*
 * Locked.  An order to all workers of this worker's configuration; NULL: no
 * shared memory.
 */
ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_create(
    ngx_http_lua_ffi_shared_t *shared, ngx_str_t *lib, ngx_str_t *cfg);

/* Locked. */
void ngx_http_lua_ffi_order_destroy(ngx_http_lua_ffi_order_t *order);

/*
 * Locked.  Whether no worker is going to say more; those that are gone are
 * marked.
 */
ngx_uint_t ngx_http_lua_ffi_order_is_over(ngx_http_lua_ffi_shared_t *shared,
    ngx_http_lua_ffi_order_t *order);

/*
 * The next order to this worker, or NULL: a copy without workers[], freed with
 * ngx_free().  It is finished once, however it goes.
 */
ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_take(void);

/* name is printable; error NULL: reloaded. */
void ngx_http_lua_ffi_order_report(ngx_uint_t number, u_char *name,
    const char *error);

/* Tells the caller, too. */
void ngx_http_lua_ffi_order_finish(ngx_uint_t number);


#endif /* _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_ */
