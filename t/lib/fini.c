/*
 * Joins its poller in libffi_fini(), which the test holds at the gate when
 * there is a cfg.  One runtime at a time.
 */

#include "gate.h"
#include "serve.h"


static int        held;
static pthread_t  poller;


static void *
poll_queue(void *tq)
{
    void  *task;

    while ((task = ngx_http_lua_ffi_task_poll(tq)) != NULL) {
        answer(task, 0, "served");
    }

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    held = cfg != NULL;

    return pthread_create(&poller, NULL, poll_queue, tq);
}


void
libffi_fini(void *tq)
{
    char  text[256];

    pthread_join(poller, NULL);

    if (held) {
        close(gate_wait("fini", text, sizeof(text)));
    }
}
