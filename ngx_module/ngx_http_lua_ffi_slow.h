/*
 * Calls that take long: logged with where their time went, and shown to their
 * library while they run, by lua_ffi_slow_call.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_SLOW_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_SLOW_H_INCLUDED_


#include "ngx_http_lua_ffi_runtime.h"


/* Once per worker: calls that take ms milliseconds are slow; 0: none is. */
void ngx_http_lua_ffi_slow_init(ngx_msec_t ms);

/* Whether any call may be: each is to have its times taken. */
ngx_uint_t ngx_http_lua_ffi_slow_enabled(void);

/* Every tick, for each call in flight, oldest first. */
void ngx_http_lua_ffi_slow_watch(ffi_task_t *task);

/* A task has come back, timed and polled, and is still whole; now in ns. */
void ngx_http_lua_ffi_slow_answered(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task, int64_t now);


#endif /* _NGX_HTTP_LUA_FFI_SLOW_H_INCLUDED_ */
