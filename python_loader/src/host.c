#include "host.h"

#include "embed.h"
#include "keys.h"
#include "objects.h"

#include <ngx_http_lua_ffi.h>

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define WHY_MAX  (OBJECTS_NAME_MAX + 512)

#define INTERPRETER_PREFIX  "interpreter-"
#define LIBPYTHON_PREFIX    "libpython3"


typedef struct {
    char            version[16];
    char            path[PATH_MAX];     /* "": there is none */
    void           *handle;
    const embed_t  *embed;
    objects_t      *before;             /* what was mapped already */
    keys_t          keys;
    unsigned        runtimes;
    unsigned        loaders;            /* that hold it */
} host_python_t;


/* held while Python starts and ends, and no longer */
static pthread_mutex_t  lock = PTHREAD_MUTEX_INITIALIZER;

/* guarded by lock; the embed of a runtime does not change */
static host_python_t    python;
static char             why[WHY_MAX];
static char             dead[WHY_MAX];  /* for good, if not "" */


/* Guarded by lock.  Text valid until the next call. */
__attribute__((format(printf, 1, 2)))
static const char *
host_why(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    (void) vsnprintf(why, WHY_MAX, format, args);
    va_end(args);

    return why;
}


/* The interpreter beside the loader. */
static const char *
host_path(const char *version, const char *library, char path[PATH_MAX])
{
    char         folder[PATH_MAX], real[PATH_MAX];
    const char  *slash;

    slash = library != NULL ? strrchr(library, '/') : NULL;

    if (slash == NULL || (size_t) (slash - library) >= sizeof(folder)) {
        return host_why("cannot tell where the Python loader is");
    }

    snprintf(folder, sizeof(folder), "%.*s", (int) (slash - library), library);

    if (realpath(folder, real) == NULL
        || snprintf(path, PATH_MAX, "%s/" INTERPRETER_PREFIX "%s.so", real,
                    version) >= PATH_MAX)
    {
        return host_why("no folder %s", folder);
    }

    return NULL;
}


/* Why an object would keep libpython mapped, or NULL. */
static const char *
host_object_keeps(const char *name)
{
    objects_facts_t  facts;

    if (strcmp(name, python.path) == 0) {
        return NULL;
    }

    if (!objects_inspect(name, &facts)) {
        return objects_is_mapped(name) ? host_why("no memory") : NULL;
    }

    if (facts.links_python && !facts.extension) {
        return host_why("%s uses libpython, too", name);
    }

    if (facts.extension && facts.nodelete) {
        return host_why("%s is linked to stay mapped (nodelete)", name);
    }

    if (facts.extension && facts.unique[0] != '\0') {
        return host_why("%s defines the unique symbol %s, and so stays mapped",
                        name, facts.unique);
    }

    return NULL;
}


static const char *
host_objects_keep(void)
{
    char         name[OBJECTS_NAME_MAX];
    size_t       n;
    const char  *reason;

    reason = NULL;

    for (n = 0; reason == NULL && objects_since(python.before, n, name); n++) {
        reason = host_object_keeps(name);
    }

    return reason;
}


/* Python does not close its extensions; some are built into libpython. */
static void
host_close_extensions(void)
{
    char    name[OBJECTS_NAME_MAX];
    size_t  n;

    for (n = 0; objects_extension(python.before, n, name); ) {
        if (!objects_begins(name, LIBPYTHON_PREFIX)) {
            objects_close(name);
        }

        /* one that goes may take others with it: the numbers are new */
        n = objects_is_mapped(name) ? n + 1 : 0;
    }
}


/*
 * Guarded by lock.  Whether nothing is left is known only now: NULL, or dead.
 * Needs no memory: it would be too late to be told that there is none.
 */
static const char *
host_unmap(void)
{
    char  left[OBJECTS_NAME_MAX];

    python.embed->end();
    host_close_extensions();
    python.embed->release();

    keys_mark(&python.keys);
    (void) dlclose(python.handle);
    keys_delete(&python.keys);

    if (objects_find(LIBPYTHON_PREFIX, left)
        || objects_extension(python.before, 0, left))
    {
        snprintf(dead, WHY_MAX, "Python %s has ended, but %s stays mapped: "
                 "reload nginx", python.version, left);
    }

    objects_free(python.before);

    python = (host_python_t) { 0 };

    return dead[0] != '\0' ? dead : NULL;
}


/* Guarded by lock.  Ends the Python that is idle: NULL, or why not. */
static const char *
host_end(void)
{
    const char  *reason;

    reason = python.embed->busy();

    if (reason == NULL) {
        reason = host_objects_keep();
    }

    return reason != NULL ? reason : host_unmap();
}


/* Guarded by lock. */
static const char *
host_make_room(void)
{
    char         path[PATH_MAX];
    const char  *reason;

    if (python.path[0] == '\0') {
        return NULL;
    }

    snprintf(path, sizeof(path), "%s", python.path);

    if (python.runtimes > 0 || python.loaders > 0) {
        return host_why("%s runs in this worker, and a worker has one Python "
                        "at a time: unload its runtimes, all loaded with "
                        "unpin = true, or reload nginx", path);
    }

    reason = host_end();
    if (reason == NULL || reason == dead) {
        return reason;
    }

    return host_why("%s cannot be replaced: %s; reload nginx", path,
                    strdupa(reason));
}


/*
 * Python's extensions would each bring the C++ library's unique symbols with
 * them, and stay mapped for these.
 */
static void
host_open_libstdcxx(void)
{
    (void) dlopen("libstdc++.so.6", RTLD_NOW|RTLD_GLOBAL);
}


/*
 * libffi, of ctypes, may open its own file and never close it: each copy would
 * leave a descriptor behind, so one stays.  Opened before Python, it binds to
 * nothing in libpython, which it would keep mapped.
 */
static void
host_open_libffi(void)
{
    (void) dlopen("libffi.so.8", RTLD_NOW|RTLD_LOCAL);
}


/*
 * A thread of its own: libpython's constructors may leave it thread-specific
 * data whose destructor is in libpython, which must be there when it ends.
 */
static void *
host_open(void *path)
{
    python.handle = dlopen(path, RTLD_NOW|RTLD_LOCAL);

    if (python.handle == NULL) {
        (void) host_why("%s", dlerror());
        return NULL;
    }

    python.embed = dlsym(python.handle, EMBED_SYMBOL);

    if (python.embed == NULL) {
        (void) host_why("%s is none of this resty-ffi: install its loaders "
                        "again", (char *) path);
        (void) dlclose(python.handle);
        python.handle = NULL;
        return NULL;
    }

    keys_find(&python.keys, LIBPYTHON_PREFIX);

    return NULL;
}


/* Guarded by lock. */
static const char *
host_map(const char *path)
{
    int         err;
    char        stranger[OBJECTS_NAME_MAX];
    objects_t  *objects;
    pthread_t   thread;

    host_open_libstdcxx();
    host_open_libffi();

    /* its functions would be taken for those of ours */
    if (objects_find(LIBPYTHON_PREFIX, stranger)) {
        return host_why("another library has brought %s into this worker: "
                        "load ffi_python3 without it", stranger);
    }

    objects = objects_list();
    if (objects == NULL) {
        return host_why("no memory");
    }

    err = pthread_create(&thread, NULL, host_open, (void *) path);

    if (err != 0) {
        (void) host_why("no thread for Python: %s", strerror(err));

    } else {
        (void) pthread_join(thread, NULL);
    }

    if (python.handle == NULL) {
        objects_free(objects);
        return why;
    }

    python.before = objects;
    snprintf(python.path, PATH_MAX, "%s", path);

    return NULL;
}


/* Guarded by lock.  Makes the loader's Python run: NULL, or why it does not. */
static const char *
host_start(host_loader_t *loader, const char *library)
{
    char         path[PATH_MAX];
    const char  *reason;

    if (dead[0] != '\0') {
        return dead;
    }

    reason = host_path(loader->version, library, path);

    if (reason != NULL || strcmp(path, python.path) == 0) {
        return reason;
    }

    reason = host_make_room();

    if (reason == NULL) {
        reason = host_map(path);
    }

    if (reason != NULL) {
        return reason;
    }

    snprintf(python.version, sizeof(python.version), "%s", loader->version);

    reason = python.embed->start(library);

    if (reason != NULL) {
        reason = host_why("%s", reason);
        (void) host_unmap();
    }

    return reason;
}


/* The embed of the Python that runs, with a runtime more, or NULL. */
static const embed_t *
host_enter(host_loader_t *loader, void *tq)
{
    const char     *reason;
    const embed_t  *embed;

    pthread_mutex_lock(&lock);

    reason = host_start(loader, ngx_http_lua_ffi_library_path(tq));

    if (reason == NULL) {
        python.runtimes++;
        python.loaders += !loader->holds;
        loader->holds = 1;

    } else {
        ngx_http_lua_ffi_set_error(tq, reason, strlen(reason));
    }

    embed = reason == NULL ? python.embed : NULL;

    pthread_mutex_unlock(&lock);

    return embed;
}


static void
host_leave(void)
{
    pthread_mutex_lock(&lock);
    python.runtimes--;
    pthread_mutex_unlock(&lock);
}


int
host_load(host_loader_t *loader, char *cfg, void *tq)
{
    int             rc;
    const embed_t  *embed;

    embed = host_enter(loader, tq);
    if (embed == NULL) {
        return -1;
    }

    rc = embed->load(cfg, tq);
    if (rc != 0) {
        host_leave();
    }

    return rc;
}


void
host_unload(void *tq)
{
    /* the runtime keeps it from changing */
    python.embed->unload(tq);
    host_leave();
}


void
host_overdue(void *tq, void *task)
{
    /* as above */
    python.embed->overdue(tq, task);
}


void
host_close(host_loader_t *loader, void *tq)
{
    char         text[WHY_MAX + 128];
    const char  *reason;

    pthread_mutex_lock(&lock);

    reason = NULL;

    if (loader->holds) {
        loader->holds = 0;
        python.loaders--;

        if (python.loaders == 0 && python.runtimes == 0) {
            reason = host_end();
        }
    }

    if (reason == dead) {
        snprintf(text, sizeof(text), "%s", dead);

    } else if (reason != NULL) {
        snprintf(text, sizeof(text), "Python %s stays mapped: %s",
                 python.version, reason);
    }

    if (reason != NULL) {
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_WARN, text,
                             strlen(text));
    }

    pthread_mutex_unlock(&lock);
}
