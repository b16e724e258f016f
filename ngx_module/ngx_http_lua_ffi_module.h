/* The module's configuration: of the http block, and of each location. */

#ifndef _NGX_HTTP_LUA_FFI_MODULE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_lua_ffi_metrics_zone.h"
#include "ngx_http_lua_ffi_workers.h"


typedef struct {
    ngx_array_t              *library_path;      /* of ngx_str_t, or NULL */
    ngx_uint_t                max_queue;
    ngx_msec_t                timeout;
    ngx_msec_t                shutdown_timeout;
    ngx_msec_t                slow_call;         /* 0: none is */
    ngx_http_lua_ffi_workers_t  workers;
    ngx_http_lua_ffi_metrics_conf_t  metrics;
} ngx_http_lua_ffi_conf_t;


typedef struct {
    ngx_http_complex_value_t *request_id;        /* NULL: calls have none */
} ngx_http_lua_ffi_loc_conf_t;


extern ngx_module_t  ngx_http_lua_ffi_module;


/* Worker: the configuration in force. */
ngx_http_lua_ffi_conf_t *ngx_http_lua_ffi_conf(void);


#endif /* _NGX_HTTP_LUA_FFI_MODULE_H_INCLUDED_ */
