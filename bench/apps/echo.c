/* Answers each request with itself. */

#include <pthread.h>
#include <stddef.h>

#include "ngx_http_lua_ffi.h"


static void *
serve(void *tq)
{
    void        *task;
    size_t       len;
    const char  *request;

    while ((task = ngx_http_lua_ffi_task_poll(tq)) != NULL) {
        request = ngx_http_lua_ffi_get_request(task, &len);
        ngx_http_lua_ffi_respond_copy(task, 0, request, len);
    }

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    pthread_t  thread;

    (void) cfg;

    if (pthread_create(&thread, NULL, serve, tq) != 0) {
        return 1;
    }

    return pthread_detach(thread);
}
