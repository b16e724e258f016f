/*
 * The orders that this worker has sent: who waits for them, and until when.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_SENT_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_SENT_H_INCLUDED_


#include "ngx_http_lua_ffi_order.h"
#include "ngx_http_lua_ffi_waiters.h"


typedef struct ngx_http_lua_ffi_sent_s  ngx_http_lua_ffi_sent_t;


/*
 * An order to all workers of this configuration, this one included, to be sent
 * or cancelled at once.  lib is as Lua has it, cfg->data NULL means any.  It is
 * forgotten some seconds after ms milliseconds at the latest.  NULL: *err is
 * static.
 */
ngx_http_lua_ffi_sent_t *ngx_http_lua_ffi_sent_make(ngx_str_t *lib,
    ngx_str_t *cfg, ngx_msec_t ms, const char **err);
void ngx_http_lua_ffi_sent_send(ngx_http_lua_ffi_sent_t *sent);
void ngx_http_lua_ffi_sent_cancel(ngx_http_lua_ffi_sent_t *sent);

/* Who waits until each worker is done, or has exited. */
ngx_http_lua_ffi_waiters_t *ngx_http_lua_ffi_sent_waiters(
    ngx_http_lua_ffi_sent_t *sent);

ngx_uint_t ngx_http_lua_ffi_sent_number(ngx_http_lua_ffi_sent_t *sent);

/* A worker may be done: those whose order is over are told. */
void ngx_http_lua_ffi_sent_answered(void);

/*
 * What became of an order of this worker, done or not; no worker changes it
 * any more.  NULL when the order was forgotten.  It is valid until it is freed,
 * or the event loop is entered.
 */
const ngx_http_lua_ffi_order_t *ngx_http_lua_ffi_sent_result(
    ngx_uint_t number);

void ngx_http_lua_ffi_sent_free(const ngx_http_lua_ffi_order_t *order);

/* At exit: nobody waits any more. */
void ngx_http_lua_ffi_sent_shutdown(const char *error);

/* At exit, last of all: no order is left of this worker. */
void ngx_http_lua_ffi_sent_exit(void);


#endif /* _NGX_HTTP_LUA_FFI_SENT_H_INCLUDED_ */
