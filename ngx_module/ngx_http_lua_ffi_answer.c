#include "ngx_http_lua_ffi_answer.h"


/* LJ_MAX_STR of LuaJIT: a longer one throws. */
#define NGX_HTTP_LUA_FFI_STRING_MAX  0x7fffff00


int
ngx_http_lua_ffi_answer_push(lua_State *L,
    const ngx_http_lua_ffi_answer_t *answer)
{
    int          n;
    const char  *verdict;
    ffi_task_t  *task;

    task = answer->task;
    verdict = answer->verdict;

    if (verdict == NULL && task->response_len > NGX_HTTP_LUA_FFI_STRING_MAX) {
        verdict = "the response is too large for a Lua string";
    }

    if (verdict != NULL) {
        lua_pushboolean(L, 0);
        lua_pushstring(L, verdict);
        return 2;
    }

    lua_pushboolean(L, task->rc == 0);
    n = 2;

    if (task->rc != 0) {
        lua_pushinteger(L, task->rc);
        n = 3;
    }

    if (task->response == NULL) {
        lua_pushnil(L);

    } else {
        lua_pushlstring(L, task->response, task->response_len);
    }

    return n;
}
