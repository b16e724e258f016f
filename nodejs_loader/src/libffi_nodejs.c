/*
 * libffi_nodejs.so: what nginx loads, and may unmap at any time.  All else is
 * the host's.
 */

#include "host.h"

#include <ngx_http_lua_ffi.h>


#define LIBRARY_API  __attribute__((visibility("default")))


LIBRARY_API int
libffi_init(char *cfg, void *tq)
{
    return host_load(cfg, tq);
}


LIBRARY_API void
libffi_fini(void *tq)
{
    host_unload(tq);
}


LIBRARY_API void
libffi_close(void *tq)
{
    host_close(tq);
}
