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


#endif /* PYTHON_SYSTEM_H_INCLUDED */
