#include "python_system.h"

#include "calls.h"

#include "interpreter.h"
#include "service.h"
#include "serving.h"
#include "task.h"

#include <ngx_http_lua_ffi.h>


/*
 * Answers calls one after the other inside one asyncio task, as long as they
 * do not wait: that saves a task for each.  The first that waits makes the
 * task its own, and is its last.
 */
typedef struct {
    PyObject_HEAD

    void       *tq;
    int         limit;          /* of calls */
    service_t   service;        /* with references of our own */
    PyObject   *task_type;
    PyObject   *variable;       /* tells a call's code its task */
    PyObject   *waits;          /* called with the first that waits */
    PyObject   *current_task;   /* asyncio's */
    PyObject   *runner;         /* the asyncio task; NULL before the first step */
    PyObject   *must_cancel;    /* the name of its attribute */

    /* of the call that runs; NULL: none does */
    void       *task;
    PyObject   *object;
    PyObject   *context;        /* so that it leaves no variables behind */
    PyObject   *coroutine;
    unsigned    waited:1;
} calls_t;


static void
clear_call(calls_t *calls)
{
    calls->task = NULL;
    Py_CLEAR(calls->coroutine);
    Py_CLEAR(calls->context);
    Py_CLEAR(calls->object);
}


/* In the call's context.  The coroutine, or NULL with an exception set. */
static PyObject *
call_handler(calls_t *calls)
{
    PyObject  *coroutine, *handler, *request, *token;

    token = PyContextVar_Set(calls->variable, calls->object);
    Py_XDECREF(token);

    handler = token != NULL ? service_find(&calls->service, calls->task) : NULL;
    request = handler != NULL ? task_request(calls->task) : NULL;
    coroutine = request != NULL ? PyObject_CallOneArg(handler, request) : NULL;

    Py_XDECREF(handler);
    Py_XDECREF(request);

    if (coroutine != NULL && !PyCoro_CheckExact(coroutine)) {
        PyErr_Format(PyExc_TypeError, "async handler returned %s, not a "
                     "coroutine", Py_TYPE(coroutine)->tp_name);
        Py_CLEAR(coroutine);
    }

    return coroutine;
}


/* In the call's context, with what its coroutine did.  It has ended. */
static void
answer_call(calls_t *calls, PyObject *response)
{
    interpreter_end_child(response == NULL);

    if (response == NULL || task_respond(calls->task, 0, response) != 0) {
        service_fail(&calls->service, calls->task);
    }

    Py_XDECREF(response);
    task_end(calls->object);
}


/* What it waits for, on its way to the event loop; NULL: it is answered. */
static PyObject *
first_step(calls_t *calls)
{
    PyObject      *result;
    PySendResult   sent;

    calls->coroutine = call_handler(calls);
    result = NULL;

    sent = calls->coroutine == NULL
               ? PYGEN_ERROR
               : PyIter_Send(calls->coroutine, Py_None, &result);

    if (sent == PYGEN_NEXT) {
        return result;
    }

    answer_call(calls, result);

    return NULL;
}


/* The same, later on; with the arguments of throw(), or NULL. */
static PyObject *
next_step(calls_t *calls, PyObject *thrown)
{
    PyObject      *result, *throw;
    PySendResult   sent;

    result = NULL;

    if (thrown == NULL) {
        sent = PyIter_Send(calls->coroutine, Py_None, &result);

    } else {
        throw = PyObject_GetAttrString(calls->coroutine, "throw");
        result = throw != NULL ? PyObject_CallObject(throw, thrown) : NULL;
        Py_XDECREF(throw);

        sent = result != NULL ? PYGEN_NEXT : PySystem_Ended(&result);
    }

    if (sent == PYGEN_NEXT) {
        return result;
    }

    answer_call(calls, result);

    return NULL;
}


/*
 * Steps inside the call's context.  -1 with an exception set when that cannot
 * be had.
 */
static int
step(calls_t *calls, PyObject *thrown, PyObject **waits_for)
{
    serving_t  serving;

    if (PyContext_Enter(calls->context) != 0) {
        return -1;
    }

    serving_begin(&serving, calls->task, calls->object);

    *waits_for = calls->coroutine == NULL ? first_step(calls)
                                          : next_step(calls, thrown);

    serving_end(&serving);

    /* waiting, it would take what happens from its parent's event loop */
    interpreter_end_child(1);

    return PyContext_Exit(calls->context);
}


/* Takes a task.  Its number (0 none waits, -1 the end), or -2: an exception. */
static int
take_call(calls_t *calls)
{
    int    n;
    void  *task;

    do {
        n = ngx_http_lua_ffi_task_poll_many(calls->tq, &task, 1, 0);

        if (n != 1) {
            return n;
        }

        calls->object = task_object(calls->task_type, task, 1);

        if (calls->object == NULL) {
            service_fail(&calls->service, task);
        }

    } while (calls->object == NULL);

    calls->task = task;
    calls->context = PyContext_CopyCurrent();

    return calls->context != NULL ? 1 : -2;
}


/*
 * Whether a call has cancelled the asyncio task without waiting after it: that
 * must not reach the calls of others.
 */
static int
is_cancelled(calls_t *calls)
{
    int        cancelled;
    PyObject  *flag;

    flag = PyObject_GetAttr(calls->runner, calls->must_cancel);
    cancelled = flag == Py_True;

    Py_XDECREF(flag);
    PyErr_Clear();

    return cancelled;
}


/* Ends the await with a number, as iterators do; NULL. */
static PyObject *
stop(int outcome)
{
    PyObject  *number;

    number = PyLong_FromLong(outcome);

    if (number != NULL) {
        PyErr_SetObject(PyExc_StopIteration, number);
        Py_DECREF(number);
    }

    return NULL;
}


/* The call waits for the first time. */
static int
tell(calls_t *calls)
{
    PyObject  *handle, *result;

    calls->waited = 1;

    handle = PyLong_FromVoidPtr(calls->task);
    result = handle != NULL ? PyObject_CallOneArg(calls->waits, handle) : NULL;

    Py_XDECREF(handle);
    Py_XDECREF(result);

    return result != NULL ? 0 : -1;
}


/* Goes on with the call that runs, and then with others. */
static PyObject *
proceed(calls_t *calls, PyObject *thrown)
{
    int        n;
    void      *task;
    PyObject  *waits_for;

    for ( ;; ) {
        waits_for = NULL;
        task = calls->task;

        if (task != NULL && step(calls, thrown, &waits_for) != 0) {
            Py_XDECREF(waits_for);
            clear_call(calls);
            return NULL;
        }

        if (waits_for != NULL) {
            if (!calls->waited && tell(calls) != 0) {
                Py_CLEAR(waits_for);
            }

            return waits_for;
        }

        clear_call(calls);

        if (calls->waited || calls->limit-- == 0
            || (task != NULL && is_cancelled(calls)))
        {
            return stop(1);
        }

        n = take_call(calls);

        if (n == -2) {
            clear_call(calls);
            return NULL;
        }

        if (n != 1) {
            return stop(n);
        }
    }
}


static PyObject *
calls_await(PyObject *self)
{
    Py_INCREF(self);

    return self;
}


static PyObject *
calls_next(PyObject *self)
{
    calls_t  *calls = (calls_t *) self;

    if (calls->runner == NULL) {
        calls->runner = PyObject_CallObject(calls->current_task, NULL);
    }

    return calls->runner != NULL ? proceed(calls, NULL) : NULL;
}


static PyObject *
calls_throw(PyObject *self, PyObject *args)
{
    calls_t  *calls = (calls_t *) self;

    if (calls->coroutine == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "no call is waiting");
        return NULL;
    }

    return proceed(calls, args);
}


static int
calls_clear(PyObject *self)
{
    calls_t  *calls = (calls_t *) self;

    clear_call(calls);
    Py_CLEAR(calls->service.function);
    Py_CLEAR(calls->service.methods);
    Py_CLEAR(calls->service.error_answer);
    Py_CLEAR(calls->task_type);
    Py_CLEAR(calls->variable);
    Py_CLEAR(calls->waits);
    Py_CLEAR(calls->current_task);
    Py_CLEAR(calls->runner);
    Py_CLEAR(calls->must_cancel);

    return 0;
}


static int
calls_traverse(PyObject *self, visitproc visit, void *arg)
{
    calls_t  *calls = (calls_t *) self;

#if PY_VERSION_HEX >= 0x03090000
    Py_VISIT(Py_TYPE(self));
#endif
    Py_VISIT(calls->coroutine);
    Py_VISIT(calls->context);
    Py_VISIT(calls->object);
    Py_VISIT(calls->service.function);
    Py_VISIT(calls->service.methods);
    Py_VISIT(calls->service.error_answer);
    Py_VISIT(calls->task_type);
    Py_VISIT(calls->variable);
    Py_VISIT(calls->waits);
    Py_VISIT(calls->current_task);
    Py_VISIT(calls->runner);

    return 0;
}


static void
calls_dealloc(PyObject *self)
{
    PyTypeObject  *type;

    type = Py_TYPE(self);

    PyObject_GC_UnTrack(self);
    (void) calls_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}


static PyObject *
calls_coroutine(PyObject *self, void *unused)
{
    PyObject  *coroutine;

    coroutine = ((calls_t *) self)->coroutine;

    if (coroutine == NULL) {
        Py_RETURN_NONE;
    }

    Py_INCREF(coroutine);

    return coroutine;
}


static PyGetSetDef  calls_getset[] = {
    { "coroutine", calls_coroutine, NULL, "Of the call that waits, or None.",
      NULL },
    { NULL, NULL, NULL, NULL, NULL }
};


static PyMethodDef  calls_methods[] = {
    { "throw", calls_throw, METH_VARARGS,
      "Raises an exception in the call that waits." },
    { NULL, NULL, 0, NULL }
};


static PyType_Slot  calls_slots[] = {
    { Py_tp_doc, "Awaited, answers the calls that wait." },
    { Py_tp_dealloc, (void *) (uintptr_t) calls_dealloc },
    { Py_tp_traverse, (void *) (uintptr_t) calls_traverse },
    { Py_tp_clear, (void *) (uintptr_t) calls_clear },
    { Py_tp_iter, (void *) (uintptr_t) calls_await },
    { Py_tp_iternext, (void *) (uintptr_t) calls_next },
    { Py_am_await, (void *) (uintptr_t) calls_await },
    { Py_tp_getset, calls_getset },
    { Py_tp_methods, calls_methods },
    { 0, NULL }
};


static PyType_Spec  calls_spec = {
    .name = "_resty_ffi.Calls",
    .basicsize = sizeof(calls_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = calls_slots,
};


PyObject *
calls_type(void)
{
    PyObject  *type;

    type = PyType_FromSpec(&calls_spec);

    if (type != NULL) {
        /* Made here only. */
        ((PyTypeObject *) type)->tp_new = NULL;
    }

    return type;
}


PyObject *
calls_object(PyObject *type, PyObject *task_type, PyObject *args)
{
    int                  limit;
    calls_t             *calls;
    PyObject            *variable, *waits, *current_task;
    service_t            service;
    unsigned long long   tq;

    if (!PyArg_ParseTuple(args, "KiOOOOOO:calls", &tq, &limit,
                          &service.function, &service.methods,
                          &service.error_answer, &variable, &waits,
                          &current_task))
    {
        return NULL;
    }

    calls = (calls_t *) ((PyTypeObject *) type)->tp_alloc(
                                                    (PyTypeObject *) type, 0);
    if (calls == NULL) {
        return NULL;
    }

    calls->tq = (void *) (uintptr_t) tq;
    calls->limit = limit;
    calls->service = service;
    calls->task_type = task_type;
    calls->variable = variable;
    calls->waits = waits;
    calls->current_task = current_task;

    Py_INCREF(service.function);
    Py_INCREF(service.methods);
    Py_INCREF(service.error_answer);
    Py_INCREF(task_type);
    Py_INCREF(variable);
    Py_INCREF(waits);
    Py_INCREF(current_task);

    calls->must_cancel = PyUnicode_InternFromString("_must_cancel");

    if (calls->must_cancel == NULL) {
        Py_CLEAR(calls);
    }

    return (PyObject *) calls;
}
