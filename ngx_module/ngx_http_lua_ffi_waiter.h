/*
 * Waiting in Lua: the semaphores of lua-nginx-module, which are the one way
 * to resume a coroutine that is public, present in every version, and safe
 * when the coroutine is killed, the request ends or time runs out.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_WAITER_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_WAITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* A waiter, or NULL with *err set to a static message. */
void *ngx_http_lua_ffi_waiter_create(const char **err);

/* Nobody may wait, and no wake-up may be on its way. */
void ngx_http_lua_ffi_waiter_destroy(void *waiter);

/*
 * Registers the request's running coroutine.  NGX_AGAIN: it must yield now
 * and is resumed by wake() or after ms milliseconds.  NGX_ERROR: it may not
 * wait in this phase; err (of *len bytes) and *len are set.
 */
ngx_int_t ngx_http_lua_ffi_waiter_wait(ngx_http_request_t *r, void *waiter,
    ngx_msec_t ms, u_char *err, size_t *len);

/* Posts the event that resumes the coroutine. */
void ngx_http_lua_ffi_waiter_wake(void *waiter);

/*
 * Coroutines that wait, negative; wake-ups that nobody took, positive.
 */
ngx_int_t ngx_http_lua_ffi_waiter_balance(void *waiter);


#endif /* _NGX_HTTP_LUA_FFI_WAITER_H_INCLUDED_ */
