#include "ngx_http_lua_ffi_lua.h"

#include "ngx_http_lua_ffi_call.h"
#include "ngx_http_lua_ffi_chunk.h"
#include "ngx_http_lua_ffi_module.h"
#include "ngx_http_lua_ffi_notify.h"
#include "ngx_http_lua_ffi_runtime.h"
#include "ngx_http_lua_ffi_waiter.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>


/*
 * A load's waiters are told by the runtime's own clock; theirs only makes
 * sure that they never wait for ever.
 */
#define NGX_HTTP_LUA_FFI_LOAD_SLACK_MS  5000

#define NGX_HTTP_LUA_FFI_LOAD_TIMEOUT   60000

/* LJ_MAX_STR of LuaJIT: a longer one throws. */
#define NGX_HTTP_LUA_FFI_STRING_MAX     0x7fffff00


/* The public functions of lua-nginx-module that this module uses. */
typedef struct {
    ngx_int_t           (*add_package_preload)(ngx_conf_t *cf,
                             const char *package, lua_CFunction func);
    ngx_http_request_t *(*get_request)(lua_State *L);
    int                 (*sema_new)(void **sema, int n, char **err);
    void                (*sema_gc)(void *sema);
    int                 (*sema_wait)(ngx_http_request_t *r, void *sema,
                             int ms, u_char *err, size_t *len);
    int                 (*sema_post)(void *sema, int n);
    int                 (*sema_count)(void *sema);
} ngx_http_lua_ffi_api_t;


typedef struct {
    const char          *name;
    size_t               offset;
} ngx_http_lua_ffi_symbol_t;


/* What a runtime is in Lua. */
typedef struct {
    void                *tq;
} ngx_http_lua_ffi_handle_t;


static ngx_uint_t ngx_http_lua_ffi_lua_module(ngx_conf_t *cf);
static int ngx_http_lua_ffi_lua_preload_core(lua_State *L);
static int ngx_http_lua_ffi_lua_preload(lua_State *L);
static void ngx_http_lua_ffi_lua_open(lua_State *L);
static void ngx_http_lua_ffi_lua_functions(lua_State *L);

static int ngx_http_lua_ffi_lua_load(lua_State *L);
static int ngx_http_lua_ffi_lua_post(lua_State *L);
static int ngx_http_lua_ffi_lua_fetch(lua_State *L);
static int ngx_http_lua_ffi_lua_unload(lua_State *L);
static int ngx_http_lua_ffi_lua_is_runtime(lua_State *L);
static int ngx_http_lua_ffi_lua_unanswered(lua_State *L);

static const char *ngx_http_lua_ffi_lua_no_loop(void);
static ngx_uint_t ngx_http_lua_ffi_lua_option(lua_State *L, int index,
    ngx_uint_t value);
static void ngx_http_lua_ffi_lua_push(lua_State *L,
    ngx_http_lua_ffi_runtime_t *rt);
static ngx_http_lua_ffi_handle_t *ngx_http_lua_ffi_lua_handle(lua_State *L);
static int ngx_http_lua_ffi_lua_error(lua_State *L, const char *err);


static ngx_http_lua_ffi_api_t  ngx_http_lua_ffi_api;


static ngx_http_lua_ffi_symbol_t  ngx_http_lua_ffi_symbols[] = {
    { "ngx_http_lua_add_package_preload",
      offsetof(ngx_http_lua_ffi_api_t, add_package_preload) },
    { "ngx_http_lua_get_request",
      offsetof(ngx_http_lua_ffi_api_t, get_request) },
    { "ngx_http_lua_ffi_sema_new",
      offsetof(ngx_http_lua_ffi_api_t, sema_new) },
    { "ngx_http_lua_ffi_sema_gc",
      offsetof(ngx_http_lua_ffi_api_t, sema_gc) },
    { "ngx_http_lua_ffi_sema_wait",
      offsetof(ngx_http_lua_ffi_api_t, sema_wait) },
    { "ngx_http_lua_ffi_sema_post",
      offsetof(ngx_http_lua_ffi_api_t, sema_post) },
    { "ngx_http_lua_ffi_sema_count",
      offsetof(ngx_http_lua_ffi_api_t, sema_count) },
};


static luaL_Reg  ngx_http_lua_ffi_functions[] = {
    { "load", ngx_http_lua_ffi_lua_load },
    { "post", ngx_http_lua_ffi_lua_post },
    { "fetch", ngx_http_lua_ffi_lua_fetch },
    { "unload", ngx_http_lua_ffi_lua_unload },
    { "is_runtime", ngx_http_lua_ffi_lua_is_runtime },
    { "unanswered", ngx_http_lua_ffi_lua_unanswered },
    { NULL, NULL }
};


/* Addresses are keys of the registry. */
static char  ngx_http_lua_ffi_lua_key;


ngx_int_t
ngx_http_lua_ffi_lua_init(ngx_conf_t *cf)
{
    void        *symbol;
    ngx_uint_t   i;

    if (!ngx_http_lua_ffi_lua_module(cf)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "ngx_http_lua_ffi_module needs "
                           "ngx_http_lua_module: add its load_module line "
                           "(Debian: apt-get install libnginx-mod-http-lua)");
        return NGX_ERROR;
    }

    for (i = 0; i < sizeof(ngx_http_lua_ffi_symbols)
                    / sizeof(ngx_http_lua_ffi_symbols[0]); i++)
    {
        /*
         * Looked up, not linked: the Lua module may be loaded after this one,
         * or be a part of nginx.
         */
        symbol = dlsym(RTLD_DEFAULT, ngx_http_lua_ffi_symbols[i].name);

        if (symbol == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "ngx_http_lua_module has no %s(): it is too "
                               "old for ngx_http_lua_ffi_module",
                               ngx_http_lua_ffi_symbols[i].name);
            return NGX_ERROR;
        }

        *(void **) ((char *) &ngx_http_lua_ffi_api
                    + ngx_http_lua_ffi_symbols[i].offset) = symbol;
    }

    if (ngx_http_lua_ffi_api.add_package_preload(cf, "resty.core",
                                            ngx_http_lua_ffi_lua_preload_core)
        != NGX_OK
        || ngx_http_lua_ffi_api.add_package_preload(cf, "resty.ffi",
                                               ngx_http_lua_ffi_lua_preload)
           != NGX_OK
        || ngx_http_lua_ffi_api.add_package_preload(cf, "resty_ffi",
                                               ngx_http_lua_ffi_lua_preload)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Whether this configuration has the Lua module. */
static ngx_uint_t
ngx_http_lua_ffi_lua_module(ngx_conf_t *cf)
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


/*
 * Every Lua VM requires "resty.core" first of all.  This loader stands in for
 * it once: it lets the others find the real module, and opens ours on top.
 */
static int
ngx_http_lua_ffi_lua_preload_core(lua_State *L)
{
    int  i, n, loaders;

    lua_settop(L, 1);                              /* name */

    lua_getglobal(L, "package");
    lua_getfield(L, 2, "preload");
    lua_pushnil(L);
    lua_setfield(L, 3, "resty.core");

    lua_getfield(L, 2, "loaders");
    loaders = lua_gettop(L);

    lua_pushliteral(L, "");                        /* why not found */
    n = (int) lua_objlen(L, loaders);

    for (i = 1; i <= n; i++) {
        lua_rawgeti(L, loaders, i);
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);

        if (lua_isfunction(L, -1)) {
            lua_pushvalue(L, 1);
            lua_call(L, 1, 1);

            ngx_http_lua_ffi_lua_open(L);
            lua_pop(L, 1);

            return 1;
        }

        if (lua_isstring(L, -1)) {
            lua_concat(L, 2);

        } else {
            lua_pop(L, 1);
        }
    }

    return luaL_error(L, "module 'resty.core' not found:%s",
                      lua_tostring(L, -1));
}


static int
ngx_http_lua_ffi_lua_preload(lua_State *L)
{
    ngx_http_lua_ffi_lua_open(L);

    return 1;
}


/* Pushes the module's table, made once in each VM. */
static void
ngx_http_lua_ffi_lua_open(lua_State *L)
{
    lua_pushlightuserdata(L, &ngx_http_lua_ffi_lua_key);
    lua_rawget(L, LUA_REGISTRYINDEX);

    if (!lua_isnil(L, -1)) {
        return;
    }

    lua_pop(L, 1);

    if (luaL_loadbuffer(L, ngx_http_lua_ffi_chunk,
                        sizeof(ngx_http_lua_ffi_chunk) - 1, "=resty.ffi")
        != 0)
    {
        lua_error(L);
    }

    ngx_http_lua_ffi_lua_functions(L);
    lua_call(L, 1, 1);

    lua_pushlightuserdata(L, &ngx_http_lua_ffi_lua_key);
    lua_pushvalue(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
}


/*
 * Pushes the table of C functions.  Their upvalues are the metatable of
 * runtimes and the runtimes that this VM has handles of.
 */
static void
ngx_http_lua_ffi_lua_functions(lua_State *L)
{
    luaL_Reg  *reg;

    lua_newtable(L);                               /* functions */
    lua_newtable(L);                               /* metatable */

    lua_newtable(L);                               /* handles */
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);

    for (reg = ngx_http_lua_ffi_functions; reg->name != NULL; reg++) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_pushcclosure(L, reg->func, 2);
        lua_setfield(L, -4, reg->name);
    }

    lua_pop(L, 1);
    lua_setfield(L, -2, "metatable");

    lua_pushliteral(L, RESTY_FFI_VERSION);
    lua_setfield(L, -2, "version");
}


static int
ngx_http_lua_ffi_lua_error(lua_State *L, const char *err)
{
    lua_pushnil(L);
    lua_pushstring(L, err);

    return 2;
}


static const char *
ngx_http_lua_ffi_lua_no_loop(void)
{
    if (ngx_process == NGX_PROCESS_HELPER) {
        return "this process runs no library: only workers do";
    }

    return "no library can be loaded before the worker has started "
           "(init_by_lua): load it in init_worker_by_lua or in a request";
}


static ngx_uint_t
ngx_http_lua_ffi_lua_option(lua_State *L, int index, ngx_uint_t value)
{
    return lua_isnil(L, index) ? value : (ngx_uint_t) lua_tonumber(L, index);
}


/* Pushes the one handle that this VM has of the runtime. */
static void
ngx_http_lua_ffi_lua_push(lua_State *L, ngx_http_lua_ffi_runtime_t *rt)
{
    void                       *tq;
    ngx_http_lua_ffi_handle_t  *handle;

    tq = ffi_queue_handle(rt->queue);

    lua_pushlstring(L, (char *) &tq, sizeof(tq));
    lua_pushvalue(L, -1);
    lua_rawget(L, lua_upvalueindex(2));

    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);

        handle = lua_newuserdata(L, sizeof(ngx_http_lua_ffi_handle_t));
        handle->tq = tq;

        lua_pushvalue(L, lua_upvalueindex(1));
        lua_setmetatable(L, -2);

        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, lua_upvalueindex(2));
    }

    lua_remove(L, -2);
}


/* The handle at index 1, or NULL for anything else. */
static ngx_http_lua_ffi_handle_t *
ngx_http_lua_ffi_lua_handle(lua_State *L)
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


/* is_runtime(value) */
static int
ngx_http_lua_ffi_lua_is_runtime(lua_State *L)
{
    lua_pushboolean(L, ngx_http_lua_ffi_lua_handle(L) != NULL);

    return 1;
}


/*
 * load(lib, cfg, max_queue, timeout, load_timeout, unpin, is_global), times in
 * milliseconds
 *
 * Returns the runtime; the runtime and a ticket to wait for; or nil, err.
 */
static int
ngx_http_lua_ffi_lua_load(lua_State *L)
{
    u_char                       buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    ngx_str_t                    lib, cfg;
    const char                  *err;
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_conf_t     *conf;
    ngx_http_lua_ffi_opts_t      opts;
    ngx_http_lua_ffi_ticket_t    ticket;
    ngx_http_lua_ffi_runtime_t  *rt;

    if (!ngx_http_lua_ffi_notify_ready()) {
        return ngx_http_lua_ffi_lua_error(L, ngx_http_lua_ffi_lua_no_loop());
    }

    lib.data = (u_char *) lua_tolstring(L, 1, &lib.len);

    cfg.len = 0;
    cfg.data = (u_char *) lua_tolstring(L, 2, &cfg.len);

    conf = ngx_http_lua_ffi_conf();

    opts.max_queue = ngx_http_lua_ffi_lua_option(L, 3, conf->max_queue);
    opts.timeout = ngx_http_lua_ffi_lua_option(L, 4, conf->timeout);
    opts.load_timeout = ngx_http_lua_ffi_lua_option(L, 5,
                                               NGX_HTTP_LUA_FFI_LOAD_TIMEOUT);
    opts.unpin = lua_toboolean(L, 6);
    opts.global = lua_toboolean(L, 7);

    rt = ngx_http_lua_ffi_runtime_load(&lib, &cfg, &opts, &err);
    if (rt == NULL) {
        return ngx_http_lua_ffi_lua_error(L, err);
    }

    ngx_http_lua_ffi_lua_push(L, rt);

    if (rt->state == NGX_HTTP_LUA_FFI_READY) {
        return 1;
    }

    r = ngx_http_lua_ffi_api.get_request(L);

    if (r != NULL && lua_isyieldable(L)) {
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
        return ngx_http_lua_ffi_lua_error(L, (char *) buf);
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
ngx_http_lua_ffi_lua_post(lua_State *L)
{
    u_char                       buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    const char                  *err;
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_call_t      call;
    ngx_http_lua_ffi_handle_t   *handle;
    ngx_http_lua_ffi_ticket_t    ticket;
    ngx_http_lua_ffi_runtime_t  *rt;

    handle = ngx_http_lua_ffi_lua_handle(L);
    if (handle == NULL) {
        return luaL_error(L, "not a runtime");
    }

    rt = ngx_http_lua_ffi_runtime_find(handle->tq);

    err = ngx_http_lua_ffi_runtime_refusal(rt);
    if (err != NULL) {
        return ngx_http_lua_ffi_lua_error(L, err);
    }

    r = ngx_http_lua_ffi_api.get_request(L);

    if (r == NULL || !lua_isyieldable(L)) {
        lua_pushnil(L);
        return 1;
    }

    call.method.data = (u_char *) lua_tolstring(L, 2, &call.method.len);

    call.request.len = 0;
    call.request.data = (u_char *) lua_tolstring(L, 3, &call.request.len);

    call.timeout = ngx_http_lua_ffi_lua_option(L, 4, rt->opts.timeout);

    ticket = ngx_http_lua_ffi_call_post(r, rt, &call, buf);
    if (ticket == -1) {
        return ngx_http_lua_ffi_lua_error(L, (char *) buf);
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
ngx_http_lua_ffi_lua_fetch(lua_State *L)
{
    int                         n;
    ffi_task_t                 *task;
    ngx_http_lua_ffi_answer_t   answer;

    ngx_http_lua_ffi_call_fetch((ngx_http_lua_ffi_ticket_t)
                                lua_tonumber(L, 1), &answer);
    task = answer.task;

    if (answer.verdict == NULL
        && task->response_len > NGX_HTTP_LUA_FFI_STRING_MAX)
    {
        answer.verdict = "the response is too large for a Lua string";
    }

    if (answer.verdict != NULL) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, answer.verdict);
        n = 2;

    } else if (task->rc != 0) {
        lua_pushboolean(L, 0);
        lua_pushinteger(L, task->rc);
        n = 3;

    } else {
        lua_pushboolean(L, 1);
        n = 2;
    }

    if (answer.verdict == NULL) {
        if (task->response == NULL) {
            lua_pushnil(L);

        } else {
            lua_pushlstring(L, task->response, task->response_len);
        }
    }

    /* should a push above throw for want of memory, the sweep ends the task */
    if (task != NULL) {
        ngx_http_lua_ffi_call_end(task);
    }

    return n;
}


/*
 * unload(runtime, wait), in milliseconds or nil
 *
 * Returns true; a ticket to wait for; or nil, err as post().
 */
static int
ngx_http_lua_ffi_lua_unload(lua_State *L)
{
    u_char                       buf[NGX_HTTP_LUA_FFI_ERR_MAX];
    ngx_http_request_t          *r;
    ngx_http_lua_ffi_handle_t   *handle;
    ngx_http_lua_ffi_ticket_t    ticket;
    ngx_http_lua_ffi_runtime_t  *rt;

    handle = ngx_http_lua_ffi_lua_handle(L);
    if (handle == NULL) {
        return luaL_error(L, "not a runtime");
    }

    rt = ngx_http_lua_ffi_runtime_find(handle->tq);

    if (rt != NULL) {
        ngx_http_lua_ffi_runtime_unload(rt);
    }

    if (rt == NULL || lua_isnil(L, 2)) {
        lua_pushboolean(L, 1);
        return 1;
    }

    r = ngx_http_lua_ffi_api.get_request(L);

    if (r == NULL || !lua_isyieldable(L)) {
        lua_pushnil(L);
        return 1;
    }

    ticket = ngx_http_lua_ffi_call_await(r, &rt->waiters,
                                         ngx_http_lua_ffi_lua_option(L, 2, 0),
                                         buf);
    if (ticket == -1) {
        return ngx_http_lua_ffi_lua_error(L, (char *) buf);
    }

    lua_pushnumber(L, ticket);

    return 1;
}


/* unanswered(runtime): calls that are in the queue or with the library */
static int
ngx_http_lua_ffi_lua_unanswered(lua_State *L)
{
    ngx_http_lua_ffi_handle_t   *handle;
    ngx_http_lua_ffi_runtime_t  *rt;

    handle = ngx_http_lua_ffi_lua_handle(L);
    rt = handle != NULL ? ngx_http_lua_ffi_runtime_find(handle->tq) : NULL;

    lua_pushnumber(L, rt != NULL ? rt->unanswered : 0);

    return 1;
}


void *
ngx_http_lua_ffi_waiter_create(const char **err)
{
    void  *sema;

    if (ngx_http_lua_ffi_api.sema_new(&sema, 0, (char **) err) != NGX_OK) {
        return NULL;
    }

    return sema;
}


void
ngx_http_lua_ffi_waiter_destroy(void *waiter)
{
    ngx_http_lua_ffi_api.sema_gc(waiter);
}


ngx_int_t
ngx_http_lua_ffi_waiter_wait(ngx_http_request_t *r, void *waiter,
    ngx_msec_t ms, u_char *err, size_t *len)
{
    if (ms > NGX_MAX_INT32_VALUE) {
        ms = NGX_MAX_INT32_VALUE;
    }

    return ngx_http_lua_ffi_api.sema_wait(r, waiter, (int) ms, err, len);
}


void
ngx_http_lua_ffi_waiter_wake(void *waiter)
{
    (void) ngx_http_lua_ffi_api.sema_post(waiter, 1);
}


ngx_int_t
ngx_http_lua_ffi_waiter_balance(void *waiter)
{
    return ngx_http_lua_ffi_api.sema_count(waiter);
}
