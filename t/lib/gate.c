/*
 * Holds each call at the gate, under the name that is its request, and
 * responds with what the test answers there; "done" is said after that.
 *
 * rt:wait(name) holds a thread of the call's own, rt:block(name) the poller;
 * rt:watch(name), once let go, waits until it is abandoned before it responds.
 */

#include "gate.h"
#include "serve.h"


#define WATCH_US  1000


static void *
hold(void *task)
{
    int   fd, watch;
    char  text[256];

    watch = method_is(task, "watch");
    fd = gate_wait(ngx_http_lua_ffi_get_req(task, NULL), text, sizeof(text));

    while (watch && !ngx_http_lua_ffi_is_abandoned(task)) {
        usleep(WATCH_US);
    }

    answer(task, 0, text);

    gate_say(fd, "done");
    close(fd);

    return NULL;
}


static void
dispatch(void *task, void *data)
{
    if (method_is(task, "block")) {
        hold(task);

    } else {
        start_thread(hold, task);
    }
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, dispatch, NULL);
}
