/*
 * An eventfd that the event loop watches.  Its connection is our own, not one
 * of the worker's pool: worker_connections may be used up by clients.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_EVENTFD_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_EVENTFD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* Static: it is watched until the process ends. */
typedef struct {
    ngx_connection_t  conn;
    ngx_event_t       read;
    ngx_event_t       write;
} ngx_http_lua_ffi_eventfd_t;


/* Has handler called when fd, whose owner is the caller, is readable. */
ngx_int_t ngx_http_lua_ffi_eventfd_watch(ngx_http_lua_ffi_eventfd_t *efd,
    int fd, ngx_event_handler_pt handler, ngx_cycle_t *cycle);

/* The counter may stay as it is where only changes are reported. */
void ngx_http_lua_ffi_eventfd_clear(ngx_http_lua_ffi_eventfd_t *efd);


#endif /* _NGX_HTTP_LUA_FFI_EVENTFD_H_INCLUDED_ */
