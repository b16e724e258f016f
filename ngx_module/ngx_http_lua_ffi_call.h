/*
 * Calls in flight: the event loop's side of a task's life, from Lua's call to
 * the answer that Lua fetches.
 *
 * Event loop only.
 */

#ifndef _NGX_HTTP_LUA_FFI_CALL_H_INCLUDED_
#define _NGX_HTTP_LUA_FFI_CALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ffi_task.h"
#include "ngx_http_lua_ffi_answer.h"
#include "ngx_http_lua_ffi_runtime.h"


/*
 * What Lua holds of a call while it waits: a task's handle, cut to what a Lua
 * number can hold.
 */
typedef int64_t  ngx_http_lua_ffi_ticket_t;


typedef struct {
    ngx_str_t                 method;
    ngx_str_t                 request;       /* data NULL: nil */
    ngx_msec_t                timeout;
} ngx_http_lua_ffi_call_t;


/* The size of the buffer for an error message. */
#define NGX_HTTP_LUA_FFI_ERR_MAX  256


void ngx_http_lua_ffi_call_init(ngx_cycle_t *cycle);

/* At exit: gives the waiters back; no coroutine runs any more. */
void ngx_http_lua_ffi_call_shutdown(void);

/*
 * Posts a call; the coroutine must yield and then fetch the answer.
 * -1: not posted, err (NGX_HTTP_LUA_FFI_ERR_MAX bytes) says why.
 */
ngx_http_lua_ffi_ticket_t ngx_http_lua_ffi_call_post(ngx_http_request_t *r,
    ngx_http_lua_ffi_runtime_t *rt, ngx_http_lua_ffi_call_t *call,
    u_char *err);

/*
 * Waits among others, to be answered by ngx_http_lua_ffi_call_settle().
 *  -1 and err as above.
 */
ngx_http_lua_ffi_ticket_t ngx_http_lua_ffi_call_await(ngx_http_request_t *r,
    ngx_http_lua_ffi_waiters_t *waiters, ngx_msec_t timeout, u_char *err);

/* Answers all that wait: success, or rc 1 and the error (copied). */
void ngx_http_lua_ffi_call_settle(ngx_http_lua_ffi_waiters_t *waiters,
    const char *error);

/*
 * The answer to a call, right after its coroutine was resumed.  When
 * answer->task is set, it must be handed back with call_end().
 */
void ngx_http_lua_ffi_call_fetch(ngx_http_lua_ffi_ticket_t ticket,
    ngx_http_lua_ffi_answer_t *answer);
void ngx_http_lua_ffi_call_end(ffi_task_t *task);

/* Takes what is on the done list and resumes who waits; returns how many. */
ngx_uint_t ngx_http_lua_ffi_call_drain(void);

/* Whether any call is posted and unanswered. */
ngx_uint_t ngx_http_lua_ffi_call_pending(void);

/*
 * Marks the calls whose coroutine was killed, for their handlers to see, and
 * tells of those whose handlers have asked late to be told; watches for those
 * that are slow.
 */
void ngx_http_lua_ffi_call_mark_abandoned(void);

/*
 * Ends the wait of every call with a static verdict, and marks the calls
 * abandoned; tasks that a library has taken stay its own until it responds.
 */
void ngx_http_lua_ffi_call_fail(const char *verdict);

/* Moves the calls of a READY runtime that nobody has polled to another one. */
void ngx_http_lua_ffi_call_move(ngx_http_lua_ffi_runtime_t *from,
    ngx_http_lua_ffi_runtime_t *to);

/* How many of the runtime's calls nobody has polled. */
ngx_uint_t ngx_http_lua_ffi_call_unpolled(ngx_http_lua_ffi_runtime_t *rt);

/* Whether a coroutine waits for one of the runtime's calls. */
ngx_uint_t ngx_http_lua_ffi_call_waited(ngx_http_lua_ffi_runtime_t *rt);

/*
 * Takes back the tasks of a runtime that nobody polls any more, and, where
 * taken is set, those that no thread is left to respond to.
 */
void ngx_http_lua_ffi_call_reclaim(ngx_http_lua_ffi_runtime_t *rt,
    const char *verdict, ngx_uint_t taken);


#endif /* _NGX_HTTP_LUA_FFI_CALL_H_INCLUDED_ */
