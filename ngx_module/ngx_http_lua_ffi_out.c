#include "ngx_http_lua_ffi_out.h"


#define NGX_HTTP_LUA_FFI_OUT_BUF  16384

/* What stands for bytes that are no UTF-8: U+FFFD. */
#define NGX_HTTP_LUA_FFI_OUT_BAD  "\xef\xbf\xbd"


static ngx_buf_t *ngx_http_lua_ffi_out_buf(ngx_http_lua_ffi_out_t *out,
    size_t size);
static size_t ngx_http_lua_ffi_out_utf8(const u_char *p);
static void ngx_http_lua_ffi_out_byte(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_out_format_e format, u_char c);
static const char *ngx_http_lua_ffi_out_entity(u_char c);


/* The buffer to write size bytes into, or NULL. */
static ngx_buf_t *
ngx_http_lua_ffi_out_buf(ngx_http_lua_ffi_out_t *out, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    if (out->last != NULL) {
        b = out->last->buf;

        if ((size_t) (b->end - b->last) >= size) {
            return b;
        }
    }

    cl = ngx_alloc_chain_link(out->pool);
    b = ngx_create_temp_buf(out->pool, ngx_max(size,
                                               NGX_HTTP_LUA_FFI_OUT_BUF));
    if (cl == NULL || b == NULL) {
        out->failed = 1;
        return NULL;
    }

    cl->buf = b;
    cl->next = NULL;

    if (out->last == NULL) {
        out->first = cl;

    } else {
        out->last->next = cl;
    }

    out->last = cl;

    return b;
}


void
ngx_http_lua_ffi_out(ngx_http_lua_ffi_out_t *out, const char *fmt, ...)
{
    u_char     *p;
    va_list     args;
    ngx_buf_t  *b;

    b = ngx_http_lua_ffi_out_buf(out, NGX_HTTP_LUA_FFI_OUT_MAX);
    if (b == NULL) {
        return;
    }

    p = b->last;

    va_start(args, fmt);
    b->last = ngx_vslprintf(p, p + NGX_HTTP_LUA_FFI_OUT_MAX, fmt, args);
    va_end(args);

    out->size += b->last - p;
}


void
ngx_http_lua_ffi_out_raw(ngx_http_lua_ffi_out_t *out, const char *text,
    size_t len)
{
    ngx_buf_t  *b;

    b = ngx_http_lua_ffi_out_buf(out, len);
    if (b == NULL) {
        return;
    }

    b->last = ngx_cpymem(b->last, text, len);
    out->size += len;
}


void
ngx_http_lua_ffi_out_text(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_out_format_e format, const u_char *text)
{
    size_t  len;

    while (*text) {

        if (*text < 0x80) {
            ngx_http_lua_ffi_out_byte(out, format, *text++);
            continue;
        }

        len = ngx_http_lua_ffi_out_utf8(text);

        if (len) {
            ngx_http_lua_ffi_out_raw(out, (char *) text, len);
            text += len;
            continue;
        }

        ngx_http_lua_ffi_out_raw(out, NGX_HTTP_LUA_FFI_OUT_BAD,
                                 sizeof(NGX_HTTP_LUA_FFI_OUT_BAD) - 1);
        text++;
    }
}


/* The length of the character at p, of two bytes or more; 0: it is none. */
static size_t
ngx_http_lua_ffi_out_utf8(const u_char *p)
{
    size_t    len, i;
    uint32_t  code;

    static const uint32_t  least[] = { 0, 0, 0x80, 0x800, 0x10000 };

    len = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    code = *p & (0x7f >> len);

    if (*p < 0xc0 || *p >= 0xf8) {
        return 0;
    }

    for (i = 1; i < len; i++) {
        /* the NUL at the end is none of these */
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }

        code = code << 6 | (p[i] & 0x3f);
    }

    return code < least[len] || code > 0x10ffff
           || (code >= 0xd800 && code <= 0xdfff)
           ? 0 : len;
}


static void
ngx_http_lua_ffi_out_byte(ngx_http_lua_ffi_out_t *out,
    ngx_http_lua_ffi_out_format_e format, u_char c)
{
    const char  *entity;

    if (c < ' ' || c == 0x7f) {
        if (format == NGX_HTTP_LUA_FFI_OUT_JSON) {
            ngx_http_lua_ffi_out(out, "\\u%04xd", c);

        } else if (c == '\n' && format == NGX_HTTP_LUA_FFI_OUT_LABEL) {
            ngx_http_lua_ffi_out_raw(out, "\\n", 2);

        } else {
            ngx_http_lua_ffi_out_raw(out, c == '\n' ? "\n" : "?", 1);
        }

        return;
    }

    if (format == NGX_HTTP_LUA_FFI_OUT_HTML) {
        entity = ngx_http_lua_ffi_out_entity(c);

        if (entity != NULL) {
            ngx_http_lua_ffi_out_raw(out, entity, ngx_strlen(entity));
            return;
        }

    } else if (c == '"' || c == '\\') {
        ngx_http_lua_ffi_out_raw(out, "\\", 1);
    }

    ngx_http_lua_ffi_out_raw(out, (char *) &c, 1);
}


static const char *
ngx_http_lua_ffi_out_entity(u_char c)
{
    switch (c) {

    case '&':
        return "&amp;";

    case '<':
        return "&lt;";

    case '>':
        return "&gt;";

    case '"':
        return "&quot;";

    case '\'':
        return "&#39;";

    default:
        return NULL;
    }
}
