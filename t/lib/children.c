/* Runs its request in a shell and responds with the exit status it saw. */

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include "serve.h"


static void *
run(void *task)
{
    int    rc, status;
    char   text[64];
    char  *argv[] = { "sh", "-c", ngx_http_lua_ffi_get_req(task, NULL), NULL };
    pid_t  pid;

    rc = posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, NULL);

    if (rc == 0 && waitpid(pid, &status, 0) == pid) {
        snprintf(text, sizeof(text), "%d", WEXITSTATUS(status));

    } else {
        snprintf(text, sizeof(text), "%s", strerror(rc ? rc : errno));
    }

    answer(task, 0, text);

    return NULL;
}


static void
start_run(void *task, void *data)
{
    start_thread(run, task);
}


int
libffi_init(char *cfg, void *tq)
{
    return serve(tq, start_run, NULL);
}
