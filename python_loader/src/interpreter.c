#include "python_system.h"

#include "interpreter.h"

#include "bridge.h"
#include "error.h"
#include "executable.h"
#include "memory.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define FAILURE_MAX  (EXECUTABLE_MAX + 512)


static pthread_t       owner;
static bool            owned;

/* the owner thread's, and then of the one that waits for it */
static const char     *library;
static char            executable[EXECUTABLE_MAX];
static char            failure[FAILURE_MAX];
static PyThreadState  *state;            /* NULL: not initialised */
static void           *libpython;

static sem_t           started;
static sem_t           ending;

/* set once, in a child process, by its only thread */
static bool            forked;


/*
 * An isolated interpreter does not look at PYTHONPATH.
 *
 * The package comes from beside the loader when it is installed, as another
 * environment's copy may be of another version; else from the search path.  In
 * the first case nothing in PYTHONPATH can get in its way.
 */
static const char  bootstrap[] =
    "import importlib.machinery\n"
    "import importlib.util\n"
    "import os\n"
    "import sys\n"
    "\n"
    "folders = filter(None, os.environ.get('PYTHONPATH', '').split(':'))\n"
    "folders = [*map(os.path.abspath, folders)]\n"
    "spec = None\n"
    "\n"
    "package = os.path.dirname(os.path.dirname(library))\n"
    "if os.path.basename(package) == 'resty_ffi':\n"
    "    spec = importlib.machinery.PathFinder.find_spec(\n"
    "        'resty_ffi', [os.path.dirname(package)])\n"
    "if spec is not None and spec.loader is not None:\n"
    "    module = importlib.util.module_from_spec(spec)\n"
    "    sys.modules['resty_ffi'] = module\n"
    "    spec.loader.exec_module(module)\n"
    "    import resty_ffi._runtime\n"
    "    sys.path[:0] = folders\n"
    "else:\n"
    "    sys.path[:0] = folders\n"
    "    import resty_ffi._runtime\n"
    "\n"
    "resty_ffi._runtime.install()\n";


/* Extension modules do not link libpython: they look for it globally. */
static int
make_libpython_global(void)
{
    Dl_info  info;

    if (dladdr((void *) (uintptr_t) Py_InitializeFromConfig, &info) != 0) {
        libpython = dlopen(info.dli_fname, RTLD_NOW|RTLD_GLOBAL|RTLD_NOLOAD);
    }

    return libpython != NULL ? 0 : -1;
}


/*
 * In a child process, before anything else runs there.  It has the mask of the
 * thread that forked it, with all of nginx's signals blocked, and nginx's
 * handlers, which set flags that nobody looks at: neither TERM nor INT would
 * end it.
 */
static void
become_child(void)
{
    int               number;
    sigset_t          set;
    struct sigaction  action;

    forked = true;

    for (number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) == 0
            && action.sa_handler != SIG_IGN)
        {
            (void) signal(number, SIG_DFL);
        }
    }

    sigemptyset(&set);
    (void) pthread_sigmask(SIG_SETMASK, &set, NULL);
}


/*
 * numpy's OpenBLAS starts a thread for each core when it is imported, which
 * lives as long as it is mapped: Python could never be unmapped.  As many
 * workers as cores would get in each other's way with them anyway.
 */
static void
limit_openblas(void)
{
    (void) setenv("OPENBLAS_NUM_THREADS", "1", 0);
}


static PyStatus
initialise(void)
{
    PyStatus     status;
    PyConfig     config;
    PyPreConfig  preconfig;

    /* nginx's locale is "C": without UTF-8 mode text would be ASCII. */
    PyPreConfig_InitIsolatedConfig(&preconfig);
    preconfig.utf8_mode = 1;

    status = Py_PreInitialize(&preconfig);
    if (PyStatus_Exception(status)) {
        return status;
    }

    PyConfig_InitIsolatedConfig(&config);
    config.install_signal_handlers = 0;

    status = PyConfig_SetBytesString(&config, &config.executable,
                                     executable);

    /* 3.8 to 3.10 find the prefix from this one. */
    if (!PyStatus_Exception(status)) {
        status = PyConfig_SetBytesString(&config, &config.program_name,
                                         executable);
    }

    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }

    PyConfig_Clear(&config);

    return status;
}


/* Holds the GIL. */
static int
run_bootstrap(void)
{
    PyObject  *globals, *result;

    globals = Py_BuildValue("{s:O,s:s}", "__builtins__", PyEval_GetBuiltins(),
                            "library", library);
    if (globals == NULL) {
        return -1;
    }

    result = PyRun_String(bootstrap, Py_file_input, globals, globals);

    Py_DECREF(globals);
    Py_XDECREF(result);

    return result != NULL ? 0 : -1;
}


static void
start(void)
{
    PyStatus  status;

    limit_openblas();

    if (make_libpython_global() != 0
        || pthread_atfork(NULL, NULL, become_child) != 0
        || memory_install() != 0
        || bridge_register() != 0)
    {
        snprintf(failure, FAILURE_MAX, "no memory for Python");
        return;
    }

    status = initialise();

    if (PyStatus_Exception(status)) {
        snprintf(failure, FAILURE_MAX, "Python (%s) does not start: %s",
                 executable, status.err_msg ? status.err_msg : "it exits");
        return;
    }

    if (run_bootstrap() != 0) {
        error_text(failure, FAILURE_MAX);
    }

    state = PyEval_SaveThread();
}


/*
 * Before 3.9 os.environ hands Python's own memory to putenv(), which would be
 * left in the environment.  A copy for each end of such a Python stays.
 */
static void
keep_environment(void)
{
#if PY_VERSION_HEX < 0x03090000
    char  **variable, *copy;

    for (variable = environ; *variable != NULL; variable++) {
        copy = strdup(*variable);

        if (copy != NULL) {
            *variable = copy;
        }
    }
#endif
}


static void
wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0) { /* interrupted */ }
}


static void *
own(void *data)
{
    start();
    sem_post(&started);

    wait_for(&ending);

    if (state != NULL) {
        keep_environment();
        PyEval_RestoreThread(state);
        (void) Py_FinalizeEx();
    }

    return NULL;
}


const char *
interpreter_start(const char *path)
{
    int  err;

    library = path;

    if (executable_find(library, executable, failure, FAILURE_MAX) != 0) {
        return failure;
    }

    sem_init(&started, 0, 0);
    sem_init(&ending, 0, 0);

    err = pthread_create(&owner, NULL, own, NULL);

    if (err != 0) {
        snprintf(failure, FAILURE_MAX, "no thread for Python: %s",
                 strerror(err));
        return failure;
    }

    owned = true;
    (void) pthread_setname_np(owner, "ffi-python");

    wait_for(&started);

    return failure[0] != '\0' ? failure : NULL;
}


void
interpreter_end_child(int status)
{
    if (forked) {
        _exit(status);
    }
}


void
interpreter_end(void)
{
    if (owned) {
        sem_post(&ending);
        (void) pthread_join(owner, NULL);
    }

    if (libpython != NULL) {
        (void) dlclose(libpython);
    }
}
