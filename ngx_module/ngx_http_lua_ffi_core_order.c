#include "ngx_http_lua_ffi_core.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_sent.h"


static void ngx_http_lua_ffi_core_push_worker(lua_State *L, ngx_uint_t id,
    const ngx_http_lua_ffi_order_worker_t *worker);
static const char *ngx_http_lua_ffi_core_state(
    const ngx_http_lua_ffi_order_worker_t *worker);
static void ngx_http_lua_ffi_core_set(lua_State *L, const char *name,
    lua_Number value);


int
ngx_http_lua_ffi_core_order(lua_State *L)
{
    u_char                      buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    ngx_str_t                   lib, cfg;
    ngx_msec_t                  ms;
    const char                 *err;
    ngx_http_request_t         *r;
    ngx_http_lua_ffi_sent_t    *sent;
    ngx_http_lua_ffi_ticket_t   ticket;

    if (!ngx_http_lua_ffi_notify_ready()) {
        return ngx_http_lua_ffi_core_error(L,
                                           ngx_http_lua_ffi_core_no_loop());
    }

    r = ngx_http_lua_ffi_core_request(L);

    if (r == NULL) {
        lua_pushnil(L);
        return 1;
    }

    lib.data = (u_char *) lua_tolstring(L, 1, &lib.len);

    cfg.len = 0;
    cfg.data = (u_char *) lua_tolstring(L, 2, &cfg.len);

    ms = (ngx_msec_t) lua_tonumber(L, 3);

    sent = ngx_http_lua_ffi_sent_make(&lib, &cfg, ms, &err);
    if (sent == NULL) {
        return ngx_http_lua_ffi_core_error(L, err);
    }

    ticket = ngx_http_lua_ffi_call_await(r,
                                         ngx_http_lua_ffi_sent_waiters(sent),
                                         ms, buf);
    if (ticket == -1) {
        ngx_http_lua_ffi_sent_cancel(sent);
        return ngx_http_lua_ffi_core_error(L, (char *) buf);
    }

    ngx_http_lua_ffi_sent_send(sent);

    lua_pushnumber(L, ticket);
    lua_pushnumber(L, ngx_http_lua_ffi_sent_number(sent));

    return 2;
}


int
ngx_http_lua_ffi_core_order_result(lua_State *L)
{
    ngx_uint_t                       i;
    const ngx_http_lua_ffi_order_t  *order;

    order = ngx_http_lua_ffi_sent_result((ngx_uint_t) lua_tonumber(L, 1));

    if (order == NULL) {
        lua_pushnil(L);
        return 1;
    }

    lua_createtable(L, order->n, 0);

    for (i = 0; i < order->n; i++) {
        ngx_http_lua_ffi_core_push_worker(L, i, &order->workers[i]);
        lua_rawseti(L, -2, i + 1);
    }

    ngx_http_lua_ffi_sent_free(order);

    return 1;
}


static void
ngx_http_lua_ffi_core_push_worker(lua_State *L, ngx_uint_t id,
    const ngx_http_lua_ffi_order_worker_t *worker)
{
    ngx_uint_t                  i;
    ngx_http_lua_ffi_report_t  *report;

    lua_newtable(L);

    ngx_http_lua_ffi_core_set(L, "id", id);
    ngx_http_lua_ffi_core_set(L, "pid", worker->pid);
    ngx_http_lua_ffi_core_set(L, "reloaded", worker->reloaded);
    ngx_http_lua_ffi_core_set(L, "kept", worker->kept);

    lua_pushstring(L, ngx_http_lua_ffi_core_state(worker));
    lua_setfield(L, -2, "state");

    lua_newtable(L);

    for (i = 1, report = worker->reports; report; report = report->next, i++) {
        lua_createtable(L, 0, 2);

        lua_pushstring(L, (char *) report->name);
        lua_setfield(L, -2, "name");

        if (report->error != NULL) {
            lua_pushstring(L, (char *) report->error);
            lua_setfield(L, -2, "error");
        }

        lua_rawseti(L, -2, i);
    }

    lua_setfield(L, -2, "runtimes");
}


static const char *
ngx_http_lua_ffi_core_state(const ngx_http_lua_ffi_order_worker_t *worker)
{
    switch (worker->state) {

    case NGX_HTTP_LUA_FFI_ORDER_SENT:
    case NGX_HTTP_LUA_FFI_ORDER_TAKEN:
        return "no answer";

    case NGX_HTTP_LUA_FFI_ORDER_NONE:
    case NGX_HTTP_LUA_FFI_ORDER_EXITED:
        return "exited";

    default:
        break;
    }

    if (worker->kept) {
        return "kept";
    }

    return worker->reloaded ? "reloaded" : "not loaded";
}


static void
ngx_http_lua_ffi_core_set(lua_State *L, const char *name, lua_Number value)
{
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}
