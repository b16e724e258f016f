#include "ngx_http_lua_ffi_name.h"

#include <stdio.h>
#include <stdlib.h>


static ngx_uint_t ngx_http_lua_ffi_name_is_loader(ngx_str_t *lib);
static u_char *ngx_http_lua_ffi_name_add(u_char *p, u_char *last,
    const void *data, size_t len);


ngx_uint_t
ngx_http_lua_ffi_name_spell(ngx_str_t *lib)
{
    ngx_uint_t  fresh;

    fresh = (lib->data[lib->len - 1] == '?');
    lib->len -= fresh;

    /* what else ends in ".so" is a file's name as it is */
    if (lib->len > 6
        && ngx_strncmp(lib->data, "lib", 3) == 0
        && ngx_strncmp(lib->data + lib->len - 3, ".so", 3) == 0
        && ngx_strlchr(lib->data, lib->data + lib->len, '/') == NULL
        && ngx_strncmp(lib->data + lib->len - 6, ".so", 3) != 0)
    {
        lib->data += 3;
        lib->len -= 6;
    }

    return fresh;
}


/* The library is length-prefixed, which tells it from the configuration. */
ngx_int_t
ngx_http_lua_ffi_name_key(ngx_str_t *lib, ngx_str_t *cfg, ngx_uint_t fresh,
    ngx_str_t *key)
{
    u_char  *p;

    key->data = malloc(NGX_SIZE_T_LEN + 3 + lib->len + cfg->len);
    if (key->data == NULL) {
        return NGX_ERROR;
    }

    p = key->data + sprintf((char *) key->data, "%zu:", lib->len);

    lib->data = ngx_cpymem(p, lib->data, lib->len) - lib->len;
    p += lib->len;

    if (fresh) {
        *p++ = '?';
    }

    *p++ = cfg->data == NULL ? '-' : '+';

    if (cfg->data != NULL) {
        ngx_memcpy(p, cfg->data, cfg->len);
        cfg->data = p;
    }

    key->len = p + cfg->len - key->data;

    return NGX_OK;
}


size_t
ngx_http_lua_ffi_name_entry(ngx_str_t *lib, ngx_str_t *cfg)
{
    size_t      len;
    ngx_uint_t  commas;

    if (!ngx_http_lua_ffi_name_is_loader(lib)) {
        return 0;
    }

    /* JSON, where a module should be */
    if (cfg->len > 0 && (*cfg->data == '{' || *cfg->data == '[')) {
        return 0;
    }

    for (len = 0, commas = 0; len < cfg->len; len++) {
        if (cfg->data[len] == ',' && ++commas == 2) {
            break;
        }
    }

    return len;
}


void
ngx_http_lua_ffi_name_show(ngx_str_t *lib, ngx_str_t *cfg, ngx_uint_t fresh,
    ngx_str_t *name, size_t size)
{
    size_t   len;
    u_char  *p, *last;

    len = ngx_http_lua_ffi_name_entry(lib, cfg);

    p = name->data;
    last = p + size;

    p = ngx_http_lua_ffi_name_add(p, last, lib->data, lib->len);
    p = ngx_http_lua_ffi_name_add(p, last, "?", fresh);
    p = ngx_http_lua_ffi_name_add(p, last, " ", len > 0);
    p = ngx_http_lua_ffi_name_add(p, last, cfg->data, len);

    name->len = p - name->data;

    ngx_http_lua_ffi_name_printable(name->data, name->len);
}


/* What there is room for; returns its end. */
static u_char *
ngx_http_lua_ffi_name_add(u_char *p, u_char *last, const void *data,
    size_t len)
{
    len = ngx_min(len, (size_t) (last - p));

    return len ? ngx_cpymem(p, data, len) : p;
}


static ngx_uint_t
ngx_http_lua_ffi_name_is_loader(ngx_str_t *lib)
{
    u_char             *p;
    const char *const  *name;

    static const char *const  names[] = { "python", "java", "nodejs", NULL };

    for (p = lib->data + lib->len; p > lib->data && p[-1] != '/'; p--) {
        /* void */
    }

    p += (ngx_strncmp(p, "lib", 3) == 0) ? 3 : 0;
    p += (ngx_strncmp(p, "resty_", 6) == 0) ? 6 : 0;

    if (ngx_strncmp(p, "ffi_", 4) != 0) {
        return 0;
    }

    for (name = names; *name; name++) {
        if (ngx_strncmp(p + 4, *name, ngx_strlen(*name)) == 0) {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_lua_ffi_name_printable(u_char *p, size_t len)
{
    for ( /* void */ ; len > 0; p++, len--) {
        if (*p < ' ' || *p == 0x7f) {
            *p = '?';
        }
    }
}
