/*
 * The public functions of lua-nginx-module that this module uses.  They are
 * looked up, not linked: the Lua module may be loaded after this one, or be a
 * part of nginx.
 */

#ifndef _NGX_HTTP_LUA_FFI_SYMBOLS_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_SYMBOLS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <lua.h>


typedef struct {
    ngx_int_t           (*add_package_preload)(ngx_conf_t *cf,
                             const char *package, lua_CFunction func);
    ngx_http_request_t *(*get_request)(lua_State *L);
    int                 (*sema_new)(void **sema, int n, char **err);
    void                (*sema_gc)(void *sema);
    int                 (*sema_wait)(ngx_http_request_t *r, void *sema,
                             int ms, u_char *err, size_t *len);
    int                 (*sema_post)(void *sema, int n);
    int                 (*sema_count)(void *sema);
} ngx_http_lua_ffi_symbols_t;


/* Set once at configuration time, by the function below. */
extern ngx_http_lua_ffi_symbols_t  ngx_http_lua_ffi_symbols;


/* NGX_ERROR, logged, without a Lua module to work with. */
ngx_int_t ngx_http_lua_ffi_symbols_find(ngx_conf_t *cf);


#endif /* _NGX_HTTP_LUA_FFI_SYMBOLS_H_INCLUDED_ */
