#include "ffi_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>


#define FFI_PROCESS_STEP  64


/* any thread */
ffi_process_threads_t *
ffi_process_threads(void)
{
    DIR                    *dir;
    pid_t                   tid;
    size_t                  size;
    struct dirent          *entry;
    ffi_process_threads_t  *threads, *more;

    dir = opendir("/proc/self/task");
    if (dir == NULL) {
        return NULL;
    }

    size = 0;
    threads = calloc(1, sizeof(ffi_process_threads_t));

    while (threads != NULL && (entry = readdir(dir)) != NULL) {
        tid = atoi(entry->d_name);

        if (tid <= 0) {
            continue;
        }

        if (threads->n == size) {
            size += FFI_PROCESS_STEP;

            more = realloc(threads, sizeof(ffi_process_threads_t)
                                    + size * sizeof(pid_t));
            if (more == NULL) {
                free(threads);
                threads = NULL;
                break;
            }

            threads = more;
        }

        threads->tids[threads->n++] = tid;
    }

    (void) closedir(dir);

    return threads;
}


/* any thread */
int
ffi_process_has(const ffi_process_threads_t *threads, pid_t tid)
{
    size_t  i;

    for (i = 0; i < threads->n; i++) {
        if (threads->tids[i] == tid) {
            return 1;
        }
    }

    return 0;
}


/* any thread */
int
ffi_process_gone(pid_t tid)
{
    return syscall(SYS_tgkill, getpid(), tid, 0) == -1 && errno == ESRCH;
}


/* any thread */
void
ffi_process_name(pid_t tid, char name[FFI_PROCESS_NAME_MAX])
{
    int      fd;
    char     path[64];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "/proc/self/task/%d/comm", (int) tid);

    n = 0;
    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, name, FFI_PROCESS_NAME_MAX);
        (void) close(fd);
    }

    /* the kernel ends it with a newline, which the NUL takes the place of */
    name[n > 0 ? n - 1 : 0] = '\0';
}
