/*
 * Names of runtimes: how a library is spelled, the key that stands for a
 * library with a configuration, and what of both is shown.
 *
 * Needs nginx's types, but none of its functions.
 */

#ifndef _NGX_HTTP_LUA_FFI_NAME_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_NAME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * One spelling for all: "libx.so" is "x".  Takes a "?" off the end and says
 * whether there was one.
 */
ngx_uint_t ngx_http_lua_ffi_name_spell(ngx_str_t *lib);

/*
 * The key of a library as spelled above, and a configuration (data NULL: nil):
 * no two pairs have one key.  It is the caller's to ngx_free(); lib and cfg
 * become parts of it.  NGX_ERROR without memory.
 */
ngx_int_t ngx_http_lua_ffi_name_key(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_uint_t fresh, ngx_str_t *key);

/*
 * The length of a loader's "<module>,<function>", which tells its runtimes
 * apart; 0 for the configuration of another library: it may be secret, as what
 * comes after the former may.
 */
size_t ngx_http_lua_ffi_name_entry(ngx_str_t *lib, ngx_str_t *cfg);

/* What logs call the runtime: size bytes at name->data at most. */
void ngx_http_lua_ffi_name_show(ngx_str_t *lib, ngx_str_t *cfg,
    ngx_uint_t fresh, ngx_str_t *name, size_t size);

/* What comes from others must not make log lines of its own. */
void ngx_http_lua_ffi_name_printable(u_char *p, size_t len);


#endif /* _NGX_HTTP_LUA_FFI_NAME_H_INCLUDED_ */
