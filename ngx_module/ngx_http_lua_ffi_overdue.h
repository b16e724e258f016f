/*
 * Calls past their deadline: counted, logged, and shown to their library.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_


#include "ngx_http_lua_ffi_runtime.h"


/* An unanswered call whose caller waits no longer; once for each. */
void ngx_http_lua_ffi_overdue_call(ffi_task_t *task);

/*
 * Whether libffi_overdue() runs for the runtime, which must not end before.
 * Becomes false with a tick at the latest.
 */
ngx_uint_t ngx_http_lua_ffi_overdue_runs(ngx_http_lua_ffi_runtime_t *rt);

/* Every tick.  Whether there is anything left to do. */
ngx_uint_t ngx_http_lua_ffi_overdue_tick(void);


#endif /* _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_ */
