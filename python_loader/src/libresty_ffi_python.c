/*
 * libresty_ffi_python.so: an older name of libffi_python3.so.  libffi_init and
 * libffi_fini are found there, where this library depends on it.
 */

#include <ngx_http_lua_ffi.h>


/* Linkers drop a dependency that nothing is needed of. */
__attribute__((used))
static int  (*const dependency)(char *cfg, void *tq) = libffi_init;
