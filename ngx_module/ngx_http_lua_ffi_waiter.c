#include "ngx_http_lua_ffi_waiter.h"

#include "ngx_http_lua_ffi_symbols.h"


void *
ngx_http_lua_ffi_waiter_create(const char **err)
{
    void  *sema;

    if (ngx_http_lua_ffi_symbols.sema_new(&sema, 0, (char **) err) != NGX_OK) {
        return NULL;
    }

    return sema;
}


void
ngx_http_lua_ffi_waiter_destroy(void *waiter)
{
    ngx_http_lua_ffi_symbols.sema_gc(waiter);
}


ngx_int_t
ngx_http_lua_ffi_waiter_wait(ngx_http_request_t *r, void *waiter,
    ngx_msec_t ms, u_char *err, size_t *len)
{
    if (ms > NGX_MAX_INT32_VALUE) {
        ms = NGX_MAX_INT32_VALUE;
    }

    return ngx_http_lua_ffi_symbols.sema_wait(r, waiter, (int) ms, err, len);
}


void
ngx_http_lua_ffi_waiter_wake(void *waiter)
{
    (void) ngx_http_lua_ffi_symbols.sema_post(waiter, 1);
}


ngx_int_t
ngx_http_lua_ffi_waiter_balance(void *waiter)
{
    return ngx_http_lua_ffi_symbols.sema_count(waiter);
}
