/*
 * What a call returns to Lua.
 *
 * Event loop only.  Needs Lua, but nothing of nginx.
 */

#ifndef _NGX_HTTP_LUA_FFI_ANSWER_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_ANSWER_H_INCLUDED_


#include <lua.h>

#include "ffi_task.h"


typedef struct {
    const char               *verdict;       /* the core's own error, or NULL */
    ffi_task_t               *task;          /* answered, when no verdict */
} ngx_http_lua_ffi_answer_t;


/*
 * Pushes true, response; false, rc, message; or false, verdict.  Returns how
 * many.  Throws for want of memory.
 */
int ngx_http_lua_ffi_answer_push(lua_State *L,
    const ngx_http_lua_ffi_answer_t *answer);


#endif /* _NGX_HTTP_LUA_FFI_ANSWER_H_INCLUDED_ */
