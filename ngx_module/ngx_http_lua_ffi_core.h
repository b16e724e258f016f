/*
 * The C functions that the embedded Lua code (lua/resty/ffi.lua) is written
 * on, where they are called "core".
 */

#ifndef _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <lua.h>


/*
 * Pushes the table of the functions, which also has the metatable of runtimes
 * and the module's version.
 */
void ngx_http_lua_ffi_core_push(lua_State *L);


#endif /* _NGX_HTTP_LUA_FFI_CORE_H_INCLUDED_ */
