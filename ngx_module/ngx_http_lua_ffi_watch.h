/*
 * The watch over runtimes: what no event tells.  Loads that take too long,
 * pollers that have died or are stuck, calls that nobody is left to answer.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_WATCH_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_WATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Every NGX_HTTP_LUA_FFI_TICK_MS.  Whether there is anything left to watch. */
ngx_uint_t ngx_http_lua_ffi_watch_tick(void);


#endif /* _NGX_HTTP_LUA_FFI_WATCH_H_INCLUDED_ */
