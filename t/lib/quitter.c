/*
 * A poller that ends by itself: rt:leave() after its response, rt:vanish()
 * without one, rt:hand_off() when another thread has taken the task over to
 * the gate.
 */

#include "gate.h"
#include "serve.h"


static void *
hold(void *task)
{
    char  text[256];

    close(gate_wait("handed off", text, sizeof(text)));
    answer(task, 0, text);

    return NULL;
}


static void *
poll_until_told(void *tq)
{
    void  *task;

    while ((task = ngx_http_lua_ffi_task_poll(tq)) != NULL) {

        if (method_is(task, "vanish")) {
            return NULL;
        }

        if (method_is(task, "hand_off")) {
            start_thread(hold, task);
            return NULL;
        }

        if (method_is(task, "leave")) {
            answer(task, 0, "left");
            return NULL;
        }

        answer(task, 0, "stayed");
    }

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    return start_thread(poll_until_told, tq);
}
