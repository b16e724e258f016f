/*
 * The registry: the worker's runtimes by library and configuration.
 *
 * An entry is what a handle of Lua stands for.  It outlives the runtime that
 * takes its calls, since a reload puts another in that one's place; once it is
 * unloaded nobody finds it any more, and the handles that are left refer to a
 * runtime that ends, or to none.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_REGISTRY_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_lua_ffi_metrics_zone.h"
#include "ngx_http_lua_ffi_waiters.h"


typedef struct ngx_http_lua_ffi_runtime_s  ngx_http_lua_ffi_runtime_t;


typedef struct {
    ngx_str_node_t               node;           /* by key, which it owns */
    ngx_str_t                    lib;            /* a part of the key */
    ngx_str_t                    cfg;            /* the same; NULL: nil */

    ngx_http_lua_ffi_runtime_t  *rt;             /* NULL: it is gone */
    ngx_http_lua_ffi_runtime_t  *next;           /* loads, to replace rt */
    ngx_http_lua_ffi_waiters_t   later;          /* want a reload after next */

    ngx_http_lua_ffi_place_t    *place;          /* of its metrics, or NULL */
    ngx_uint_t                   claim;          /* by which it has it */

    ngx_uint_t                   users;          /* handles, rt, next */
    unsigned                     registered:1;
    unsigned                     fresh:1;        /* named with a "?" */
} ngx_http_lua_ffi_entry_t;


void ngx_http_lua_ffi_registry_init(void);

/*
 * The entry of lib, as Lua has it, and cfg (data NULL: nil).  One that is new
 * has neither a runtime nor a user: the caller gives it both.  NULL without
 * memory.
 */
ngx_http_lua_ffi_entry_t *ngx_http_lua_ffi_registry_get(ngx_str_t *lib,
    ngx_str_t *cfg);

/*
 * All entries one after another, NULL being before the first and after the
 * last; none may be removed before the one after it is known.
 */
ngx_http_lua_ffi_entry_t *ngx_http_lua_ffi_registry_next(
    ngx_http_lua_ffi_entry_t *entry);

/* The next load of that name makes a new entry. */
void ngx_http_lua_ffi_registry_remove(ngx_http_lua_ffi_entry_t *entry);

/* An entry without users is removed and freed. */
void ngx_http_lua_ffi_entry_hold(ngx_http_lua_ffi_entry_t *entry);
void ngx_http_lua_ffi_entry_release(ngx_http_lua_ffi_entry_t *entry);


#endif /* _NGX_HTTP_LUA_FFI_REGISTRY_H_INCLUDED_ */
