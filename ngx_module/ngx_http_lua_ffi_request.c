#include "ngx_http_lua_ffi_request.h"

#include "ngx_http_lua_ffi_module.h"


/* An id that is longer is evaluated into memory of its own. */
#define NGX_HTTP_LUA_FFI_ID_BUF  256


static size_t ngx_http_lua_ffi_request_length(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv);
static void ngx_http_lua_ffi_request_value(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value);
static void ngx_http_lua_ffi_request_give(ngx_http_request_t *r,
    ffi_task_t *task, ngx_str_t *id);


void
ngx_http_lua_ffi_request_id(ngx_http_request_t *r, ffi_task_t *task)
{
    u_char                        buf[NGX_HTTP_LUA_FFI_ID_BUF];
    ngx_str_t                     id;
    ngx_http_complex_value_t     *cv;
    ngx_http_lua_ffi_loc_conf_t  *conf;

    /* timers and their like: variables would look for a client in vain */
    if (r->connection->fd == (ngx_socket_t) -1) {
        return;
    }

    conf = ngx_http_get_module_loc_conf(r, ngx_http_lua_ffi_module);

    cv = conf->request_id;
    if (cv == NULL) {
        return;
    }

    if (cv->lengths == NULL) {
        ngx_http_lua_ffi_request_give(r, task, &cv->value);
        return;
    }

    /*
     * Not ngx_http_complex_value(): its memory is the request's, which may
     * make calls for days.
     */
    id.len = ngx_http_lua_ffi_request_length(r, cv);
    id.data = id.len > sizeof(buf) ? ngx_alloc(id.len, r->connection->log)
                                   : buf;
    if (id.data == NULL) {
        return;
    }

    ngx_http_lua_ffi_request_value(r, cv, &id);
    ngx_http_lua_ffi_request_give(r, task, &id);

    if (id.data != buf) {
        ngx_free(id.data);
    }
}


/* The length of the value, whose variables then have theirs. */
static size_t
ngx_http_lua_ffi_request_length(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv)
{
    size_t                       len;
    ngx_http_script_engine_t     e;
    ngx_http_script_len_code_pt  code;

    ngx_http_script_flush_complex_value(r, cv);

    ngx_memzero(&e, sizeof(ngx_http_script_engine_t));
    e.ip = cv->lengths;
    e.request = r;
    e.flushed = 1;

    for (len = 0; *(uintptr_t *) e.ip; len += code(&e)) {
        code = *(ngx_http_script_len_code_pt *) e.ip;
    }

    return len;
}


static void
ngx_http_lua_ffi_request_value(ngx_http_request_t *r,
    ngx_http_complex_value_t *cv, ngx_str_t *value)
{
    ngx_http_script_code_pt   code;
    ngx_http_script_engine_t  e;

    ngx_memzero(&e, sizeof(ngx_http_script_engine_t));
    e.ip = cv->values;
    e.request = r;
    e.flushed = 1;
    e.pos = value->data;
    e.buf = *value;

    while (*(uintptr_t *) e.ip) {
        code = *(ngx_http_script_code_pt *) e.ip;
        code(&e);
    }

    value->len = e.pos - value->data;
}


static void
ngx_http_lua_ffi_request_give(ngx_http_request_t *r, ffi_task_t *task,
    ngx_str_t *id)
{
    if (id->len != 0
        && ffi_task_set_id(task, (char *) id->data, id->len) != 0)
    {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ffi: no memory for the request id");
    }
}


void
ngx_http_lua_ffi_request_trace(ngx_http_request_t *r, ffi_task_t *task)
{
    ngx_str_t        *value;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *headers;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        headers = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (headers[i].key.len != sizeof("traceparent") - 1
                || headers[i].hash == 0
                || ngx_strncasecmp(headers[i].key.data,
                                   (u_char *) "traceparent",
                                   sizeof("traceparent") - 1)
                   != 0)
            {
                continue;
            }

            value = &headers[i].value;

            if (ffi_traceparent_valid((char *) value->data, value->len)) {
                ngx_cpystrn((u_char *) task->traceparent, value->data,
                            sizeof(task->traceparent));
            }

            return;
        }
    }
}
