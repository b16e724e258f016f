/*
 * Calls that an event loop answers: the type _resty_ffi.Calls.  Its Python
 * side is _resty_ffi.pyi.
 */

#ifndef CALLS_H_INCLUDED
#define CALLS_H_INCLUDED


#include "python_system.h"


/* A new reference to the type; NULL with an exception set. */
PyObject *calls_type(void);

/*
 * A new reference to an object of that type, made with the arguments of
 * _resty_ffi.calls(); NULL with an exception set.
 */
PyObject *calls_object(PyObject *type, PyObject *task_type, PyObject *args);


#endif /* CALLS_H_INCLUDED */
