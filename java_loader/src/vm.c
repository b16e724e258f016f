#include "vm.h"

#include "bridge.h"
#include "child.h"
#include "error.h"
#include "halt.h"
#include "libjvm.h"
#include "options.h"
#include "runtime.h"

#include <ngx_http_lua_ffi.h>

#include <limits.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define JAR         "resty-ffi.jar"

/* Of a message of the VM; a longer one is cut. */
#define SAID_MAX    2048

/* Of the thread that starts the VM. */
#define STACK_SIZE  (8 << 20)

/*
 * The signal that the VM suspends its threads with.  The one that it has by
 * default, SIGUSR2, is nginx's.
 */
#define SUSPEND     "_JAVA_SR_SIGNUM=52"


/* Without it names of files would be ASCII. */
#define LOCALE      "LC_ALL=C.UTF-8"


typedef enum {
    VM_NONE = 0,
    VM_STARTING,
    VM_RUNS,
    VM_DEAD             /* it cannot be started again */
} vm_state_t;


/* nginx ignores PIPE and needs CHLD. */
static const int        signals[] = { SIGCHLD, SIGPIPE, SIGXFSZ };

#define SIGNALS     (sizeof(signals) / sizeof(signals[0]))


static pthread_mutex_t  lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t   settled = PTHREAD_COND_INITIALIZER;

/* guarded by lock; the VM that runs does not change */
static vm_state_t       state;
static JavaVM          *running;
static char             why[VM_ERROR_MAX];

/*
 * 0: none starts the VM now.  Not a thread-local flag: the process ends when a
 * thread cannot have that.
 */
static _Atomic(pthread_t)  starter;

/* of the thread that starts the VM, until it has settled */
static char             jar[PATH_MAX];
static char             said[SAID_MAX];
static struct {
    char              **environment;
    char               *locale;
    struct sigaction    actions[SIGNALS];
}                       process;


static void
settle(vm_state_t outcome)
{
    pthread_mutex_lock(&lock);
    state = outcome;
    pthread_cond_broadcast(&settled);
    pthread_mutex_unlock(&lock);
}


static int
starts(void)
{
    return pthread_equal(atomic_load(&starter), pthread_self());
}


/* What the VM itself has to say; while it starts, the reason of a failure. */
static jint JNICALL
write_message(FILE *stream, const char *format, va_list args)
{
    int          len;
    char         text[SAID_MAX];
    size_t       used;
    static char  blank[] = "\r\n";

    len = vsnprintf(text, sizeof(text), format, args);
    used = strlen(said);

    if (starts() && len > 0) {
        snprintf(said + used, sizeof(said) - used, "%s", text);

    } else if (len > 0 && strspn(text, blank) < strlen(text)) {
        ngx_http_lua_ffi_log(NULL, NGX_HTTP_LUA_FFI_LOG_WARN, text,
                             strlen(text));
    }

    return len;
}


static void
fail_with_said(jint rc)
{
    char  *c;

    for (c = said; *c != '\0'; c++) {
        if (*c == '\n') {
            *c = ' ';
        }
    }

    while (c > said && c[-1] == ' ') {
        *--c = '\0';
    }

    snprintf(why, sizeof(why), "Java does not start: %s",
             said[0] != '\0' ? said
                             : rc == JNI_ENOMEM ? "no memory"
                                                : "it does not say why");
}


/* What is nginx's, and the VM would change.  Returns 0, or -1 without memory. */
static int
save_process(void)
{
    size_t  i;

    process.environment = environ;
    process.locale = strdup(setlocale(LC_ALL, NULL));

    for (i = 0; i < SIGNALS; i++) {
        (void) sigaction(signals[i], NULL, &process.actions[i]);
    }

    return process.locale != NULL ? 0 : -1;
}


static void
restore_process(void)
{
    size_t  i;

    for (i = 0; i < SIGNALS; i++) {
        (void) sigaction(signals[i], &process.actions[i], NULL);
    }

    /* for children that ended meanwhile */
    (void) kill(getpid(), SIGCHLD);

    if (process.locale != NULL) {
        (void) setlocale(LC_ALL, process.locale);
        free(process.locale);
    }

    /* ours is never freed: somebody may have found it */
    environ = process.environment;
}


/*
 * The VM gives up, which would end the worker.  While it starts the load can
 * fail instead; the thread must not return.
 */
static void JNICALL
keep_from_ending(void)
{
    if (!starts()) {
        return;
    }

    restore_process();
    fail_with_said(JNI_ERR);
    settle(VM_DEAD);

    for ( ;; ) {
        pause();
    }
}


/* What it says of memory, after "warning: ", is not for our hook. */
static void JNICALL
keep_from_aborting(void)
{
    size_t             used;
    static const char  cut[] = "warning: ";

    used = strlen(said);

    if (used < sizeof(cut)
        || strcmp(said + used - (sizeof(cut) - 1), cut) == 0)
    {
        snprintf(said, sizeof(said), "it aborts, as it does without the memory "
                 "for -Xms and -Xmx of JAVA_OPTS; hs_err_pid%d.log says more",
                 (int) getpid());
    }

    keep_from_ending();
}


static int
has_locale(void)
{
    return getenv("LC_ALL") != NULL || getenv("LC_CTYPE") != NULL
           || getenv("LANG") != NULL;
}


/*
 * setenv() would free what another thread may be reading: an environment of
 * our own takes the place of the old one while the VM starts.  Returns 0, or
 * -1 without memory.
 */
static int
extend_environment(void)
{
    char   **extended;
    size_t   n;

    for (n = 0; environ[n] != NULL; n++) { /* void */ }

    extended = calloc(n + 3, sizeof(char *));
    if (extended == NULL) {
        return -1;
    }

    memcpy(extended, environ, n * sizeof(char *));
    extended[n] = (char *) SUSPEND;

    if (!has_locale()) {
        extended[n + 1] = (char *) LOCALE;
    }

    environ = extended;

    return 0;
}


static jint
create_vm(const libjvm_t *libjvm, JNIEnv **env, JavaVMInitArgs *args)
{
    jint  rc;

    rc = save_process() == 0 && extend_environment() == 0
             ? libjvm->create(&running, (void **) env, args)
             : JNI_ENOMEM;

    if (rc == JNI_OK) {
        /* takes SIGCHLD when it is initialised: better now than later */
        (void) (**env)->FindClass(*env, "java/lang/ProcessImpl");
        (**env)->ExceptionClear(*env);
    }

    restore_process();

    return rc;
}


/* Returns the state that it comes to, with the reason in why[]. */
static vm_state_t
start(void)
{
    jint             rc;
    jsize            others;
    JNIEnv          *env;
    JavaVM          *other;
    libjvm_t         libjvm;
    JavaVMInitArgs  *args;

    if (libjvm_open(&libjvm, why, sizeof(why)) != 0) {
        return VM_NONE;
    }

    if (libjvm.created(&other, 1, &others) == JNI_OK && others > 0) {
        snprintf(why, sizeof(why), "another library has started Java in this "
                 "worker, which cannot run twice: reload nginx");
        return VM_NONE;
    }

    args = child_install() == 0
               ? options_create(jar, (void *) write_message,
                                (void *) keep_from_aborting,
                                (void *) keep_from_ending)
               : NULL;

    if (args == NULL) {
        snprintf(why, sizeof(why), "no memory for Java");
        return VM_NONE;
    }

    said[0] = '\0';
    rc = create_vm(&libjvm, &env, args);
    options_free(args);

    if (rc != JNI_OK) {
        fail_with_said(rc);
        return VM_NONE;
    }

    if (halt_forbid(env) != 0
        || bridge_register(env) != 0
        || runtime_install(env) != 0)
    {
        snprintf(why, sizeof(why), "Java does not start: ");
        error_text(env, why + strlen(why), sizeof(why) - strlen(why));
        (void) (*running)->DetachCurrentThread(running);
        return VM_DEAD;
    }

    (void) (*running)->DetachCurrentThread(running);

    return VM_RUNS;
}


static void *
start_thread(void *data)
{
    vm_state_t  outcome;

    atomic_store(&starter, pthread_self());
    outcome = start();
    atomic_store(&starter, 0);

    settle(outcome);

    return NULL;
}


/* Guarded by lock.  A thread of its own, as the VM makes it one of Java's. */
static void
start_on_thread(void)
{
    int             err;
    pthread_t       thread;
    pthread_attr_t  attr;

    state = VM_STARTING;

    (void) pthread_attr_init(&attr);
    (void) pthread_attr_setstacksize(&attr, STACK_SIZE);
    (void) pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);

    err = pthread_create(&thread, &attr, start_thread, NULL);
    (void) pthread_attr_destroy(&attr);

    if (err != 0) {
        snprintf(why, sizeof(why), "no thread for Java: %s", strerror(err));
        state = VM_NONE;
        return;
    }

    while (state == VM_STARTING) {
        pthread_cond_wait(&settled, &lock);
    }
}


/* Guarded by lock. */
static int
find_jar(const char *library)
{
    const char  *slash;

    slash = library != NULL ? strrchr(library, '/') : NULL;

    if (slash == NULL
        || snprintf(jar, sizeof(jar), "%.*s/" JAR, (int) (slash - library),
                    library) >= (int) sizeof(jar))
    {
        snprintf(why, sizeof(why), "cannot tell where the Java loader is");
        return -1;
    }

    if (access(jar, R_OK) != 0) {
        snprintf(why, sizeof(why), "no %s: install it beside the loader", jar);
        return -1;
    }

    return 0;
}


JavaVM *
vm_start(const char *library, char error[VM_ERROR_MAX])
{
    JavaVM  *vm;

    pthread_mutex_lock(&lock);

    while (state == VM_STARTING) {
        pthread_cond_wait(&settled, &lock);
    }

    if (state == VM_NONE && find_jar(library) == 0) {
        start_on_thread();
    }

    vm = state == VM_RUNS ? running : NULL;
    snprintf(error, VM_ERROR_MAX, "%s", why);

    pthread_mutex_unlock(&lock);

    return vm;
}


JavaVM *
vm_started(void)
{
    return running;
}
