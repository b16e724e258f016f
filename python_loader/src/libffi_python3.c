/*
 * libffi_python3.so, libffi_python3.X.so, libresty_ffi_python.so: what nginx
 * loads, and may unmap at any time.  All else is the host's.
 */

#include "host.h"

#include <ngx_http_lua_ffi.h>


#define LIBRARY_API  __attribute__((visibility("default")))


static host_loader_t  loader = { PYTHON_VERSION, 0 };


LIBRARY_API int
libffi_init(char *cfg, void *tq)
{
    return host_load(&loader, cfg, tq);
}


LIBRARY_API void
libffi_fini(void *tq)
{
    host_unload(tq);
}


LIBRARY_API void
libffi_overdue(void *tq, void *task)
{
    host_overdue(tq, task);
}


LIBRARY_API void
libffi_close(void *tq)
{
    host_close(&loader, tq);
}
