#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>


/* Of one call. */
#define CHUNK  (1 << 24)


static int
copy_all(int from, int to)
{
    ssize_t  n;

    do {
        n = sendfile(to, from, NULL, CHUNK);
    } while (n > 0 || (n == -1 && errno == EINTR));

    return n == 0 ? 0 : -1;
}


int
copy_file(const char *path)
{
    int  err, from, to;

    from = open(path, O_RDONLY|O_CLOEXEC);
    if (from == -1) {
        return -1;
    }

    to = memfd_create("resty-ffi", MFD_CLOEXEC);

    if (to != -1 && copy_all(from, to) != 0) {
        err = errno;
        (void) close(to);
        errno = err;
        to = -1;
    }

    err = errno;
    (void) close(from);
    errno = err;

    return to;
}
