/*
 * The directive lua_ffi_status: answers with the metrics of all workers, as
 * Prometheus text, as JSON or as a page.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_STATUS_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_lua_ffi_metrics_zone.h"
#include "ngx_http_lua_ffi_out.h"


/* What is shown: ngx_http_lua_ffi_metrics_zone_read(), and more. */
typedef struct {
    ngx_http_lua_ffi_place_t     *places;
    ngx_uint_t                    n;
    uint64_t                      untracked;
} ngx_http_lua_ffi_status_t;


/* How a number is called in every format. */
typedef struct {
    const char                   *name;
    const char                   *help;
    ngx_http_lua_ffi_number_e     number;
    unsigned                      counter:1;
} ngx_http_lua_ffi_status_name_t;

/* Those that are no failure; each ends with a NULL. */
extern const ngx_http_lua_ffi_status_name_t  ngx_http_lua_ffi_status_names[];

/* By their number. */
extern const char *const  ngx_http_lua_ffi_status_failures[];
extern const char *const  ngx_http_lua_ffi_status_states[];
extern const ngx_http_lua_ffi_status_name_t  ngx_http_lua_ffi_status_stages[];


/* Configuration time: the handler of the directive. */
char *ngx_http_lua_ffi_status_set(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

void ngx_http_lua_ffi_status_text(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status);
void ngx_http_lua_ffi_status_page(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status);
void ngx_http_lua_ffi_status_json(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_status_t *status);


#endif /* _NGX_HTTP_LUA_FFI_STATUS_H_INCLUDED_ */
