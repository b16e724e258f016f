#include "python_system.h"

#include "bridge.h"

#include "calls.h"
#include "interpreter.h"
#include "service.h"
#include "serving.h"
#include "task.h"

#include <ngx_http_lua_ffi.h>


/* Handles that are told of at once. */
#define TASKS_MAX  64


typedef struct {
    PyObject  *task_type;
    PyObject  *calls_type;
} bridge_state_t;


/* What the handler returned, or NULL with an exception set. */
static PyObject *
call_handler(void *task, service_t *service)
{
    PyObject  *handler, *request, *response;

    handler = service_find(service, task);
    request = handler != NULL ? task_request(task) : NULL;
    response = request != NULL ? PyObject_CallOneArg(handler, request) : NULL;

    Py_XDECREF(handler);
    Py_XDECREF(request);

    interpreter_end_child(response == NULL);

    return response;
}


/* The same, leaving no context variables behind. */
static PyObject *
call_in_context(void *task, service_t *service)
{
    PyObject  *context, *response;

    context = PyContext_CopyCurrent();
    if (context == NULL) {
        return NULL;
    }

    response = NULL;

    if (PyContext_Enter(context) == 0) {
        response = call_handler(task, service);

        /* fails only if the handler has entered another one and stayed there */
        if (PyContext_Exit(context) != 0) {
            Py_CLEAR(response);
        }
    }

    Py_DECREF(context);

    return response;
}


/* Holds the GIL. */
static void
serve_task(void *task, service_t *service)
{
    PyObject   *response;
    serving_t   serving;

    serving_begin(&serving, task, NULL);

    response = call_in_context(task, service);

    if (response == NULL || task_respond(task, 0, response) != 0) {
        service_fail(service, task);
    }

    serving_end(&serving);

    if (serving.object != NULL) {
        task_end(serving.object);
        Py_DECREF(serving.object);
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
    service_t            service;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "KOOO:serve", &tq, &service.function,
                          &service.methods, &service.error_answer))
    {
        return NULL;
    }

    for ( ;; ) {
        task = poll_task((void *) (uintptr_t) tq);

        if (task == NULL) {
            Py_RETURN_NONE;
        }

        serve_task(task, &service);
    }
}


static PyObject *
bridge_current_task(PyObject *module, PyObject *unused)
{
    serving_t       *serving;
    bridge_state_t  *state;

    serving = serving_here();

    if (serving == NULL) {
        Py_RETURN_NONE;
    }

    if (serving->object == NULL) {
        state = PyModule_GetState(module);
        serving->object = task_object(state->task_type, serving->task, 0);
    }

    Py_XINCREF(serving->object);

    return serving->object;
}


static PyObject *
bridge_thread_of(PyObject *module, PyObject *args)
{
    unsigned long long  task;

    if (!PyArg_ParseTuple(args, "K:thread_of", &task)) {
        return NULL;
    }

    return PyLong_FromUnsignedLong(serving_thread((void *) (uintptr_t) task));
}


static PyObject *
bridge_calls(PyObject *module, PyObject *args)
{
    bridge_state_t  *state;

    state = PyModule_GetState(module);

    return calls_object(state->calls_type, state->task_type, args);
}


static PyObject *
bridge_poll_abandoned(PyObject *module, PyObject *args)
{
    int                  i, n;
    void                *tasks[TASKS_MAX];
    PyObject            *handle, *list;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "K:poll_abandoned", &tq)) {
        return NULL;
    }

    n = ngx_http_lua_ffi_poll_abandoned((void *) (uintptr_t) tq, tasks,
                                        TASKS_MAX);
    list = PyList_New(n);

    for (i = 0; list != NULL && i < n; i++) {
        handle = PyLong_FromVoidPtr(tasks[i]);

        if (handle == NULL) {
            Py_CLEAR(list);
            break;
        }

        PyList_SET_ITEM(list, i, handle);
    }

    return list;
}


static PyObject *
bridge_event_fd(PyObject *module, PyObject *args)
{
    int                  fd;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "K:event_fd", &tq)) {
        return NULL;
    }

    fd = ngx_http_lua_ffi_event_fd((void *) (uintptr_t) tq);

    return fd != -1 ? PyLong_FromLong(fd) : PyErr_SetFromErrno(PyExc_OSError);
}


static PyObject *
bridge_is_reload(PyObject *module, PyObject *args)
{
    unsigned long long  tq;

    if (!PyArg_ParseTuple(args, "K:is_reload", &tq)) {
        return NULL;
    }

    return PyBool_FromLong(ngx_http_lua_ffi_is_reload((void *) (uintptr_t) tq));
}


static PyObject *
bridge_string_at(PyObject *module, PyObject *args)
{
    unsigned long long  address;

    if (!PyArg_ParseTuple(args, "K:string_at", &address)) {
        return NULL;
    }

    return PyBytes_FromString((const char *) (uintptr_t) address);
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
    size_t           i;
    bridge_state_t  *state;

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

    state = PyModule_GetState(module);

    state->task_type = task_type();
    state->calls_type = calls_type();

    if (state->task_type == NULL || state->calls_type == NULL) {
        return -1;
    }

    for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        if (PyModule_AddIntConstant(module, levels[i].name, levels[i].level)
            != 0)
        {
            return -1;
        }
    }

    return 0;
}


static int
bridge_traverse(PyObject *module, visitproc visit, void *arg)
{
    bridge_state_t  *state;

    state = PyModule_GetState(module);

    /* before 3.9 it may be called before there is one */
    if (state != NULL) {
        Py_VISIT(state->task_type);
        Py_VISIT(state->calls_type);
    }

    return 0;
}


static int
bridge_clear(PyObject *module)
{
    bridge_state_t  *state;

    state = PyModule_GetState(module);

    if (state != NULL) {
        Py_CLEAR(state->task_type);
        Py_CLEAR(state->calls_type);
    }

    return 0;
}


static PyMethodDef  bridge_methods[] = {
    { "serve", bridge_serve, METH_VARARGS,
      "Answers the calls of a runtime until it is unloaded." },
    { "current_task", bridge_current_task, METH_NOARGS,
      "The call that this thread is serving, or None." },
    { "thread_of", bridge_thread_of, METH_VARARGS,
      "The thread that is running a call, or 0." },
    { "calls", bridge_calls, METH_VARARGS,
      "Awaited, answers the calls that wait." },
    { "poll_abandoned", bridge_poll_abandoned, METH_VARARGS,
      "Handles of tasks whose callers have gone." },
    { "is_reload", bridge_is_reload, METH_VARARGS,
      "Whether the runtime is to replace one that runs." },
    { "event_fd", bridge_event_fd, METH_VARARGS,
      "The descriptor that is readable when there is something to poll." },
    { "string_at", bridge_string_at, METH_VARARGS,
      "The bytes of a C string." },
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
    .m_size = sizeof(bridge_state_t),
    .m_traverse = bridge_traverse,
    .m_clear = bridge_clear,
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
