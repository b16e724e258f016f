#include "ffi_preempt.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>


typedef void (*ffi_preempt_handler_t)(int signo, siginfo_t *info,
    void *context);


/* guarded by lock; a handler that was added stays */
static ffi_preempt_handler_t  ffi_preempt_handlers[FFI_PREEMPT_MAX];
static atomic_uint            ffi_preempt_n;

static pthread_mutex_t        ffi_preempt_lock = PTHREAD_MUTEX_INITIALIZER;

/* this thread's: the handlers are being called; no lazy allocation of it, as
   signal handlers must not have any */
static _Thread_local int      ffi_preempt_inside
    __attribute__((tls_model("initial-exec")));


static int ffi_preempt_stays(ffi_preempt_handler_t handler);
static void ffi_preempt_handler(int signo, siginfo_t *info, void *context);


void
ffi_preempt_adopt(void)
{
    unsigned          n;
    struct sigaction  sa;

    pthread_mutex_lock(&ffi_preempt_lock);

    n = atomic_load_explicit(&ffi_preempt_n, memory_order_relaxed);

    if (n < FFI_PREEMPT_MAX
        && sigaction(SIGURG, NULL, &sa) == 0
        && (sa.sa_flags & SA_SIGINFO)
        && sa.sa_sigaction != ffi_preempt_handler
        && ffi_preempt_stays(sa.sa_sigaction))
    {
        ffi_preempt_handlers[n] = sa.sa_sigaction;

        /* release: pairs with the handler's load */
        atomic_store_explicit(&ffi_preempt_n, n + 1, memory_order_release);

        sa.sa_sigaction = ffi_preempt_handler;
        (void) sigaction(SIGURG, &sa, NULL);
    }

    pthread_mutex_unlock(&ffi_preempt_lock);
}


/* Whether it is in a library that is never unmapped, as those of Go. */
static int
ffi_preempt_stays(ffi_preempt_handler_t handler)
{
    Dl_info           info;
    ElfW(Dyn)        *entry;
    struct link_map  *map;

    if (dladdr1((void *) handler, &info, (void **) &map, RTLD_DL_LINKMAP) == 0)
    {
        return 0;
    }

    for (entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_FLAGS_1) {
            return (entry->d_un.d_val & DF_1_NODELETE) != 0;
        }
    }

    return 0;
}


/*
 * Any thread that Go started; a signal handler.  A library whose runtime has
 * not started yet passes the signal on to the handler that it found: this one.
 */
static void
ffi_preempt_handler(int signo, siginfo_t *info, void *context)
{
    unsigned  i, n;

    if (ffi_preempt_inside) {
        return;
    }

    ffi_preempt_inside = 1;

    n = atomic_load_explicit(&ffi_preempt_n, memory_order_acquire);

    for (i = 0; i < n; i++) {
        ffi_preempt_handlers[i](signo, info, context);
    }

    ffi_preempt_inside = 0;
}
