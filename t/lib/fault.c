/*
 * Preloaded into nginx: makes the calls of one object fail that may fail, for
 * want of memory, descriptors, threads or space.  t/lua/fault.lua arms it.
 *
 * A call is the object's when its code is the nearest on the stack, but for
 * libc, the dynamic linker, the C++ library, nginx and the Lua module,
 * which act on behalf of who calls them: strdup(), new and ngx_alloc() fail as
 * malloc() does.
 */

#define _GNU_SOURCE

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unwind.h>


enum {
    FAULT_MEMORY = 1,
    FAULT_SYSTEM = 2,
    FAULT_KEYS = 4
};


/* Calls the function of that name behind this one. */
#define REAL(name, ...)                                                       \
    ({                                                                        \
        static _Atomic(void *)  real;                                         \
                                                                              \
        if (atomic_load_explicit(&real, memory_order_relaxed) == NULL) {      \
            atomic_store(&real, dlsym(RTLD_NEXT, #name));                     \
        }                                                                     \
                                                                              \
        ((__typeof__(&name)) atomic_load(&real))(__VA_ARGS__);                \
    })


/* set before armed is */
static char         object[64];
static unsigned     kinds;
static long         first;
static long         last;

static atomic_int   armed;
static atomic_long  seen;

/* the unwinder may allocate memory, too */
static __thread int  inside __attribute__((tls_model("initial-exec")));


static const char *const  helpers[] = {
    "libfault.so", "libc.so", "ld-linux", "libasan.so", "libgcc_s.so",
    "libstdc++.so", "ngx_http_lua_module.so"
};


static int
begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}


/* Whether who called is known: the object's code or another's. */
static _Unwind_Reason_Code
look_at_frame(struct _Unwind_Context *context, void *data)
{
    size_t                  i;
    const char             *name, *slash;
    struct dl_find_object   found;

    if (_dl_find_object((void *) (_Unwind_GetIP(context) - 1), &found) != 0) {
        return _URC_END_OF_STACK;
    }

    name = found.dlfo_link_map->l_name;

    if (*name == '\0') {
        return _URC_NO_REASON;                      /* nginx */
    }

    slash = strrchr(name, '/');
    name = slash != NULL ? slash + 1 : name;

    for (i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++) {
        if (begins_with(name, helpers[i])) {
            return _URC_NO_REASON;
        }
    }

    *(int *) data = begins_with(name, object);

    return _URC_END_OF_STACK;
}


static int
fails(unsigned kind, int error)
{
    int   ours;
    long  n;

    if (!atomic_load(&armed) || !(kinds & kind) || inside) {
        return 0;
    }

    ours = 0;

    inside = 1;
    (void) _Unwind_Backtrace(look_at_frame, &ours);
    inside = 0;

    if (!ours) {
        return 0;
    }

    n = atomic_fetch_add(&seen, 1) + 1;

    if (n < first || n > last) {
        return 0;
    }

    errno = error;

    return 1;
}


/*
 * From now on the calls first to first + count - 1 fail that the object makes
 * whose file's name starts so.
 */
void
fault_arm(const char *name, unsigned which, long from, long count)
{
    strncpy(object, name, sizeof(object) - 1);
    kinds = which;
    first = from;
    last = from + count - 1;

    atomic_store(&seen, 0);
    atomic_store(&armed, 1);
}


/* Returns how many calls the object has made that may fail. */
long
fault_disarm(void)
{
    atomic_store(&armed, 0);

    return atomic_load(&seen);
}


void *
malloc(size_t size)
{
    return fails(FAULT_MEMORY, ENOMEM) ? NULL : REAL(malloc, size);
}


void *
calloc(size_t n, size_t size)
{
    return fails(FAULT_MEMORY, ENOMEM) ? NULL : REAL(calloc, n, size);
}


void *
realloc(void *p, size_t size)
{
    return fails(FAULT_MEMORY, ENOMEM) ? NULL : REAL(realloc, p, size);
}


void *
aligned_alloc(size_t alignment, size_t size)
{
    return fails(FAULT_MEMORY, ENOMEM) ? NULL
                                       : REAL(aligned_alloc, alignment, size);
}


int
posix_memalign(void **p, size_t alignment, size_t size)
{
    return fails(FAULT_MEMORY, ENOMEM) ? ENOMEM
                                       : REAL(posix_memalign, p, alignment,
                                              size);
}


void *
mmap(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    return fails(FAULT_MEMORY, ENOMEM) ? MAP_FAILED
                                       : REAL(mmap, address, size, protection,
                                              flags, fd, at);
}


int
pthread_create(pthread_t *thread, const pthread_attr_t *attr,
    void *(*start)(void *), void *arg)
{
    return fails(FAULT_SYSTEM, EAGAIN) ? EAGAIN
                                       : REAL(pthread_create, thread, attr,
                                              start, arg);
}


int
pthread_key_create(pthread_key_t *key, void (*destroy)(void *))
{
    return fails(FAULT_KEYS, EAGAIN) ? EAGAIN
                                     : REAL(pthread_key_create, key, destroy);
}


int
pthread_setspecific(pthread_key_t key, const void *value)
{
    return fails(FAULT_KEYS, ENOMEM) ? ENOMEM
                                     : REAL(pthread_setspecific, key, value);
}


int
eventfd(unsigned value, int flags)
{
    return fails(FAULT_SYSTEM, EMFILE) ? -1 : REAL(eventfd, value, flags);
}


int
epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return fails(FAULT_SYSTEM, ENOSPC) ? -1
                                       : REAL(epoll_ctl, epfd, op, fd, event);
}


int
memfd_create(const char *name, unsigned flags)
{
    return fails(FAULT_SYSTEM, EMFILE) ? -1 : REAL(memfd_create, name, flags);
}


int
open(const char *path, int flags, ...)
{
    int      mode;
    va_list  args;

    va_start(args, flags);
    mode = flags & (O_CREAT|O_TMPFILE) ? va_arg(args, int) : 0;
    va_end(args);

    return fails(FAULT_SYSTEM, EMFILE) ? -1 : REAL(open, path, flags, mode);
}


/* A call that makes a descriptor is one of those that may fail. */
int
fcntl(int fd, int command, ...)
{
    void     *arg;
    va_list   args;

    va_start(args, command);
    arg = va_arg(args, void *);
    va_end(args);

    return command == F_DUPFD_CLOEXEC && fails(FAULT_SYSTEM, EMFILE)
               ? -1 : REAL(fcntl, fd, command, arg);
}


DIR *
opendir(const char *path)
{
    return fails(FAULT_SYSTEM, EMFILE) ? NULL : REAL(opendir, path);
}


int
stat(const char *path, struct stat *st)
{
    return fails(FAULT_SYSTEM, EIO) ? -1 : REAL(stat, path, st);
}


int
fstat(int fd, struct stat *st)
{
    return fails(FAULT_SYSTEM, EIO) ? -1 : REAL(fstat, fd, st);
}


ssize_t
sendfile(int to, int from, off_t *at, size_t n)
{
    return fails(FAULT_SYSTEM, ENOSPC) ? -1 : REAL(sendfile, to, from, at, n);
}


/* Their names where file offsets are said to have 64 bits, as they always have. */
#define ALSO(name)                                                            \
    __asm__(".globl " #name "64\n.type " #name "64, @function\n"              \
            ".set " #name "64, " #name)

ALSO(fcntl);
ALSO(fstat);
ALSO(mmap);
ALSO(open);
ALSO(sendfile);
ALSO(stat);
