#include "ngx_http_lua_ffi_lua.h"

#include "ngx_http_lua_ffi_chunk.h"
#include "ngx_http_lua_ffi_core.h"
#include "ngx_http_lua_ffi_symbols.h"

#include <lauxlib.h>


static ngx_int_t ngx_http_lua_ffi_lua_add(ngx_conf_t *cf, const char *package,
    lua_CFunction loader);
static int ngx_http_lua_ffi_lua_preload_core(lua_State *L);
static int ngx_http_lua_ffi_lua_preload(lua_State *L);
static void ngx_http_lua_ffi_lua_open(lua_State *L);


/* Addresses are keys of the registry. */
static char  ngx_http_lua_ffi_lua_key;


ngx_int_t
ngx_http_lua_ffi_lua_init(ngx_conf_t *cf)
{
    if (ngx_http_lua_ffi_symbols_find(cf) != NGX_OK
        || ngx_http_lua_ffi_lua_add(cf, "resty.core",
                                    ngx_http_lua_ffi_lua_preload_core)
           != NGX_OK
        || ngx_http_lua_ffi_lua_add(cf, "resty.ffi",
                                    ngx_http_lua_ffi_lua_preload)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_lua_ffi_lua_add(cf, "resty_ffi",
                                    ngx_http_lua_ffi_lua_preload);
}


static ngx_int_t
ngx_http_lua_ffi_lua_add(ngx_conf_t *cf, const char *package,
    lua_CFunction loader)
{
    return ngx_http_lua_ffi_symbols.add_package_preload(cf, package, loader);
}


/*
 * Every Lua VM requires "resty.core" first of all.  This loader stands in for
 * it once: it lets the others find the real module, and opens ours on top.
 */
static int
ngx_http_lua_ffi_lua_preload_core(lua_State *L)
{
    int  i, n, loaders;

    lua_settop(L, 1);                              /* name */

    lua_getglobal(L, "package");
    lua_getfield(L, 2, "preload");
    lua_pushnil(L);
    lua_setfield(L, 3, "resty.core");

    lua_getfield(L, 2, "loaders");
    loaders = lua_gettop(L);

    lua_pushliteral(L, "");                        /* why not found */
    n = (int) lua_objlen(L, loaders);

    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, loaders, i);
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);

        if (lua_isfunction(L, -1)) {
            lua_pushvalue(L, 1);
            lua_call(L, 1, 1);

            ngx_http_lua_ffi_lua_open(L);
            lua_pop(L, 1);

            return 1;
        }

        if (lua_isstring(L, -1)) {
            lua_concat(L, 2);

        } else {
            lua_pop(L, 1);
        }
    }

    return luaL_error(L, "module 'resty.core' not found:%s",
                      lua_tostring(L, -1));
}


static int
ngx_http_lua_ffi_lua_preload(lua_State *L)
{
    ngx_http_lua_ffi_lua_open(L);

    return 1;
}


/* Pushes the module's table, made once in each VM. */
static void
ngx_http_lua_ffi_lua_open(lua_State *L)
{
    lua_pushlightuserdata(L, &ngx_http_lua_ffi_lua_key);
    lua_rawget(L, LUA_REGISTRYINDEX);

    if (!lua_isnil(L, -1)) {
        return;
    }

    lua_pop(L, 1);

    if (luaL_loadbuffer(L, ngx_http_lua_ffi_chunk,
                        sizeof(ngx_http_lua_ffi_chunk) - 1, "=resty.ffi")
        != 0)
    {
        lua_error(L);
    }

    ngx_http_lua_ffi_core_push(L);
    lua_call(L, 1, 1);

    lua_pushlightuserdata(L, &ngx_http_lua_ffi_lua_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}
