/*
 * The body of an answer, written piece by piece into buffers of the request.
 *
 * What comes from elsewhere is of any bytes: it is written so that it can be
 * neither taken for the format around it nor be other than UTF-8.
 */

#ifndef _NGX_HTTP_LUA_FFI_OUT_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_OUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_pool_t    *pool;
    ngx_chain_t   *first;
    ngx_chain_t   *last;
    off_t          size;
    ngx_uint_t     failed;        /* for want of memory: something is missing */
} ngx_http_lua_ffi_out_t;


/* What a text is put into. */
typedef enum {
    NGX_HTTP_LUA_FFI_OUT_LABEL = 0,              /* of Prometheus, quoted */
    NGX_HTTP_LUA_FFI_OUT_JSON,                   /* a string, quoted */
    NGX_HTTP_LUA_FFI_OUT_HTML                    /* text, or a quoted value */
} ngx_http_lua_ffi_out_format_e;


/* As ngx_sprintf(); NGX_HTTP_LUA_FFI_OUT_MAX bytes at most. */
void ngx_http_lua_ffi_out(ngx_http_lua_ffi_out_t *out, const char *fmt, ...);

#define NGX_HTTP_LUA_FFI_OUT_MAX  512

/* A constant text of any length, as it is. */
void ngx_http_lua_ffi_out_raw(ngx_http_lua_ffi_out_t *out, const char *text,
    size_t len);

/* A text of any bytes, NUL-terminated, without the quotes around it. */
void ngx_http_lua_ffi_out_text(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_out_format_e format, const u_char *text);


#endif /* _NGX_HTTP_LUA_FFI_OUT_H_INCLUDED_ */
