#include "ngx_http_lua_ffi_symbols.h"

#include <dlfcn.h>


#define ngx_http_lua_ffi_symbol(name, member)                                \
    { name, offsetof(ngx_http_lua_ffi_symbols_t, member) }


typedef struct {
    const char  *name;
    size_t       offset;
} ngx_http_lua_ffi_symbol_t;


static ngx_uint_t ngx_http_lua_ffi_symbols_module(ngx_conf_t *cf);


ngx_http_lua_ffi_symbols_t  ngx_http_lua_ffi_symbols;


static ngx_http_lua_ffi_symbol_t  ngx_http_lua_ffi_symbol_names[] = {
    ngx_http_lua_ffi_symbol("ngx_http_lua_add_package_preload",
                            add_package_preload),
    ngx_http_lua_ffi_symbol("ngx_http_lua_get_request", get_request),
    ngx_http_lua_ffi_symbol("ngx_http_lua_ffi_sema_new", sema_new),
    ngx_http_lua_ffi_symbol("ngx_http_lua_ffi_sema_gc", sema_gc),
    ngx_http_lua_ffi_symbol("ngx_http_lua_ffi_sema_wait", sema_wait),
    ngx_http_lua_ffi_symbol("ngx_http_lua_ffi_sema_post", sema_post),
    ngx_http_lua_ffi_symbol("ngx_http_lua_ffi_sema_count", sema_count),
};


ngx_int_t
ngx_http_lua_ffi_symbols_find(ngx_conf_t *cf)
{
    void        *symbol;
    ngx_uint_t   i;

    if (!ngx_http_lua_ffi_symbols_module(cf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "ngx_http_lua_ffi_module needs "
                           "ngx_http_lua_module: add its load_module line "
                           "(Debian: apt-get install libnginx-mod-http-lua)");
        return NGX_ERROR;
    }

    for (i = 0; i < sizeof(ngx_http_lua_ffi_symbol_names)
                    / sizeof(ngx_http_lua_ffi_symbol_names[0]); i++)
    {
        symbol = dlsym(RTLD_DEFAULT, ngx_http_lua_ffi_symbol_names[i].name);

        if (symbol == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "ngx_http_lua_module has no %s(): it is too "
                               "old for ngx_http_lua_ffi_module",
                               ngx_http_lua_ffi_symbol_names[i].name);
            return NGX_ERROR;
        }

        *(void **) ((char *) &ngx_http_lua_ffi_symbols
                    + ngx_http_lua_ffi_symbol_names[i].offset) = symbol;
    }

    return NGX_OK;
}


/* Whether this configuration has the Lua module. */
static ngx_uint_t
ngx_http_lua_ffi_symbols_module(ngx_conf_t *cf)
{
    ngx_uint_t  i;

    for (i = 0; cf->cycle->modules[i] != NULL; i++) {
        if (ngx_strcmp(cf->cycle->modules[i]->name, "ngx_http_lua_module")
            == 0)
        {
            return 1;
        }
    }

    return 0;
}
