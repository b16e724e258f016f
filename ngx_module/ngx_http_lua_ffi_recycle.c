#include "ngx_http_lua_ffi_recycle.h"

#include "ngx_http_lua_ffi_reload.h"

#include <ngx_event.h>


/* Of a limit, which part is left to chance: 1 / n. */
#define NGX_HTTP_LUA_FFI_JITTER  10


static ngx_uint_t ngx_http_lua_ffi_recycle_draw(ngx_uint_t limit);
static void ngx_http_lua_ffi_recycle_add_timer(ngx_http_lua_ffi_runtime_t *rt);
static void ngx_http_lua_ffi_recycle_aged(ngx_event_t *ev);


static ngx_uint_t
ngx_http_lua_ffi_recycle_draw(ngx_uint_t limit)
{
    return limit - ngx_random() % (limit / NGX_HTTP_LUA_FFI_JITTER + 1);
}


void
ngx_http_lua_ffi_recycle_start(ngx_http_lua_ffi_runtime_t *rt)
{
    rt->calls_end = ngx_http_lua_ffi_recycle_draw(rt->opts.max_requests);

    rt->age.handler = ngx_http_lua_ffi_recycle_aged;
    rt->age.data = rt;
    rt->age.log = ngx_cycle->log;

    /* a worker that exits does not wait for it */
    rt->age.cancelable = 1;

    ngx_http_lua_ffi_recycle_add_timer(rt);
}


static void
ngx_http_lua_ffi_recycle_add_timer(ngx_http_lua_ffi_runtime_t *rt)
{
    if (rt->opts.max_age) {
        ngx_add_timer(&rt->age,
                      ngx_http_lua_ffi_recycle_draw(rt->opts.max_age));
    }
}


void
ngx_http_lua_ffi_recycle_stop(ngx_http_lua_ffi_runtime_t *rt)
{
    if (rt->age.timer_set) {
        ngx_del_timer(&rt->age);
    }
}


void
ngx_http_lua_ffi_recycle_spent(ngx_http_lua_ffi_runtime_t *rt)
{
    u_char  why[64];

    rt->calls_end += ngx_http_lua_ffi_recycle_draw(rt->opts.max_requests);

    *ngx_snprintf(why, sizeof(why) - 1, "it has had %ui calls", rt->calls)
        = '\0';

    ngx_http_lua_ffi_reload_recycle(rt->entry, (char *) why);
}


static void
ngx_http_lua_ffi_recycle_aged(ngx_event_t *ev)
{
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ev->data;

    ngx_http_lua_ffi_recycle_add_timer(rt);

    ngx_http_lua_ffi_reload_recycle(rt->entry, "it has reached max_age");
}
