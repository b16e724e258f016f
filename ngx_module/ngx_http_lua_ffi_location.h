/*
 * Where a library's file is.
 */

#ifndef _NGX_HTTP_LUA_FFI_LOCATION_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_LOCATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <limits.h>
#include <sys/stat.h>


typedef struct {
    char                            path[PATH_MAX];
    struct stat                     st;
    unsigned                        found:1;     /* st is valid */
} ngx_http_lua_ffi_location_t;


/*
 * Where the library of that name is: an absolute path, a path below nginx's
 * prefix, or a file in one of the folders.  Not found there, the dynamic
 * linker is left to find it.
 *
 * An operation's thread (ngx_http_lua_ffi_library.h); may block.  NGX_ERROR:
 * *error is malloc()ed, or NULL without memory.
 */
ngx_int_t ngx_http_lua_ffi_location_find(ngx_str_t *name,
    ngx_http_lua_ffi_location_t *location, char **error);


#endif /* _NGX_HTTP_LUA_FFI_LOCATION_H_INCLUDED_ */
