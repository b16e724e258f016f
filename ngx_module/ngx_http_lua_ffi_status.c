#include "ngx_http_lua_ffi_status.h"

#include "ngx_http_lua_ffi_metrics.h"


typedef struct {
    ngx_str_t    name;                           /* of ?format= */
    ngx_str_t    media;                          /* type, asked for by Accept */
    ngx_str_t    type;                           /* of the answer */
    void       (*write)(ngx_http_lua_ffi_out_t *out,
                     ngx_http_lua_ffi_status_t *status);
} ngx_http_lua_ffi_format_t;


static ngx_int_t ngx_http_lua_ffi_status_handler(ngx_http_request_t *r);
static ngx_http_lua_ffi_format_t *ngx_http_lua_ffi_status_format(
    ngx_http_request_t *r);
static void ngx_http_lua_ffi_status_accept(ngx_http_request_t *r,
    ngx_str_t *accept);
static ngx_int_t ngx_http_lua_ffi_status_write(ngx_http_request_t *r,
    ngx_http_lua_ffi_format_t *format, ngx_http_lua_ffi_out_t *out);
static ngx_int_t ngx_http_lua_ffi_status_keep_fresh(ngx_http_request_t *r);
static ngx_int_t ngx_http_lua_ffi_status_send(ngx_http_request_t *r,
    ngx_http_lua_ffi_out_t *out);


/* A browser asks for any of them, and for HTML first; Prometheus for text. */
static ngx_http_lua_ffi_format_t  ngx_http_lua_ffi_formats[] = {

    { ngx_string("html"), ngx_string("text/html"),
      ngx_string("text/html; charset=utf-8"),
      ngx_http_lua_ffi_status_page },

    { ngx_string("json"), ngx_string("application/json"),
      ngx_string("application/json"),
      ngx_http_lua_ffi_status_json },

    /* what is asked for in vain gets this one */
    { ngx_string("prometheus"), ngx_string("text/plain"),
      ngx_string("text/plain; version=0.0.4; charset=utf-8"),
      ngx_http_lua_ffi_status_text },

    { ngx_null_string, ngx_null_string, ngx_null_string, NULL }
};


const ngx_http_lua_ffi_status_name_t  ngx_http_lua_ffi_status_names[] = {

    { "calls", "Calls that Lua made, those refused at once included",
      NGX_HTTP_LUA_FFI_CALLS, 1 },
    { "request_bytes", "Bytes of the requests",
      NGX_HTTP_LUA_FFI_REQUEST_BYTES, 1 },
    { "response_bytes", "Bytes of the responses that Lua got, of errors too",
      NGX_HTTP_LUA_FFI_RESPONSE_BYTES, 1 },
    { "abandoned", "Calls whose caller had gone before the answer came",
      NGX_HTTP_LUA_FFI_ABANDONED, 1 },
    { "loads", "Loads that succeeded, of reloads too",
      NGX_HTTP_LUA_FFI_LOADS, 1 },
    { "failed_loads", "Loads that failed, of reloads too",
      NGX_HTTP_LUA_FFI_FAILED_LOADS, 1 },
    { "reloads", "Times that fresh code took over",
      NGX_HTTP_LUA_FFI_RELOADS, 1 },
    { "recycles", "Times that another runtime of the same code took over",
      NGX_HTTP_LUA_FFI_RECYCLES, 1 },
    { "queue_depth", "Calls that wait for a thread",
      NGX_HTTP_LUA_FFI_DEPTH, 0 },
    { "queue_depth_peak", "Most calls that have waited at once",
      NGX_HTTP_LUA_FFI_PEAK, 0 },
    { "unanswered_calls", "Calls that wait or run",
      NGX_HTTP_LUA_FFI_UNANSWERED, 0 },
    { "pollers", "Threads that poll",
      NGX_HTTP_LUA_FFI_POLLERS, 0 },
    { "threads", "Threads seen to poll or respond that live",
      NGX_HTTP_LUA_FFI_THREADS, 0 },
    { "library_copies", "Times that the library is mapped",
      NGX_HTTP_LUA_FFI_COPIES, 0 },
    { "runtimes", "Runtimes in memory, those that are ending included",
      NGX_HTTP_LUA_FFI_RUNTIMES, 0 },

    { NULL, NULL, 0, 0 }
};


const char *const  ngx_http_lua_ffi_status_failures[] = {
    "library",
    "timeout",
    "queue_full",
    "unloaded",
    "died",
    "shutting_down",
    "refused"
};


const char *const  ngx_http_lua_ffi_status_states[] = {
    "unloaded",
    "loading",
    "ready",
    "stuck",
    "draining",
    "dead",
    "failed"
};


const ngx_http_lua_ffi_status_name_t  ngx_http_lua_ffi_status_stages[] = {
    { "queue", "Time that calls waited until a thread polled them", 0, 0 },
    { "guest", "Time from then on until the library responded", 0, 0 },
    { "loop", "Time from then on until the event loop took it", 0, 0 },
};


char *
ngx_http_lua_ffi_status_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_lua_ffi_status_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_lua_ffi_status_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_http_lua_ffi_out_t      out;
    ngx_http_lua_ffi_format_t  *format;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    format = ngx_http_lua_ffi_status_format(r);
    if (format == NULL) {
        return NGX_HTTP_BAD_REQUEST;
    }

    ngx_memzero(&out, sizeof(ngx_http_lua_ffi_out_t));
    out.pool = r->pool;

    if (ngx_http_lua_ffi_status_write(r, format, &out) != NGX_OK
        || out.failed)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_lua_ffi_status_send(r, &out);
}


/* By ?format=, else by Accept, which needs no more care than this. */
static ngx_http_lua_ffi_format_t *
ngx_http_lua_ffi_status_format(ngx_http_request_t *r)
{
    ngx_str_t                   name, accept;
    ngx_uint_t                  named;
    ngx_http_lua_ffi_format_t  *format, *last;

    named = ngx_http_arg(r, (u_char *) "format", 6, &name) == NGX_OK;
    last = NULL;

    ngx_http_lua_ffi_status_accept(r, &accept);

    for (format = ngx_http_lua_ffi_formats; format->write; format++) {
        last = format;

        if (named
            ? (name.len == format->name.len
               && ngx_strncmp(name.data, format->name.data, name.len) == 0)
            : (ngx_strlcasestrn(accept.data, accept.data + accept.len,
                                format->media.data, format->media.len - 1)
               != NULL))
        {
            return format;
        }
    }

    return named ? NULL : last;
}


/* What r->headers_in has is not the same in every nginx. */
static void
ngx_http_lua_ffi_status_accept(ngx_http_request_t *r, ngx_str_t *accept)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *headers;

    /* not NULL: it is searched */
    ngx_str_set(accept, "");

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        headers = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (headers[i].key.len == 6
                && ngx_strncasecmp(headers[i].key.data, (u_char *) "accept", 6)
                   == 0)
            {
                *accept = headers[i].value;
            }
        }
    }
}


static ngx_int_t
ngx_http_lua_ffi_status_write(ngx_http_request_t *r,
    ngx_http_lua_ffi_format_t *format, ngx_http_lua_ffi_out_t *out)
{
    ngx_array_t                *places;
    ngx_http_lua_ffi_status_t   status;

    ngx_memzero(&status, sizeof(ngx_http_lua_ffi_status_t));

    if (ngx_http_lua_ffi_metrics_zone_exists()) {
        ngx_http_lua_ffi_metrics_refresh();

        places = ngx_http_lua_ffi_metrics_zone_read(r->pool);
        if (places == NULL) {
            return NGX_ERROR;
        }

        status.places = places->elts;
        status.n = places->nelts;
        status.untracked = ngx_http_lua_ffi_metrics_zone_untracked(0);
    }

    format->write(out, &status);

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = format->type;
    r->headers_out.content_type_len = format->type.len;
    r->headers_out.content_length_n = out->size;

    return ngx_http_lua_ffi_status_keep_fresh(r);
}


static ngx_int_t
ngx_http_lua_ffi_status_keep_fresh(ngx_http_request_t *r)
{
    ngx_table_elt_t  *header;

    header = ngx_list_push(&r->headers_out.headers);
    if (header == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(header, sizeof(ngx_table_elt_t));

    header->hash = 1;
    ngx_str_set(&header->key, "Cache-Control");
    ngx_str_set(&header->value, "no-store");

    return NGX_OK;
}


static ngx_int_t
ngx_http_lua_ffi_status_send(ngx_http_request_t *r,
    ngx_http_lua_ffi_out_t *out)
{
    ngx_int_t  rc;

    out->last->buf->last_buf = (r == r->main);
    out->last->buf->last_in_chain = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_output_filter(r, out->first);
}
