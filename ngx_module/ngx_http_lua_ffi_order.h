/*
 * Orders: a worker has all workers reload what they run of a library, and
 * learns how each of them got on.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_lua_ffi_waiters.h"


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
    ngx_uint_t                       number;
    ngx_pid_t                        caller;
    ngx_uint_t                       caller_worker;
    ngx_str_t                        lib;
    ngx_str_t                        cfg;        /* data NULL: any */
    ngx_uint_t                       n;
    ngx_http_lua_ffi_order_worker_t  workers[1];
} ngx_http_lua_ffi_order_t;


typedef struct ngx_http_lua_ffi_sent_s  ngx_http_lua_ffi_sent_t;


/* Takes this worker's place among those that take orders. */
ngx_int_t ngx_http_lua_ffi_order_init(ngx_cycle_t *cycle);

/*
 * An order to all workers of this configuration, this one included, to be sent
 * or cancelled at once.  lib is as Lua has it, cfg->data NULL means any.  It is
 * forgotten some seconds after ms milliseconds at the latest.  NULL: *err is
 * static.
 */
ngx_http_lua_ffi_sent_t *ngx_http_lua_ffi_order_make(ngx_str_t *lib,
    ngx_str_t *cfg, ngx_msec_t ms, const char **err);
void ngx_http_lua_ffi_order_send(ngx_http_lua_ffi_sent_t *sent);
void ngx_http_lua_ffi_order_cancel(ngx_http_lua_ffi_sent_t *sent);

/* Who waits until each worker is done, or has exited. */
ngx_http_lua_ffi_waiters_t *ngx_http_lua_ffi_order_waiters(
    ngx_http_lua_ffi_sent_t *sent);

ngx_uint_t ngx_http_lua_ffi_order_number(ngx_http_lua_ffi_sent_t *sent);

/*
 * What became of an order of this worker, done or not; no worker changes it
 * any more.  NULL when the order was forgotten.  It is valid until it is freed,
 * or the event loop is entered.
 */
const ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_order_result(
    ngx_uint_t number);

void ngx_http_lua_ffi_order_free(const ngx_http_lua_ffi_order_t *order);

/* At exit, last of all: no order reaches this worker, nor is left of it. */
void ngx_http_lua_ffi_order_exit(void);

/* At exit: nobody waits any more. */
void ngx_http_lua_ffi_order_shutdown(const char *error);


#endif /* _NGX_HTTP_LUA_FFI_ORDER_H_INCLUDED_ */
