/*
 * Threads for the test libraries: small, detached, without any clean-up, as
 * many libraries in the field are.
 */

#ifndef SERVE_H_INCLUDED
#define SERVE_H_INCLUDED


#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "ngx_http_lua_ffi.h"


typedef void (*handler_pt)(void *task, void *data);

typedef struct {
    void        *tq;
    handler_pt   handler;
    void        *data;
} poller_t;


/* Runs start(arg) on a new, detached thread; 0, or an errno. */
static inline int
start_thread(void *(*start)(void *), void *arg)
{
    int        rc;
    pthread_t  thread;

    rc = pthread_create(&thread, NULL, start, arg);
    if (rc == 0) {
        pthread_detach(thread);
    }

    return rc;
}


static inline void *
poll_tasks(void *arg)
{
    void      *task;
    poller_t  *poller = arg;

    while ((task = ngx_http_lua_ffi_task_poll(poller->tq)) != NULL) {
        poller->handler(task, poller->data);
    }

    free(poller);

    return NULL;
}


/* Starts a poller that hands each task to handler(); 0, or an errno. */
static inline int
serve(void *tq, handler_pt handler, void *data)
{
    poller_t  *poller;

    poller = malloc(sizeof(poller_t));
    poller->tq = tq;
    poller->handler = handler;
    poller->data = data;

    return start_thread(poll_tasks, poller);
}


/* Responds with a C string; NULL is nil. */
static inline void
answer(void *task, int rc, const char *text)
{
    ngx_http_lua_ffi_respond_copy(task, rc, text, text ? strlen(text) : 0);
}


static inline int
method_is(void *task, const char *name)
{
    return strcmp(ngx_http_lua_ffi_get_method(task, NULL), name) == 0;
}


#endif /* SERVE_H_INCLUDED */
