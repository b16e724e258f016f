#include "ngx_http_lua_ffi_core.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_metrics.h"
#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_reload.h"
#include "ngx_http_lua_ffi_runtime.h"
#include "ngx_http_lua_ffi_symbols.h"

#include <lauxlib.h>


/*
 * A load's waiters are told by the runtime's own clock; theirs only makes
 * sure that they never wait for ever.
 */
#define NGX_HTTP_LUA_FFI_LOAD_SLACK_MS  5000

#define NGX_HTTP_LUA_FFI_LOAD_TIMEOUT   60000

#define NGX_HTTP_LUA_FFI_STUCK_AFTER    10000


/* What a runtime is in Lua. */
typedef struct {
    ngx_http_lua_ffi_entry_t    *entry;          /* NULL: it was collected */
} ngx_http_lua_ffi_handle_t;


static int ngx_http_lua_ffi_core_load(lua_State *L);
static int ngx_http_lua_ffi_core_post(lua_State *L);
static int ngx_http_lua_ffi_core_fetch(lua_State *L);
static int ngx_http_lua_ffi_core_unload(lua_State *L);
static int ngx_http_lua_ffi_core_reload(lua_State *L);
static int ngx_http_lua_ffi_core_is_runtime(lua_State *L);
static int ngx_http_lua_ffi_core_unanswered(lua_State *L);
static int ngx_http_lua_ffi_core_collect(lua_State *L);

static void ngx_http_lua_ffi_core_opts(lua_State *L, int index,
    ngx_http_lua_ffi_opts_t *opts);
static ngx_uint_t ngx_http_lua_ffi_core_number(lua_State *L, int index,
    const char *name, ngx_uint_t value);
static ngx_uint_t ngx_http_lua_ffi_core_flag(lua_State *L, int index,
    const char *name);
static void ngx_http_lua_ffi_core_push_handle(lua_State *L,
    ngx_http_lua_ffi_entry_t *entry);
static ngx_http_lua_ffi_handle_t *ngx_http_lua_ffi_core_handle(lua_State *L);
static ngx_http_lua_ffi_entry_t *ngx_http_lua_ffi_core_entry(lua_State *L);
static int ngx_http_lua_ffi_core_wait(lua_State *L, ngx_http_request_t *r,
    ngx_http_lua_ffi_waiters_t *waiters, ngx_msec_t timeout);


static luaL_Reg  ngx_http_lua_ffi_core_functions[] = {
    { "load", ngx_http_lua_ffi_core_load },
    { "post", ngx_http_lua_ffi_core_post },
    { "fetch", ngx_http_lua_ffi_core_fetch },
    { "unload", ngx_http_lua_ffi_core_unload },
    { "reload", ngx_http_lua_ffi_core_reload },
    { "order", ngx_http_lua_ffi_core_order },
    { "order_result", ngx_http_lua_ffi_core_order_result },
    { "is_runtime", ngx_http_lua_ffi_core_is_runtime },
    { "unanswered", ngx_http_lua_ffi_core_unanswered },
    { NULL, NULL }
};


/*
 * The functions' upvalues are the metatable of runtimes and the handles that
 * this VM has.
 */
void
ngx_http_lua_ffi_core_push(lua_State *L)
{
    luaL_Reg  *reg;

    lua_newtable(L);                               /* functions */
    lua_newtable(L);                               /* metatable */

    lua_newtable(L);                               /* handles */
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);

    for (reg = ngx_http_lua_ffi_core_functions; reg->name != NULL; reg++) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, reg->func, 2);
        lua_setfield(L, -4, reg->name);
    }

    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_pushcclosure(L, ngx_http_lua_ffi_core_collect, 2);
    lua_setfield(L, -3, "__gc");

    lua_pop(L, 1);
    lua_setfield(L, -2, "metatable");

    lua_pushliteral(L, RESTY_FFI_VERSION);
    lua_setfield(L, -2, "version");
}


int
ngx_http_lua_ffi_core_error(lua_State *L, const char *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err);

    return 2;
}


const char *
ngx_http_lua_ffi_core_no_loop(void)
{
    if (ngx_process == NGX_PROCESS_HELPER) {
        return "this process runs no library: only workers do";
    }

    if (ngx_process == NGX_PROCESS_WORKER) {
        return "this worker could not start what runtimes need, as its log "
               "says: reload nginx";
    }

    return "no library can be loaded before the worker has started "
           "(init_by_lua): load it in init_worker_by_lua or in a request";
}


static ngx_uint_t
ngx_http_lua_ffi_core_number(lua_State *L, int index, const char *name,
    ngx_uint_t value)
{
    lua_getfield(L, index, name);

    if (!lua_isnil(L, -1)) {
        value = (ngx_uint_t) lua_tonumber(L, -1);
    }

    lua_pop(L, 1);

    return value;
}


static ngx_uint_t
ngx_http_lua_ffi_core_flag(lua_State *L, int index, const char *name)
{
    ngx_uint_t  value;

    lua_getfield(L, index, name);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);

    return value;
}


static void
ngx_http_lua_ffi_core_opts(lua_State *L, int index,
    ngx_http_lua_ffi_opts_t *opts)
{
    ngx_http_lua_ffi_conf_t  *conf;

    conf = ngx_http_lua_ffi_conf();

    opts->max_queue = ngx_http_lua_ffi_core_number(L, index, "max_queue",
                                                   conf->max_queue);
    opts->timeout = ngx_http_lua_ffi_core_number(L, index, "timeout",
                                                 conf->timeout);
    opts->load_timeout = ngx_http_lua_ffi_core_number(L, index,
                                  "load_timeout",
                                  NGX_HTTP_LUA_FFI_LOAD_TIMEOUT);
    opts->max_requests = ngx_http_lua_ffi_core_number(L, index,
                                                      "max_requests", 0);
    opts->max_age = ngx_http_lua_ffi_core_number(L, index, "max_age", 0);
    opts->stuck_after = ngx_http_lua_ffi_core_number(L, index, "stuck_after",
                                             NGX_HTTP_LUA_FFI_STUCK_AFTER);
    opts->replace_stuck = ngx_http_lua_ffi_core_flag(L, index,
                                                     "replace_stuck");
    opts->unpin = ngx_http_lua_ffi_core_flag(L, index, "unpin");
    opts->global = ngx_http_lua_ffi_core_flag(L, index, "is_global");
}


/* Pushes the one handle that this VM has of the entry. */
static void
ngx_http_lua_ffi_core_push_handle(lua_State *L,
    ngx_http_lua_ffi_entry_t *entry)
{
    ngx_http_lua_ffi_handle_t  *handle;

    lua_pushlstring(L, (char *) &entry, sizeof(entry));
    lua_pushvalue(L, -1);
    lua_rawget(L, lua_upvalueindex(2));

    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);

        handle = lua_newuserdata(L, sizeof(ngx_http_lua_ffi_handle_t));
        handle->entry = NULL;

        lua_pushvalue(L, lua_upvalueindex(1));
        lua_setmetatable(L, -2);

        handle->entry = entry;
        ngx_http_lua_ffi_entry_hold(entry);

        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, lua_upvalueindex(2));
    }

    lua_remove(L, -2);
}


/* The handle at index 1, or NULL for anything else. */
static ngx_http_lua_ffi_handle_t *
ngx_http_lua_ffi_core_handle(lua_State *L)
{
    int  same;

    /* the debug library gives our metatable to other kinds of userdata */
    if (lua_type(L, 1) != LUA_TUSERDATA
        || lua_objlen(L, 1) != sizeof(ngx_http_lua_ffi_handle_t)
        || !lua_getmetatable(L, 1))
    {
        return NULL;
    }

    same = lua_rawequal(L, -1, lua_upvalueindex(1));
    lua_pop(L, 1);

    return same ? lua_touserdata(L, 1) : NULL;
}


/* The entry of the handle at index 1; throws for anything else. */
static ngx_http_lua_ffi_entry_t *
ngx_http_lua_ffi_core_entry(lua_State *L)
{
    ngx_http_lua_ffi_handle_t  *handle;

    handle = ngx_http_lua_ffi_core_handle(L);

    if (handle == NULL || handle->entry == NULL) {
        (void) luaL_error(L, "not a runtime");
    }

    return handle->entry;
}


/* __gc(runtime), which the debug library may call once more */
static int
ngx_http_lua_ffi_core_collect(lua_State *L)
{
    ngx_http_lua_ffi_handle_t  *handle;

    handle = ngx_http_lua_ffi_core_handle(L);

    if (handle != NULL && handle->entry != NULL) {
        ngx_http_lua_ffi_entry_release(handle->entry);
        handle->entry = NULL;
    }

    return 0;
}


/* is_runtime(value) */
static int
ngx_http_lua_ffi_core_is_runtime(lua_State *L)
{
    lua_pushboolean(L, ngx_http_lua_ffi_core_handle(L) != NULL);

    return 1;
}


ngx_http_request_t *
ngx_http_lua_ffi_core_request(lua_State *L)
{
    return lua_isyieldable(L) ? ngx_http_lua_ffi_symbols.get_request(L) : NULL;
}


/* Returns the ticket to wait with, or nil, err. */
static int
ngx_http_lua_ffi_core_wait(lua_State *L, ngx_http_request_t *r,
    ngx_http_lua_ffi_waiters_t *waiters, ngx_msec_t timeout)
{
    u_char                     buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    ngx_http_lua_ffi_ticket_t  ticket;

    ticket = ngx_http_lua_ffi_call_await(r, waiters, timeout, buf);

    if (ticket == -1) {
        return ngx_http_lua_ffi_core_error(L, (char *) buf);
    }

    lua_pushnumber(L, ticket);

    return 1;
}


/*
 * load(lib, cfg, opts), times in milliseconds
 *
 * Returns the runtime; the runtime and a ticket to wait for; or nil, err.
 */
static int
ngx_http_lua_ffi_core_load(lua_State *L)
{
    u_char                       buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    ngx_str_t                    lib, cfg;
    const char                  *err;
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_opts_t      opts;
    ngx_http_lua_ffi_entry_t    *entry;
    ngx_http_lua_ffi_ticket_t    ticket;
    ngx_http_lua_ffi_runtime_t  *rt;

    if (!ngx_http_lua_ffi_notify_ready()) {
        return ngx_http_lua_ffi_core_error(L,
                                           ngx_http_lua_ffi_core_no_loop());
    }

    lib.data = (u_char *) lua_tolstring(L, 1, &lib.len);

    cfg.len = 0;
    cfg.data = (u_char *) lua_tolstring(L, 2, &cfg.len);

    ngx_http_lua_ffi_core_opts(L, 3, &opts);

    entry = ngx_http_lua_ffi_runtime_load(&lib, &cfg, &opts, &err);
    if (entry == NULL) {
        return ngx_http_lua_ffi_core_error(L, err);
    }

    ngx_http_lua_ffi_core_push_handle(L, entry);

    rt = ngx_http_lua_ffi_runtime_current(entry);

    if (rt == NULL) {
        /* memory for the handle was found, and a finalizer has run */
        return ngx_http_lua_ffi_core_error(L, NGX_HTTP_LUA_FFI_UNLOADED);
    }

    if (rt->state == NGX_HTTP_LUA_FFI_READY) {
        return 1;
    }

    r = ngx_http_lua_ffi_core_request(L);

    if (r != NULL) {
        ticket = ngx_http_lua_ffi_call_await(r, &rt->waiters,
                                             rt->opts.load_timeout
                                             + NGX_HTTP_LUA_FFI_LOAD_SLACK_MS,
                                             buf);
        if (ticket != -1) {
            lua_pushnumber(L, ticket);
            return 2;
        }
    }

    if (ngx_http_lua_ffi_runtime_await(rt, buf, sizeof(buf)) != NGX_OK) {
        return ngx_http_lua_ffi_core_error(L, (char *) buf);
    }

    return 1;
}


/*
 * post(runtime, method, request, timeout), in milliseconds
 *
 * Returns the ticket to wait for, or nil, err; err is nil where Lua cannot
 * yield.
 */
static int
ngx_http_lua_ffi_core_post(lua_State *L)
{
    u_char                       buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    const char                  *err;
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_call_t      call;
    ngx_http_lua_ffi_entry_t    *entry;
    ngx_http_lua_ffi_ticket_t    ticket;
    ngx_http_lua_ffi_runtime_t  *rt;

    entry = ngx_http_lua_ffi_core_entry(L);
    rt = entry->rt;

    err = ngx_http_lua_ffi_runtime_refusal(rt);
    if (err != NULL) {
        ngx_http_lua_ffi_metrics_refused(entry, err);
        return ngx_http_lua_ffi_core_error(L, err);
    }

    r = ngx_http_lua_ffi_core_request(L);

    if (r == NULL) {
        ngx_http_lua_ffi_metrics_refused(entry, "this phase cannot wait");
        lua_pushnil(L);
        return 1;
    }

    call.method.data = (u_char *) lua_tolstring(L, 2, &call.method.len);

    call.request.len = 0;
    call.request.data = (u_char *) lua_tolstring(L, 3, &call.request.len);

    call.timeout = lua_isnil(L, 4) ? rt->opts.timeout
                                   : (ngx_msec_t) lua_tonumber(L, 4);

    ticket = ngx_http_lua_ffi_call_post(r, rt, &call, buf);
    if (ticket == -1) {
        ngx_http_lua_ffi_metrics_refused(entry, (char *) buf);
        return ngx_http_lua_ffi_core_error(L, (char *) buf);
    }

    lua_pushnumber(L, ticket);

    return 1;
}


/*
 * fetch(ticket), right after the yield
 *
 * Returns true, response; false, rc, message; or false, err.
 */
static int
ngx_http_lua_ffi_core_fetch(lua_State *L)
{
    int                         n;
    ngx_http_lua_ffi_answer_t   answer;

    ngx_http_lua_ffi_call_fetch((ngx_http_lua_ffi_ticket_t)
                                lua_tonumber(L, 1), &answer);

    n = ngx_http_lua_ffi_answer_push(L, &answer);

    /* should the push throw for want of memory, the sweep ends the task */
    if (answer.task != NULL) {
        ngx_http_lua_ffi_call_end(answer.task);
    }

    return n;
}


/*
 * unload(runtime, wait), in milliseconds or nil
 *
 * Returns true; a ticket to wait for; or nil, err as post().
 */
static int
ngx_http_lua_ffi_core_unload(lua_State *L)
{
    int                        n;
    ngx_http_request_t        *r;
    ngx_http_lua_ffi_entry_t  *entry;

    entry = ngx_http_lua_ffi_core_entry(L);

    if (entry->rt == NULL || lua_isnil(L, 2)) {
        ngx_http_lua_ffi_runtime_unload(entry);
        lua_pushboolean(L, 1);
        return 1;
    }

    r = ngx_http_lua_ffi_core_request(L);

    if (r == NULL) {
        lua_pushnil(L);
        return 1;
    }

    n = ngx_http_lua_ffi_core_wait(L, r, &entry->rt->waiters,
                                   (ngx_msec_t) lua_tonumber(L, 2));
    if (n == 1) {
        /* who cannot wait has unloaded nothing */
        ngx_http_lua_ffi_runtime_unload(entry);
    }

    return n;
}


/*
 * reload(runtime)
 *
 * Returns a ticket to wait for; or nil, err as post().
 */
static int
ngx_http_lua_ffi_core_reload(lua_State *L)
{
    int                          n;
    ngx_msec_t                   timeout;
    const char                  *err;
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_entry_t    *entry;
    ngx_http_lua_ffi_runtime_t  *rt;

    entry = ngx_http_lua_ffi_core_entry(L);
    r = ngx_http_lua_ffi_core_request(L);

    if (r == NULL) {
        lua_pushnil(L);
        return 1;
    }

    err = ngx_http_lua_ffi_reload_refusal(entry);

    if (err != NULL) {
        return ngx_http_lua_ffi_core_error(L, err);
    }

    /* another reload may come first */
    rt = ngx_http_lua_ffi_runtime_current(entry);
    timeout = 2 * rt->opts.load_timeout + NGX_HTTP_LUA_FFI_LOAD_SLACK_MS;

    /* the wait comes first: it refuses phases that may not wait */
    n = ngx_http_lua_ffi_core_wait(L, r, &entry->later, timeout);
    ngx_http_lua_ffi_reload(entry);

    return n;
}


/* unanswered(runtime): calls that are in the queue or with the library */
static int
ngx_http_lua_ffi_core_unanswered(lua_State *L)
{
    ngx_http_lua_ffi_runtime_t  *rt;

    rt = ngx_http_lua_ffi_core_entry(L)->rt;

    lua_pushnumber(L, rt != NULL ? rt->unanswered : 0);

    return 1;
}
