/*
 * What the SDK uses of include/ngx_http_lua_ffi.h, as Go likes it: handles are
 * integers, since Go must not take them for pointers, and one crossing does
 * all that can be done at once.
 */

#ifndef RESTYFFI_CONTRACT_H_INCLUDED
#define RESTYFFI_CONTRACT_H_INCLUDED


#include <stddef.h>
#include <stdint.h>


typedef struct {
    uintptr_t    task;
    const char  *method;
    size_t       method_len;
    const char  *request;       /* NULL: nil */
    size_t       request_len;
    const char  *id;            /* NULL: none */
    size_t       id_len;
    const char  *trace;         /* NULL: none */
    size_t       trace_len;
    int64_t      time_left;     /* milliseconds */
} restyffi_call_t;


/* Whether the functions of nginx are there; they are not in a test. */
int restyffi_in_nginx(void);

/* Waits for calls.  What they point to is borrowed until they are answered. */
int restyffi_poll(uintptr_t tq, restyffi_call_t *calls, int max);

void restyffi_respond(uintptr_t task, int rc, const void *rsp, size_t len);

int restyffi_is_abandoned(uintptr_t task);

/* A descriptor of the caller's own for the queue's, or -1 with errno set. */
int restyffi_event_fd(uintptr_t tq);

int restyffi_poll_abandoned(uintptr_t tq, uintptr_t *tasks, int max);

void restyffi_log(uintptr_t tq, uintptr_t task, int level, const char *msg,
    size_t len);

void restyffi_set_error(uintptr_t tq, const char *msg, size_t len);


#endif /* RESTYFFI_CONTRACT_H_INCLUDED */
