/*
 * Reloads: another runtime of the same library and configuration loads beside
 * the one that runs, and takes its place when it is ready.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_RELOAD_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_RELOAD_H_INCLUDED_


#include "ngx_http_lua_ffi_runtime.h"


/*
 * How many replaced runtimes of a worker, with threads and memory of their own,
 * may have calls that are never answered.
 */
#define NGX_HTTP_LUA_FFI_REPLACED_MAX  8


/*
 * Reads code afresh that can only be newer than now: a reload that is on its
 * way already may have read it before, so that another one follows it.
 * Returns those among whom one waits for the end, or NULL: *err is static.
 */
ngx_http_lua_ffi_waiters_t *ngx_http_lua_ffi_reload(
    ngx_http_lua_ffi_entry_t *entry, const char **err);

/*
 * Replaces the runtime by one of the same code: why says what for, for the
 * log.  Does nothing when it is being replaced already, and nothing but to log
 * that, once, while NGX_HTTP_LUA_FFI_REPLACED_MAX that were have not ended.
 */
void ngx_http_lua_ffi_reload_recycle(ngx_http_lua_ffi_entry_t *entry,
    const char *why);

/*
 * entry->next is ready: it takes the calls, and what it replaces ends.  One that
 * is stuck leaves it those that nobody has polled.
 */
void ngx_http_lua_ffi_reload_swap(ngx_http_lua_ffi_entry_t *entry);

/* A load of the entry is over: what waited for that goes on. */
void ngx_http_lua_ffi_reload_over(ngx_http_lua_ffi_entry_t *entry);


#endif /* _NGX_HTTP_LUA_FFI_RELOAD_H_INCLUDED_ */
