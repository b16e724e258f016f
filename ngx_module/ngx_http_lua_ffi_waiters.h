/*
 * Who waits for a load, a reload or an unload: coroutines, each with a task
 * that is HELD for it, and watchers, which are C.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_WAITERS_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_WAITERS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ffi_task.h"


typedef struct ngx_http_lua_ffi_watcher_s  ngx_http_lua_ffi_watcher_t;

struct ngx_http_lua_ffi_watcher_s {
    ngx_queue_t       link;

    /* once, when it is over; error is NULL or borrowed.  May free itself. */
    void            (*done)(ngx_http_lua_ffi_watcher_t *watcher,
                          const char *error);
};


typedef struct {
    ffi_task_link_t   tasks;
    ngx_queue_t       watchers;
} ngx_http_lua_ffi_waiters_t;


static ngx_inline void
ngx_http_lua_ffi_waiters_init(ngx_http_lua_ffi_waiters_t *waiters)
{
    ffi_task_list_init(&waiters->tasks);
    ngx_queue_init(&waiters->watchers);
}


static ngx_inline ngx_uint_t
ngx_http_lua_ffi_waiters_empty(ngx_http_lua_ffi_waiters_t *waiters)
{
    return ffi_task_list_empty(&waiters->tasks)
           && ngx_queue_empty(&waiters->watchers);
}


/* Those of "from" wait with those of "to" from now on. */
static ngx_inline void
ngx_http_lua_ffi_waiters_move(ngx_http_lua_ffi_waiters_t *from,
    ngx_http_lua_ffi_waiters_t *to)
{
    ffi_task_list_move(&from->tasks, &to->tasks);

    if (!ngx_queue_empty(&from->watchers)) {
        ngx_queue_add(&to->watchers, &from->watchers);
        ngx_queue_init(&from->watchers);
    }
}


#endif /* _NGX_HTTP_LUA_FFI_WAITERS_H_INCLUDED_ */
