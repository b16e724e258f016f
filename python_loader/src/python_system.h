/*
 * The one way to Python.h, with what older versions lack.  Include it first:
 * Python.h defines what the C library's headers look at.
 */

#ifndef PYTHON_SYSTEM_H_INCLUDED
#define PYTHON_SYSTEM_H_INCLUDED


#define PY_SSIZE_T_CLEAN
#include <Python.h>


#if PY_VERSION_HEX < 0x03080000
#error "a CPython >= 3.8 is needed"
#endif


#if PY_VERSION_HEX < 0x03090000

static inline PyObject *
PyObject_CallOneArg(PyObject *callable, PyObject *arg)
{
    return PyObject_CallFunctionObjArgs(callable, arg, NULL);
}

#endif


#if PY_VERSION_HEX < 0x030c0000

static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject  *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);

    if (traceback != NULL) {
        PyException_SetTraceback(value, traceback);
    }

    Py_XDECREF(type);
    Py_XDECREF(traceback);

    return value;
}

#endif


#if PY_VERSION_HEX < 0x030a0000

typedef enum {
    PYGEN_RETURN = 0,
    PYGEN_ERROR = -1,
    PYGEN_NEXT = 1,
} PySendResult;

#endif


/*
 * How a coroutine ended whose send() or throw() returned NULL: with a value,
 * which is taken out of the exception, or with another exception.
 */
static inline PySendResult
PySystem_Ended(PyObject **value)
{
    PyObject  *exception;

    if (!PyErr_ExceptionMatches(PyExc_StopIteration)) {
        return PYGEN_ERROR;
    }

    exception = PyErr_GetRaisedException();
    *value = PyObject_GetAttrString(exception, "value");
    Py_DECREF(exception);

    return *value != NULL ? PYGEN_RETURN : PYGEN_ERROR;
}


#if PY_VERSION_HEX < 0x030a0000

static inline PySendResult
PyIter_Send(PyObject *coroutine, PyObject *value, PyObject **result)
{
    *result = PyObject_CallMethod(coroutine, "send", "O", value);

    return *result != NULL ? PYGEN_NEXT : PySystem_Ended(result);
}

#endif


#endif /* PYTHON_SYSTEM_H_INCLUDED */
