#include "python_system.h"

#include "embed.h"

#include "error.h"
#include "interpreter.h"
#include "memory.h"

#include <ngx_http_lua_ffi.h>

#include <poll.h>
#include <stdio.h>
#include <string.h>


#define ERROR_MAX  1024

#define NO_MEMORY  "no memory for a thread of Python's"

/* Between two tries of what must not fail. */
#define RETRY_MS   100


/*
 * Takes the GIL on a thread that Python does not know.  NULL without memory,
 * where PyGILState_Ensure() would end the process.
 */
static PyThreadState *
take_gil(void)
{
    PyThreadState  *state;

    state = PyThreadState_New(PyInterpreterState_Main());

    if (state != NULL) {
        PyEval_RestoreThread(state);
    }

    return state;
}


static void
leave_gil(PyThreadState *state)
{
    PyThreadState_Clear(state);
    PyThreadState_DeleteCurrent();
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


/*
 * Holds the GIL.  The bytes that a function of resty_ffi._runtime returned, or
 * the exception that it raised, as text; NULL for None.  Takes the result.
 */
static const char *
result_text(PyObject *result, char text[ERROR_MAX])
{
    const char  *message;

    if (result == Py_None) {
        Py_DECREF(result);
        return NULL;
    }

    message = result != NULL ? PyBytes_AsString(result) : NULL;

    if (message != NULL) {
        snprintf(text, ERROR_MAX, "%s", message);

    } else {
        error_text(text, ERROR_MAX);
    }

    Py_XDECREF(result);

    return text;
}


static int
embed_load(char *cfg, void *tq)
{
    char            text[ERROR_MAX];
    const char     *why;
    PyThreadState  *gil;

    gil = take_gil();

    if (gil == NULL) {
        ngx_http_lua_ffi_set_error(tq, NO_MEMORY, strlen(NO_MEMORY));
        return -1;
    }

    why = result_text(call_runtime("load", Py_BuildValue("KyK",
                                   (unsigned long long) (uintptr_t) tq, cfg,
                                   (unsigned long long) (uintptr_t) cfg)),
                      text);
    leave_gil(gil);

    if (why == NULL) {
        return 0;
    }

    ngx_http_lua_ffi_set_error(tq, why, strlen(why));

    return -1;
}


static void
embed_unload(void *tq)
{
    char            text[ERROR_MAX];
    const char     *why;
    PyThreadState  *gil;

    /* its threads must end, whatever it takes */
    while ((gil = take_gil()) == NULL) {
        (void) poll(NULL, 0, RETRY_MS);
    }

    why = result_text(call_runtime("unload", Py_BuildValue("(K)",
                                        (unsigned long long) (uintptr_t) tq)),
                      text);
    leave_gil(gil);

    if (why != NULL) {
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_ERR, why, strlen(why));
    }
}


/* Holds the GIL, and so nobody answers the task. */
static void
log_stack(void *task, PyObject *stack)
{
    if (PyBytes_Check(stack) && ngx_http_lua_ffi_time_left(task) != -1) {
        ngx_http_lua_ffi_log_task(task, NGX_HTTP_LUA_FFI_LOG_WARN,
                                  PyBytes_AS_STRING(stack),
                                  (size_t) PyBytes_GET_SIZE(stack));
    }
}


static void
embed_overdue(void *tq, void *task)
{
    char            text[ERROR_MAX];
    PyObject       *stack;
    PyThreadState  *gil;

    gil = take_gil();

    if (gil == NULL) {
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_ERR, NO_MEMORY,
                             strlen(NO_MEMORY));
        return;
    }

    stack = call_runtime("overdue", Py_BuildValue("KK",
                                      (unsigned long long) (uintptr_t) tq,
                                      (unsigned long long) (uintptr_t) task));
    if (stack != NULL) {
        log_stack(task, stack);
        Py_DECREF(stack);

    } else {
        error_text(text, sizeof(text));
        ngx_http_lua_ffi_log(tq, NGX_HTTP_LUA_FFI_LOG_ERR, text, strlen(text));
    }

    leave_gil(gil);
}


static const char *
embed_busy(void)
{
    const char     *why;
    static char     text[ERROR_MAX];
    PyThreadState  *gil;

    gil = take_gil();

    if (gil == NULL) {
        return NO_MEMORY;
    }

    if (PyInterpreterState_Next(PyInterpreterState_Head()) != NULL) {
        /* before 3.12 Python aborts when it ends before them */
        why = "it has sub-interpreters";

    } else {
        why = result_text(call_runtime("busy", PyTuple_New(0)), text);
    }

    leave_gil(gil);

    return why;
}


__attribute__((visibility("default")))
extern const embed_t  resty_ffi_embed;

const embed_t  resty_ffi_embed = {
    .start = interpreter_start,
    .load = embed_load,
    .unload = embed_unload,
    .overdue = embed_overdue,
    .busy = embed_busy,
    .end = interpreter_end,
    .release = memory_release,
};
