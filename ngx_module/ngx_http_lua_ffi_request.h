/*
 * What a request gives its calls: the value of lua_ffi_request_id, and its
 * header "traceparent".
 */

#ifndef _NGX_HTTP_LUA_FFI_REQUEST_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ffi_task.h"


/*
 * Event loop.  Gives a task that is HELD the request's id, where the request
 * is one and has one.  Without memory it goes without, which is logged.
 */
void ngx_http_lua_ffi_request_id(ngx_http_request_t *r, ffi_task_t *task);

/* Event loop.  The same with the header, if it is valid. */
void ngx_http_lua_ffi_request_trace(ngx_http_request_t *r, ffi_task_t *task);


#endif /* _NGX_HTTP_LUA_FFI_REQUEST_H_INCLUDED_ */
