/*
 * Where threads meet the event loop: the eventfd that wakes it, the turn at
 * the end of each of its rounds, the tick for what nobody announces.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_NOTIFY_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_NOTIFY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* How often what nobody announces is looked after, in milliseconds. */
#define NGX_HTTP_LUA_FFI_TICK_MS  100


/* NGX_ERROR, logged. */
ngx_int_t ngx_http_lua_ffi_notify_open(ngx_cycle_t *cycle);

/* From now on runtimes may be loaded. */
void ngx_http_lua_ffi_notify_start(void);

/* Whether this process has an event loop that runtimes can live on. */
ngx_uint_t ngx_http_lua_ffi_notify_ready(void);

/* Has threads woken when the events that are posted now have run. */
void ngx_http_lua_ffi_notify_turn(void);

/* Has the tick run while there is something to look after. */
void ngx_http_lua_ffi_notify_tick(void);

/*
 * Blocks for at most ms milliseconds until threads bring something, and works
 * it off: where Lua cannot yield, and at exit.
 */
void ngx_http_lua_ffi_notify_wait(ngx_msec_t ms);

/*
 * At exit: unloads all runtimes and waits for it, within
 * lua_ffi_shutdown_timeout since the worker was told to exit gracefully.
 */
void ngx_http_lua_ffi_notify_shutdown(void);


#endif /* _NGX_HTTP_LUA_FFI_NOTIFY_H_INCLUDED_ */
