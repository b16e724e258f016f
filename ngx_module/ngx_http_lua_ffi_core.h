/*
 * The C functions that the embedded Lua code (lua/resty/ffi.lua) is written
 * on, where they are called "core".
 */

#ifndef _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <ngx_http.h>

#include <lua.h>


/*
 * Pushes the table of the functions, which also has the metatable of runtimes
 * and the module's version.
 */
void ngx_http_lua_ffi_core_push(lua_State *L);

/*
 * order(lib, cfg, ms): has all workers reload what they run of a library.
 * Returns a ticket to wait for and the order's number; or nil, err; err is nil
 * where Lua cannot yield.
 */
int ngx_http_lua_ffi_core_order(lua_State *L);

/*
 * order_result(number): what became of it, once, a table for each worker; nil
 * when it is forgotten.
 */
int ngx_http_lua_ffi_core_order_result(lua_State *L);

/* The request whose coroutine can wait here, or NULL. */
ngx_http_request_t *ngx_http_lua_ffi_core_request(lua_State *L);

/* Pushes nil and err, and returns their number. */
int ngx_http_lua_ffi_core_error(lua_State *L, const char *err);

/* Why a process without an event loop for runtimes has none. */
const char *ngx_http_lua_ffi_core_no_loop(void);


#endif /* _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_ */
