/*
 * Responds with what happens on each signal of its request, numbers with
 * blanks between: a line each with the handler's address, the flags and the
 * signals that it blocks.
 */

#include <signal.h>
#include <stdio.h>
#include "serve.h"


static int
describe(int signo, char *text, size_t size)
{
    int               i;
    uint64_t          blocked = 0;
    struct sigaction  sa;

    if (sigaction(signo, NULL, &sa) == -1) {
        return snprintf(text, size, "%d: none\n", signo);
    }

    for (i = 1; i < 65; i++) {
        blocked |= (uint64_t) (sigismember(&sa.sa_mask, i) == 1) << (i - 1);
    }

    return snprintf(text, size, "%d %p %x %llx\n", signo,
                    (void *) sa.sa_sigaction, (unsigned) sa.sa_flags,
                    (unsigned long long) blocked);
}


static void
list(void *task, void *data)
{
    char   text[4096], *p = text, *request, *end;
    long   signo;

    request = ngx_http_lua_ffi_get_req(task, NULL);

    while ((signo = strtol(request, &end, 10)) != 0) {
        p += describe(signo, p, text + sizeof(text) - p);
        request = end;
    }

    answer(task, 0, text);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, list, NULL);
}
