/*
 * The host of Node.js: a process starts it once, for its first runtime, and
 * never ends it.  Each runtime is an environment of its own in it.
 *
 * The host is a library (libresty_ffi_nodejs_host.so), never unmapped and
 * never twice in a process, whatever copies of the loader come and go.
 */

#ifndef HOST_H_INCLUDED
#define HOST_H_INCLUDED


#define HOST_API  __attribute__((visibility("default")))


#ifdef __cplusplus
extern "C" {
#endif


/*
 * The load thread; blocks until the module is loaded, or nginx has given it
 * up.  A runtime's libffi_init().
 */
HOST_API int host_load(const char *cfg, void *tq);

/*
 * Any thread; blocks until the runtime's thread has ended, some seconds at
 * most.  A runtime's libffi_fini().
 */
HOST_API void host_unload(void *tq);

/* Any thread.  A loader is going to be unmapped: says that Node.js stays. */
HOST_API void host_close(void *tq);


#ifdef __cplusplus
}
#endif


#endif /* HOST_H_INCLUDED */
