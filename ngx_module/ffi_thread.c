#include "ffi_thread.h"

#include "ffi_done.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>


/* What threads that libraries start are called, unless they say otherwise. */
#define FFI_THREAD_PREFIX    "ffi-"

/* How often a thread on its way out is looked at. */
#define FFI_THREAD_PROBE_NS  1000000


/*
 * One thread on one queue.  Freed when both are gone; see ffi_member_drop().
 * All guarded by ffi_threads_lock.
 */
struct ffi_member_s {
    ffi_queue_t              *queue;         /* NULL: forgotten */
    ffi_member_t             *queue_next;
    ffi_member_t             *thread_next;
    pid_t                     tid;
    unsigned                  polled:1;
    unsigned                  told:1;
    unsigned                  ended:1;
    unsigned                  started:1;     /* never on a thread's own list */
};


typedef struct {
    ffi_spin_t                spin;
    void                     *handle;        /* of the last queue noted */
    unsigned                  polled:1;
    unsigned                  loads:1;
    ffi_member_t             *members;
} ffi_thread_t;


static __thread ffi_thread_t  ffi_thread;

/* names the threads of each load apart */
static atomic_uint            ffi_thread_number;

static pthread_key_t          ffi_thread_key;
static pthread_mutex_t        ffi_threads_lock = PTHREAD_MUTEX_INITIALIZER;


static void ffi_thread_end(void *data);
static ffi_member_t *ffi_member_get(ffi_queue_t *queue);
static ffi_member_t *ffi_member_add(ffi_queue_t *queue);
static void ffi_thread_note(ffi_queue_t *queue, void *handle, unsigned polls);
static void ffi_thread_prune(void);
static void ffi_queue_prune(ffi_queue_t *queue);
static void ffi_thread_name(unsigned number, char name[FFI_PROCESS_NAME_MAX]);
static void ffi_thread_note_started(ffi_queue_t *queue, pid_t tid);
static int ffi_thread_has_prefix(const char *name);
static int ffi_thread_left(ffi_queue_t *queue);
static int ffi_thread_named(ffi_queue_t *queue);


int
ffi_thread_init(void)
{
    int  err;

    err = pthread_key_create(&ffi_thread_key, ffi_thread_end);
    if (err != 0) {
        errno = err;
        return -1;
    }

    return 0;
}


int
ffi_thread_create(pthread_t *thread, void *(*start)(void *), void *data)
{
    int        err;
    sigset_t   set, old;

    /*
     * The threads that a library starts inherit this mask: signals that
     * nginx handles are for its event loop alone.  What a thread does to
     * itself cannot be blocked usefully, and Go interrupts its own threads
     * with SIGURG: a loop without calls would stop the world for good.
     */
    sigfillset(&set);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    sigdelset(&set, SIGURG);

    (void) pthread_sigmask(SIG_SETMASK, &set, &old);
    err = pthread_create(thread, NULL, start, data);
    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    return err;
}


ffi_spin_t *
ffi_thread_spin(void)
{
    return &ffi_thread.spin;
}


/* a library's thread, when it ends */
static void
ffi_thread_end(void *data)
{
    ffi_thread_t  *thread = data;
    ffi_member_t  *m, *next;

    pthread_mutex_lock(&ffi_threads_lock);

    for (m = thread->members; m != NULL; m = next) {
        next = m->thread_next;

        if (m->queue == NULL) {
            free(m);

        } else {
            m->ended = 1;
        }
    }

    pthread_mutex_unlock(&ffi_threads_lock);

    thread->members = NULL;
    thread->handle = NULL;

    ffi_done_kick();
}


/* guarded by ffi_threads_lock; drops what this thread did on queues now gone */
static void
ffi_thread_prune(void)
{
    ffi_member_t  *m, **last;

    last = &ffi_thread.members;

    while ((m = *last) != NULL) {
        if (m->queue == NULL) {
            *last = m->thread_next;
            free(m);

        } else {
            last = &m->thread_next;
        }
    }
}


/*
 * guarded by ffi_threads_lock; drops threads that are gone for good, but for
 * one that tells that the queue was ever polled
 */
static void
ffi_queue_prune(ffi_queue_t *queue)
{
    unsigned       polled;
    ffi_member_t  *m, **last;

    polled = 0;
    last = &ffi_queue_crew(queue)->members;

    while ((m = *last) != NULL) {
        if (m->ended && (polled || !m->polled) && ffi_process_gone(m->tid)) {
            *last = m->queue_next;
            free(m);

        } else {
            polled |= m->polled;
            last = &m->queue_next;
        }
    }
}


/* guarded by ffi_threads_lock */
static ffi_member_t *
ffi_member_get(ffi_queue_t *queue)
{
    ffi_member_t  *m;

    for (m = ffi_thread.members; m != NULL; m = m->thread_next) {
        if (m->queue == queue) {
            return m;
        }
    }

    return NULL;
}


/* guarded by ffi_threads_lock */
static ffi_member_t *
ffi_member_add(ffi_queue_t *queue)
{
    ffi_member_t  *m, **members;

    ffi_thread_prune();
    ffi_queue_prune(queue);

    if (pthread_setspecific(ffi_thread_key, &ffi_thread) != 0) {
        return NULL;
    }

    m = calloc(1, sizeof(ffi_member_t));
    if (m == NULL) {
        return NULL;
    }

    members = &ffi_queue_crew(queue)->members;

    m->queue = queue;
    m->tid = syscall(SYS_gettid);
    m->queue_next = *members;
    m->thread_next = ffi_thread.members;

    *members = m;
    ffi_thread.members = m;

    return m;
}


/* any thread */
static void
ffi_thread_note(ffi_queue_t *queue, void *handle, unsigned polls)
{
    ffi_member_t  *m;

    if (ffi_thread.handle == handle && ffi_thread.polled >= polls) {
        return;
    }

    pthread_mutex_lock(&ffi_threads_lock);

    /* destroyed meanwhile: its crew is forgotten, or about to be */
    if (ffi_queue_handle(queue) != handle) {
        pthread_mutex_unlock(&ffi_threads_lock);
        return;
    }

    m = ffi_member_get(queue);
    if (m == NULL) {
        m = ffi_member_add(queue);
    }

    if (m != NULL) {
        m->polled |= polls;

        ffi_thread.handle = handle;
        ffi_thread.polled = m->polled;

    } else {
        ffi_queue_crew(queue)->untracked++;
    }

    pthread_mutex_unlock(&ffi_threads_lock);
}


/* any thread */
void
ffi_thread_polls(ffi_queue_t *queue, void *handle)
{
    /* a load that looks whether it was given up is nobody to rely on */
    if (!ffi_thread.loads) {
        ffi_thread_note(queue, handle, 1);
    }
}


/* any thread */
void
ffi_thread_responds(ffi_queue_t *queue, void *handle)
{
    ffi_thread_note(queue, handle, 0);
}


/* any thread */
void
ffi_thread_told(ffi_queue_t *queue)
{
    unsigned       first;
    ffi_crew_t    *crew;
    ffi_member_t  *m;

    pthread_mutex_lock(&ffi_threads_lock);

    crew = ffi_queue_crew(queue);
    m = ffi_member_get(queue);

    /* one that could not be noted asks once, as a rule */
    first = m != NULL ? !m->told : !crew->told;
    crew->told = 1;

    if (m != NULL) {
        m->told = 1;
    }

    pthread_mutex_unlock(&ffi_threads_lock);

    if (first) {
        ffi_done_kick();
    }
}


static void
ffi_thread_name(unsigned number, char name[FFI_PROCESS_NAME_MAX])
{
    (void) snprintf(name, FFI_PROCESS_NAME_MAX, FFI_THREAD_PREFIX "%u",
                    number);
}


/* load thread */
ffi_process_threads_t *
ffi_thread_begin(ffi_queue_t *queue)
{
    char         name[FFI_PROCESS_NAME_MAX];
    ffi_crew_t  *crew;

    ffi_thread.loads = 1;

    crew = ffi_queue_crew(queue);
    crew->number = atomic_fetch_add(&ffi_thread_number, 1) + 1;

    ffi_thread_name(crew->number, name);
    (void) pthread_setname_np(pthread_self(), name);

    return ffi_process_threads();
}


/* load thread */
static void
ffi_thread_note_started(ffi_queue_t *queue, pid_t tid)
{
    ffi_crew_t    *crew;
    ffi_member_t  *m;

    crew = ffi_queue_crew(queue);
    m = calloc(1, sizeof(ffi_member_t));

    pthread_mutex_lock(&ffi_threads_lock);

    if (m == NULL) {
        crew->untracked++;

    } else {
        m->queue = queue;
        m->tid = tid;
        m->started = 1;
        m->queue_next = crew->members;
        crew->members = m;
    }

    pthread_mutex_unlock(&ffi_threads_lock);
}


static int
ffi_thread_has_prefix(const char *name)
{
    return strncmp(name, FFI_THREAD_PREFIX, sizeof(FFI_THREAD_PREFIX) - 1) == 0;
}


/* load thread */
void
ffi_thread_started(ffi_queue_t *queue, ffi_process_threads_t *before)
{
    size_t                  i;
    pid_t                   tid;
    char                    ours[FFI_PROCESS_NAME_MAX];
    char                    name[FFI_PROCESS_NAME_MAX];
    ffi_process_threads_t  *now;

    now = ffi_process_threads();

    if (before == NULL || now == NULL) {
        pthread_mutex_lock(&ffi_threads_lock);
        ffi_queue_crew(queue)->untracked++;
        pthread_mutex_unlock(&ffi_threads_lock);
        goto done;
    }

    ffi_thread_name(ffi_queue_crew(queue)->number, ours);

    for (i = 0; i < now->n; i++) {
        tid = now->tids[i];

        if (ffi_process_has(before, tid)) {
            continue;
        }

        ffi_process_name(tid, name);

        /* not what another library started meanwhile, as far as it shows */
        if (strcmp(name, ours) == 0
            || (*name != '\0' && !ffi_thread_has_prefix(name)))
        {
            ffi_thread_note_started(queue, tid);
        }
    }

done:

    free(before);
    free(now);
}


void
ffi_thread_count(ffi_queue_t *queue, ffi_thread_census_t *census)
{
    ffi_member_t  *m;

    *census = (ffi_thread_census_t) { 0 };

    pthread_mutex_lock(&ffi_threads_lock);

    census->told = ffi_queue_crew(queue)->told;
    census->untracked = ffi_queue_crew(queue)->untracked;

    for (m = ffi_queue_crew(queue)->members; m != NULL; m = m->queue_next) {
        if (m->started) {
            continue;
        }

        census->polled += m->polled;
        census->alive += !m->ended;
        census->pollers += m->polled && !m->told && !m->ended;
    }

    pthread_mutex_unlock(&ffi_threads_lock);
}


int
ffi_thread_seen(ffi_queue_t *queue, int tid)
{
    ffi_member_t  *m;

    pthread_mutex_lock(&ffi_threads_lock);

    for (m = ffi_queue_crew(queue)->members; m != NULL; m = m->queue_next) {
        if (m->tid == tid) {
            break;
        }
    }

    pthread_mutex_unlock(&ffi_threads_lock);

    return m != NULL;
}


int
ffi_thread_may_belong(ffi_queue_t *queue, int tid)
{
    char  ours[FFI_PROCESS_NAME_MAX];
    char  name[FFI_PROCESS_NAME_MAX];

    ffi_thread_name(ffi_queue_crew(queue)->number, ours);
    ffi_process_name(tid, name);

    return strcmp(name, ours) == 0 || !ffi_thread_has_prefix(name);
}


/*
 * guarded by ffi_threads_lock; whether a thread of the queue is left, or -1
 * when nobody will ever know
 */
static int
ffi_thread_left(ffi_queue_t *queue)
{
    ffi_member_t  *m;

    if (ffi_queue_crew(queue)->untracked) {
        return -1;
    }

    for (m = ffi_queue_crew(queue)->members; m != NULL; m = m->queue_next) {
        if (!ffi_process_gone(m->tid)) {
            return 1;
        }
    }

    return 0;
}


/*
 * load thread, unload thread; whether a thread bears the queue's name: one
 * that a thread of the library started, and that never called us
 */
static int
ffi_thread_named(ffi_queue_t *queue)
{
    int                     found;
    size_t                  i;
    char                    ours[FFI_PROCESS_NAME_MAX];
    char                    name[FFI_PROCESS_NAME_MAX];
    ffi_process_threads_t  *threads;

    threads = ffi_process_threads();
    if (threads == NULL) {
        return 1;
    }

    ffi_thread_name(ffi_queue_crew(queue)->number, ours);
    found = 0;

    for (i = 0; i < threads->n && !found; i++) {
        ffi_process_name(threads->tids[i], name);
        found = (strcmp(name, ours) == 0);
    }

    free(threads);

    return found;
}


/* any thread */
int
ffi_thread_wait_gone(ffi_queue_t *queue, int timeout_ms)
{
    int              left;
    int64_t          end;
    struct timespec  pause = { 0, FFI_THREAD_PROBE_NS };

    end = ffi_spin_clock() + timeout_ms * INT64_C(1000000);

    for ( ;; ) {
        pthread_mutex_lock(&ffi_threads_lock);
        left = ffi_thread_left(queue);
        pthread_mutex_unlock(&ffi_threads_lock);

        if (!left && !ffi_thread_named(queue)) {
            return 1;
        }

        if (left == -1 || ffi_spin_clock() >= end) {
            return 0;
        }

        (void) nanosleep(&pause, NULL);
    }
}


void
ffi_thread_forget(ffi_queue_t *queue)
{
    ffi_member_t  *m, *next, **members;

    pthread_mutex_lock(&ffi_threads_lock);

    members = &ffi_queue_crew(queue)->members;

    for (m = *members; m != NULL; m = next) {
        next = m->queue_next;

        if (m->ended || m->started) {
            free(m);

        } else {
            m->queue = NULL;
        }
    }

    *members = NULL;

    pthread_mutex_unlock(&ffi_threads_lock);
}
