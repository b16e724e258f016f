/*
 * What this worker does when a worker has sent it an order: it reloads each
 * runtime of that library, and reports.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_JOB_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_JOB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Takes this worker's place among those that take orders. */
ngx_int_t ngx_http_lua_ffi_job_init(ngx_cycle_t *cycle);


#endif /* _NGX_HTTP_LUA_FFI_JOB_H_INCLUDED_ */
