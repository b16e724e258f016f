/*
 * Polls many tasks at once, waiting 10 ms for the first.  Responds with how
 * many times the wait was in vain since libffi_init().
 */

#include <stdio.h>
#include "serve.h"


#define BATCH    16
#define WAIT_MS  10


static void *
poll_batches(void *tq)
{
    int            i, n;
    char           text[24];
    void          *tasks[BATCH];
    unsigned long  in_vain = 0;

    while ((n = ngx_http_lua_ffi_task_poll_many(tq, tasks, BATCH, WAIT_MS))
           != -1)
    {
        in_vain += (n == 0);
        snprintf(text, sizeof(text), "%lu", in_vain);

        for (i = 0; i < n; i++) {
            answer(tasks[i], 0, text);
        }
    }

    return NULL;
}


int
libffi_init(char *cfg, void *tq)
{
    return start_thread(poll_batches, tq);
}
