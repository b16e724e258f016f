#include "python_system.h"

#include "task.h"

#include <ngx_http_lua_ffi.h>

#include <time.h>


/* Of a task whose coroutine somebody cancelled before it began, say. */
#define DROPPED_RC  1
#define DROPPED     "the call was dropped: its handler never ran"


typedef struct {
    PyObject_HEAD
    void      *handle;          /* NULL: the call was answered */
    unsigned   owner:1;         /* who else answers it? */
} task_object_t;


PyObject *
task_request(void *task)
{
    size_t       len;
    const char  *request;

    request = ngx_http_lua_ffi_get_request(task, &len);

    if (request == NULL) {
        Py_RETURN_NONE;
    }

    return PyBytes_FromStringAndSize(request, (Py_ssize_t) len);
}


/* Names come from Lua, where they are any bytes. */
static PyObject *
to_text(const char *text, size_t len)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t) len, "surrogateescape");
}


PyObject *
task_method(void *task)
{
    size_t       len;
    const char  *method;

    method = ngx_http_lua_ffi_get_method(task, &len);

    return method != NULL ? to_text(method, len) : to_text("", 0);
}


static int
respond_buffer(void *task, int rc, PyObject *response)
{
    Py_buffer  view;

    if (!PyObject_CheckBuffer(response)) {
        PyErr_Format(PyExc_TypeError,
                     "handler returned %s, not bytes, str or None",
                     Py_TYPE(response)->tp_name);
        return -1;
    }

    if (PyObject_GetBuffer(response, &view, PyBUF_SIMPLE) != 0) {
        return -1;
    }

    /* An empty buffer may have no address, which would be nil. */
    (void) ngx_http_lua_ffi_respond_copy(task, rc,
                                         view.buf != NULL ? view.buf : "",
                                         (size_t) view.len);
    PyBuffer_Release(&view);

    return 0;
}


int
task_respond(void *task, int rc, PyObject *response)
{
    Py_ssize_t   len;
    const char  *text;

    if (PyBytes_Check(response)) {
        (void) ngx_http_lua_ffi_respond_copy(task, rc,
                                           PyBytes_AS_STRING(response),
                                           (size_t) PyBytes_GET_SIZE(response));
        return 0;
    }

    if (response == Py_None) {
        (void) ngx_http_lua_ffi_respond_copy(task, rc, NULL, 0);
        return 0;
    }

    if (PyUnicode_Check(response)) {
        text = PyUnicode_AsUTF8AndSize(response, &len);
        if (text == NULL) {
            return -1;
        }

        (void) ngx_http_lua_ffi_respond_copy(task, rc, text, (size_t) len);
        return 0;
    }

    return respond_buffer(task, rc, response);
}


/* The handle, or NULL with an exception set. */
static void *
live(PyObject *self)
{
    void  *handle;

    handle = ((task_object_t *) self)->handle;

    if (handle == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the call was answered already");
    }

    return handle;
}


static PyObject *
get_handle(PyObject *self, void *unused)
{
    return PyLong_FromVoidPtr(((task_object_t *) self)->handle);
}


static PyObject *
get_request(PyObject *self, void *unused)
{
    void  *handle;

    handle = live(self);

    return handle != NULL ? task_request(handle) : NULL;
}


static PyObject *
get_method(PyObject *self, void *unused)
{
    void  *handle;

    handle = live(self);

    return handle != NULL ? task_method(handle) : NULL;
}


/* What the contract's function says of the call: text, or None. */
static PyObject *
get_text(PyObject *self, const char *(*get)(void *task, size_t *len))
{
    void        *handle;
    size_t       len;
    const char  *text;

    handle = live(self);
    if (handle == NULL) {
        return NULL;
    }

    text = get(handle, &len);

    if (text == NULL) {
        Py_RETURN_NONE;
    }

    return to_text(text, len);
}


static PyObject *
get_request_id(PyObject *self, void *unused)
{
    return get_text(self, ngx_http_lua_ffi_get_request_id);
}


static PyObject *
get_traceparent(PyObject *self, void *unused)
{
    return get_text(self, ngx_http_lua_ffi_get_traceparent);
}


/* Seconds, 0 when the time is up or the call was answered. */
static double
seconds_left(PyObject *self)
{
    int64_t  left;

    left = ngx_http_lua_ffi_time_left(((task_object_t *) self)->handle);

    return left > 0 ? (double) left / 1000 : 0;
}


static PyObject *
get_deadline(PyObject *self, void *unused)
{
    struct timespec  now;

    (void) clock_gettime(CLOCK_MONOTONIC, &now);

    return PyFloat_FromDouble((double) now.tv_sec + (double) now.tv_nsec / 1e9
                              + seconds_left(self));
}


static PyObject *
task_time_left(PyObject *self, PyObject *unused)
{
    return PyFloat_FromDouble(seconds_left(self));
}


static PyObject *
task_is_abandoned(PyObject *self, PyObject *unused)
{
    void  *handle;

    handle = ((task_object_t *) self)->handle;

    return PyBool_FromLong(ngx_http_lua_ffi_is_abandoned(handle));
}


static PyObject *
answer(PyObject *self, int rc, PyObject *response)
{
    void  *handle;

    handle = live(self);

    if (handle == NULL || task_respond(handle, rc, response) != 0) {
        return NULL;
    }

    ((task_object_t *) self)->handle = NULL;

    Py_RETURN_NONE;
}


static PyObject *
task_object_respond(PyObject *self, PyObject *response)
{
    return answer(self, 0, response);
}


static PyObject *
task_object_fail(PyObject *self, PyObject *args)
{
    int        rc;
    PyObject  *message;

    if (!PyArg_ParseTuple(args, "iO:fail", &rc, &message)) {
        return NULL;
    }

    return answer(self, rc, message);
}


static PyObject *
task_object_log(PyObject *self, PyObject *args)
{
    int          level;
    const char  *text;
    Py_ssize_t   len;

    if (!PyArg_ParseTuple(args, "iy#:log", &level, &text, &len)) {
        return NULL;
    }

    ngx_http_lua_ffi_log_task(((task_object_t *) self)->handle, level, text,
                              (size_t) len);

    Py_RETURN_NONE;
}


static void
task_dealloc(PyObject *self)
{
    PyTypeObject   *type;
    task_object_t  *task = (task_object_t *) self;

    if (task->handle != NULL && task->owner) {
        (void) ngx_http_lua_ffi_respond_copy(task->handle, DROPPED_RC, DROPPED,
                                             strlen(DROPPED));
    }

    type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}


static PyGetSetDef  task_getset[] = {
    { "handle", get_handle, NULL, "The handle as a number.", NULL },
    { "request", get_request, NULL, "The request, read once more.", NULL },
    { "method", get_method, NULL, "The name of the Lua method.", NULL },
    { "request_id", get_request_id, NULL,
      "nginx's id of the request, if the call has one.", NULL },
    { "traceparent", get_traceparent, NULL,
      "W3C's header of the request, if it has one.", NULL },
    { "deadline", get_deadline, NULL,
      "When the caller gives up, on the clock of time.monotonic().", NULL },
    { NULL, NULL, NULL, NULL, NULL }
};


static PyMethodDef  task_methods[] = {
    { "time_left", task_time_left, METH_NOARGS,
      "Seconds until the caller gives up." },
    { "is_abandoned", task_is_abandoned, METH_NOARGS,
      "Whether nobody waits for the answer any more." },
    { "respond", task_object_respond, METH_O, "Answers the call." },
    { "fail", task_object_fail, METH_VARARGS,
      "Answers the call with an error." },
    { "log", task_object_log, METH_VARARGS,
      "Writes text to nginx's error.log." },
    { NULL, NULL, 0, NULL }
};


static PyType_Slot  task_slots[] = {
    { Py_tp_doc, "A call that waits for its answer." },
    { Py_tp_dealloc, (void *) (uintptr_t) task_dealloc },
    { Py_tp_getset, task_getset },
    { Py_tp_methods, task_methods },
    { 0, NULL }
};


static PyType_Spec  task_spec = {
    .name = "_resty_ffi.Task",
    .basicsize = sizeof(task_object_t),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = task_slots,
};


PyObject *
task_type(void)
{
    PyObject  *type;

    type = PyType_FromSpec(&task_spec);

    if (type != NULL) {
        /* Made here only. */
        ((PyTypeObject *) type)->tp_new = NULL;
    }

    return type;
}


PyObject *
task_object(PyObject *type, void *task, int owner)
{
    PyObject  *object;

    object = ((PyTypeObject *) type)->tp_alloc((PyTypeObject *) type, 0);

    if (object != NULL) {
        ((task_object_t *) object)->handle = task;
        ((task_object_t *) object)->owner = owner != 0;
    }

    return object;
}


void
task_end(PyObject *object)
{
    ((task_object_t *) object)->handle = NULL;
}
