/*
 * Calls past their deadline: counted, logged, and shown to their library; and
 * what the log of those that are slow has in common with that.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_


#include "ngx_http_lua_ffi_runtime.h"


/* What is shown of a method's name. */
#define NGX_HTTP_LUA_FFI_METHOD_MAX  128


/* What lines are about; of each there are so many a second. */
typedef enum {
    NGX_HTTP_LUA_FFI_TIMED_OUT = 0,
    NGX_HTTP_LUA_FFI_SLOW
} ngx_http_lua_ffi_lines_e;


/* Who called: printable, and cut. */
typedef struct {
    const char                   *id;            /* of the request, or "" */
    size_t                        len;           /* of the method */
    u_char                        method[NGX_HTTP_LUA_FFI_METHOD_MAX];
} ngx_http_lua_ffi_caller_t;


/* An unanswered call whose caller waits no longer; once for each. */
void ngx_http_lua_ffi_overdue_call(ffi_task_t *task);

/* Whether one more line is not too many; those that are are counted. */
ngx_uint_t ngx_http_lua_ffi_overdue_may_log(ngx_http_lua_ffi_lines_e about);

/* Of a task that still has its request. */
void ngx_http_lua_ffi_overdue_caller(ffi_task_t *task,
    ngx_http_lua_ffi_caller_t *caller);

/* Has the library say what the handler of a TAKEN task does, if it can. */
void ngx_http_lua_ffi_overdue_show(ngx_http_lua_ffi_runtime_t *rt,
    ffi_task_t *task);

/*
 * Whether libffi_overdue() runs for the runtime, which must not end before.
 * Becomes false with a tick at the latest.
 */
ngx_uint_t ngx_http_lua_ffi_overdue_runs(ngx_http_lua_ffi_runtime_t *rt);

/* Every tick.  Whether there is anything left to do. */
ngx_uint_t ngx_http_lua_ffi_overdue_tick(void);


#endif /* _NGX_HTTP_LUA_FFI_OVERDUE_H_INCLUDED_ */
