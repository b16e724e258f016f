/*
 * The host of the interpreter: a process has one at a time, in a library of
 * its own, which is mapped for the first runtime and unmapped after the last,
 * so that the next may be of another version.
 *
 * The host is a library, too (libresty_ffi_python_host.so), never unmapped and
 * never twice in a process, whatever loaders come and go.
 */

#ifndef HOST_H_INCLUDED
#define HOST_H_INCLUDED


#define HOST_API  __attribute__((visibility("default")))


/* One image of a loader; static in it. */
typedef struct {
    const char  *version;    /* of the Python that it runs: "3.11" */
    int          holds;      /* the host's: whether it keeps Python mapped */
} host_loader_t;


/*
 * Any thread; blocks.  A runtime's libffi_init(): starts the Python of that
 * version if none runs, in place of another one that is idle.
 */
HOST_API int host_load(host_loader_t *loader, char *cfg, void *tq);

/* Any thread; blocks.  A runtime's libffi_fini(). */
HOST_API void host_unload(void *tq);

/* Any thread; blocks.  A runtime's libffi_overdue(). */
HOST_API void host_overdue(void *tq, void *task);

/*
 * Any thread; blocks.  The loader is going to be unmapped.  Python goes when
 * no other loader holds it and it is safe; else it stays, idle, and the reason
 * is logged.
 */
HOST_API void host_close(host_loader_t *loader, void *tq);


#endif /* HOST_H_INCLUDED */
