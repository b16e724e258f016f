/*
 * libffi_python3.so: runs Python.  What the contract asks of a library; the
 * runtimes themselves are Python (resty_ffi/_runtime.py).
 */

#include "python_system.h"

#include "error.h"
#include "interpreter.h"

#include <ngx_http_lua_ffi.h>

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>


#define LIBRARY_API  __attribute__((visibility("default")))

#define LIBRARY_FILE  "libffi_python3.so"

#define ERROR_MAX    512


static void
set_error(void *tq, const char *message)
{
    ngx_http_lua_ffi_set_error(tq, message, strlen(message));
}


/* Holds the GIL.  The result of resty_ffi._runtime.<name>(), or NULL. */
static PyObject *
call_runtime(const char *name, PyObject *args)
{
    PyObject  *function, *module, *result;

    function = NULL;
    result = NULL;

    module = PyImport_ImportModule("resty_ffi._runtime");

    if (module != NULL) {
        function = PyObject_GetAttrString(module, name);
    }

    if (function != NULL && args != NULL) {
        result = PyObject_CallObject(function, args);
    }

    Py_XDECREF(module);
    Py_XDECREF(function);
    Py_XDECREF(args);

    return result;
}


/* Holds the GIL. */
static int
load(char *cfg, void *tq)
{
    char         text[ERROR_MAX];
    PyObject    *why;
    const char  *message;

    why = call_runtime("load", Py_BuildValue("KyK",
                                   (unsigned long long) (uintptr_t) tq, cfg,
                                   (unsigned long long) (uintptr_t) cfg));

    if (why == Py_None) {
        Py_DECREF(why);
        return 0;
    }

    message = why != NULL ? PyBytes_AsString(why) : NULL;

    if (message == NULL) {
        error_text(text, sizeof(text));
        message = text;
    }

    set_error(tq, message);
    Py_XDECREF(why);

    return -1;
}


/*
 * nginx may open private copies of this library, at the same time even, but a
 * process has one interpreter: they all hand over to the image of the file
 * itself.  A function of that image, or NULL when this is all there is.
 */
static void *
original(void *tq, const char *function)
{
    char         path[PATH_MAX];
    void        *handle;
    const char  *library, *slash;

    library = ngx_http_lua_ffi_library_path(tq);
    slash = library != NULL ? strrchr(library, '/') : NULL;

    if (slash == NULL
        || snprintf(path, sizeof(path), "%.*s/" LIBRARY_FILE,
                    (int) (slash - library), library) >= (int) sizeof(path))
    {
        return NULL;
    }

    /* Never closed: it is not unmapped anyway. */
    handle = dlopen(path, RTLD_NOW);

    return handle != NULL ? dlsym(handle, function) : NULL;
}


LIBRARY_API int
libffi_init(char *cfg, void *tq)
{
    int               rc;
    int             (*init)(char *, void *);
    const char       *failure, *library;
    PyGILState_STATE  gil;

    *(void **) &init = original(tq, "libffi_init");

    if (init != NULL && init != libffi_init) {
        return init(cfg, tq);
    }

    library = ngx_http_lua_ffi_library_path(tq);

    failure = interpreter_start(library != NULL ? library : "");
    if (failure != NULL) {
        set_error(tq, failure);
        return -1;
    }

    gil = PyGILState_Ensure();
    rc = load(cfg, tq);
    PyGILState_Release(gil);

    return rc;
}


LIBRARY_API void
libffi_fini(void *tq)
{
    char              text[ERROR_MAX];
    void            (*fini)(void *);
    PyObject         *result;
    PyGILState_STATE  gil;

    *(void **) &fini = original(tq, "libffi_fini");

    if (fini != NULL && fini != libffi_fini) {
        fini(tq);
        return;
    }

    gil = PyGILState_Ensure();

    result = call_runtime("unload", Py_BuildValue("(K)",
                                        (unsigned long long) (uintptr_t) tq));
    if (result == NULL) {
        error_text(text, sizeof(text));
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_ERR, text, strlen(text));
    }

    Py_XDECREF(result);
    PyGILState_Release(gil);
}
