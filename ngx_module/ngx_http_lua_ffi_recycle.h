/*
 * Recycling: a runtime that has had its number of calls, or its time, is
 * replaced by one of the same code.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_RECYCLE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_RECYCLE_H_INCLUDED_


#include "ngx_http_lua_ffi_runtime.h"


/*
 * A runtime that is READY draws its limits: 90 to 100 % of what was asked for,
 * so that workers do not recycle at once.
 */
void ngx_http_lua_ffi_recycle_start(ngx_http_lua_ffi_runtime_t *rt);

/* Whatever state it is in, as often as it likes. */
void ngx_http_lua_ffi_recycle_stop(ngx_http_lua_ffi_runtime_t *rt);

/* It has had rt->calls_end calls; as many more until it is tried again. */
void ngx_http_lua_ffi_recycle_spent(ngx_http_lua_ffi_runtime_t *rt);


#endif /* _NGX_HTTP_LUA_FFI_RECYCLE_H_INCLUDED_ */
