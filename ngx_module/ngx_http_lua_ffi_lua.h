/*
 * The Lua side of the module: ngx.load_ffi in every Lua VM, and the C
 * functions that the embedded Lua code (lua/resty/ffi.lua) is written on.
 * Nothing else here knows lua-nginx-module.
 */

#ifndef _NGX_HTTP_LUA_FFI_LUA_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_LUA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Configuration time.  NGX_ERROR, logged, without a Lua module to work with. */
ngx_int_t ngx_http_lua_ffi_lua_init(ngx_conf_t *cf);


#endif /* _NGX_HTTP_LUA_FFI_LUA_H_INCLUDED_ */
