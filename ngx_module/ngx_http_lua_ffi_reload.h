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


/* Why nobody may wait for a reload, a static message; NULL: they may. */
const char *ngx_http_lua_ffi_reload_refusal(ngx_http_lua_ffi_entry_t *entry);

/*
 * Reads code afresh for those who wait among entry->later.  A load that is on
 * its way may have read it before they came: they wait until that is over,
 * when this is called once more.
 */
void ngx_http_lua_ffi_reload(ngx_http_lua_ffi_entry_t *entry);

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


#endif /* _NGX_HTTP_LUA_FFI_RELOAD_H_INCLUDED_ */
