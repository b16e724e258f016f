#include "python_system.h"

#include "bridge.h"

#include "error.h"

#include <ngx_http_lua_ffi.h>


/* The rc of a call whose handler failed. */
#define HANDLER_FAILED  1

#define ERROR_MAX       512


static PyObject *
to_request(void *task)
{
    size_t       len;
    const char  *request;

    request = ngx_http_lua_ffi_get_request(task, &len);

    if (request == NULL) {
        Py_RETURN_NONE;
    }

    return PyBytes_FromStringAndSize(request, (Py_ssize_t) len);
}


/* Raises TypeError, or what makes the object unfit, and leaves the task. */
static int
respond_buffer(void *task, int rc, PyObject *object)
{
    Py_buffer  view;

    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError,
                     "handler returned %s, not bytes, str or None",
                     Py_TYPE(object)->tp_name);
        return -1;
    }

    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE) != 0) {
        return -1;
    }

    /* An empty buffer may have no address, which would be nil. */
    (void) ngx_http_lua_ffi_respond_copy(task, rc,
                                         view.buf != NULL ? view.buf : "",
                                         (size_t) view.len);
    PyBuffer_Release(&view);

    return 0;
}


/*
 * Holds the GIL.  0 when the task was responded to, else -1 with an exception
 * set.
 */
static int
respond(void *task, int rc, PyObject *object)
{
    Py_ssize_t   len;
    const char  *text;

    if (PyBytes_Check(object)) {
        (void) ngx_http_lua_ffi_respond_copy(task, rc,
                                             PyBytes_AS_STRING(object),
                                             (size_t) PyBytes_GET_SIZE(object));
        return 0;
    }

    if (object == Py_None) {
        (void) ngx_http_lua_ffi_respond_copy(task, rc, NULL, 0);
        return 0;
    }

    if (PyUnicode_Check(object)) {
        text = PyUnicode_AsUTF8AndSize(object, &len);
        if (text == NULL) {
            return -1;
        }

        (void) ngx_http_lua_ffi_respond_copy(task, rc, text, (size_t) len);
        return 0;
    }

    return respond_buffer(task, rc, object);
}


/* Holds the GIL, with an exception set: makes it the call's error. */
static void
respond_error(void *task, PyObject *report)
{
    char       text[ERROR_MAX];
    PyObject  *exception, *message;

    exception = PyErr_GetRaisedException();
    message = PyObject_CallOneArg(report, exception);
    Py_DECREF(exception);

    if (message == NULL || respond(task, HANDLER_FAILED, message) != 0) {
        error_text(text, sizeof(text));
        (void) ngx_http_lua_ffi_respond_copy(task, HANDLER_FAILED, text,
                                             strlen(text));
    }

    Py_XDECREF(message);
}


/* Holds the GIL. */
static void
serve_task(void *task, PyObject *handler, PyObject *report)
{
    PyObject  *request, *response;

    response = NULL;
    request = to_request(task);

    if (request != NULL) {
        response = PyObject_CallOneArg(handler, request);
        Py_DECREF(request);
    }

    if (response == NULL || respond(task, 0, response) != 0) {
        respond_error(task, report);
    }

    Py_XDECREF(response);
}


/*
 * Holds the GIL, releases it while waiting.  NULL at the end of the queue.
 *
 * One task at a time: a taken task that waits for a slow handler is lost to
 * other pollers, and is served even when its caller has gone.
 */
static void *
poll_task(void *tq)
{
    int    n;
    void  *task;

    n = ngx_http_lua_ffi_task_poll_many(tq, &task, 1, 0);

    if (n == 0) {
        Py_BEGIN_ALLOW_THREADS
        n = ngx_http_lua_ffi_task_poll_many(tq, &task, 1, -1);
        Py_END_ALLOW_THREADS
    }

    return n == 1 ? task : NULL;
}


static PyObject *
bridge_serve(PyObject *module, PyObject *args)
{
    void                *task;
    PyObject            *handler, *report;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "KOO:serve", &tq, &handler, &report)) {
        return NULL;
    }

    for ( ;; ) {
        task = poll_task((void *) (uintptr_t) tq);

        if (task == NULL) {
            Py_RETURN_NONE;
        }

        serve_task(task, handler, report);
    }
}


static PyObject *
bridge_log(PyObject *module, PyObject *args)
{
    int                  level;
    const char          *text;
    Py_ssize_t           len;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "Kiy#:log", &tq, &level, &text, &len)) {
        return NULL;
    }

    ngx_http_lua_ffi_log((void *) (uintptr_t) tq, level, text, (size_t) len);

    Py_RETURN_NONE;
}


static int
bridge_exec(PyObject *module)
{
    size_t  i;

    static const struct {
        const char  *name;
        int          level;
    } levels[] = {
        { "CRIT", NGX_HTTP_LUA_FFI_LOG_CRIT },
        { "ERR", NGX_HTTP_LUA_FFI_LOG_ERR },
        { "WARN", NGX_HTTP_LUA_FFI_LOG_WARN },
        { "NOTICE", NGX_HTTP_LUA_FFI_LOG_NOTICE },
        { "INFO", NGX_HTTP_LUA_FFI_LOG_INFO },
        { "DEBUG", NGX_HTTP_LUA_FFI_LOG_DEBUG },
    };

    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (PyModule_AddIntConstant(module, levels[i].name, levels[i].level)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static PyMethodDef  bridge_methods[] = {
    { "serve", bridge_serve, METH_VARARGS,
      "Calls the handler for each call of a runtime until it is unloaded." },
    { "log", bridge_log, METH_VARARGS,
      "Writes text to nginx's error.log." },
    { NULL, NULL, 0, NULL }
};


static PyModuleDef_Slot  bridge_slots[] = {
    { Py_mod_exec, (void *) (uintptr_t) bridge_exec },
    { 0, NULL }
};


static struct PyModuleDef  bridge_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_resty_ffi",
    .m_doc = "nginx's side of the package resty_ffi.",
    .m_methods = bridge_methods,
    .m_slots = bridge_slots,
};


static PyObject *
bridge_init(void)
{
    return PyModuleDef_Init(&bridge_module);
}


int
bridge_register(void)
{
    return PyImport_AppendInittab("_resty_ffi", bridge_init);
}
