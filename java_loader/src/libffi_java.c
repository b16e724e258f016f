/*
 * libffi_java.so: what nginx loads.  Runs Java runtimes in the worker's one
 * Java VM.
 */

#include "runtime.h"
#include "vm.h"

#include <ngx_http_lua_ffi.h>

#include <string.h>


#define LIBRARY_API  __attribute__((visibility("default")))


LIBRARY_API int
libffi_init(char *cfg, void *tq)
{
    char     error[VM_ERROR_MAX];
    JavaVM  *vm;

    vm = vm_start(ngx_http_lua_ffi_library_path(tq), error);

    if (vm == NULL) {
        ngx_http_lua_ffi_set_error(tq, error, strlen(error));
        return -1;
    }

    return runtime_load(vm, cfg, tq);
}


LIBRARY_API void
libffi_fini(void *tq)
{
    runtime_unload(vm_started(), tq);
}


/*
 * Exported so that nginx does not wait for the VM's threads to end: they, and
 * this library, stay (it is linked so).
 */
LIBRARY_API void
libffi_close(void *tq)
{
}
