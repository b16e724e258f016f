#include "python_system.h"

#include "service.h"

#include "error.h"
#include "task.h"

#include <ngx_http_lua_ffi.h>


/* The rc of a call whose handler failed without saying how. */
#define FAILED     1

#define ERROR_MAX  512


PyObject *
service_find(service_t *service, void *task)
{
    PyObject  *handler, *method;

    if (service->function != Py_None) {
        Py_INCREF(service->function);
        return service->function;
    }

    method = task_method(task);
    if (method == NULL) {
        return NULL;
    }

    handler = PyObject_GetItem(service->methods, method);
    Py_DECREF(method);

    return handler;
}


void
service_fail(service_t *service, void *task)
{
    int        rc;
    char       text[ERROR_MAX];
    PyObject  *answer, *exception, *message;

    exception = PyErr_GetRaisedException();
    answer = PyObject_CallOneArg(service->error_answer, exception);
    Py_DECREF(exception);

    if (answer == NULL
        || !PyArg_ParseTuple(answer, "iO", &rc, &message)
        || task_respond(task, rc, message) != 0)
    {
        error_text(text, sizeof(text));
        (void) ngx_http_lua_ffi_respond_copy(task, FAILED, text, strlen(text));
    }

    Py_XDECREF(answer);
}
