/*
 * Tasks as Python objects: the type _resty_ffi.Task, a call in flight.
 *
 * An object is of use until its call is answered; then it lets go of the
 * handle.  All functions need the GIL.
 */

#ifndef TASK_H_INCLUDED
#define TASK_H_INCLUDED


#include "python_system.h"


/* A new reference to the type; NULL with an exception set. */
PyObject *task_type(void);

/*
 * A new reference to an object of that type for a polled task.  If it is the
 * owner, the call is answered by it, when it is freed at the latest; else the
 * task stays the caller's to answer.  NULL with an exception set.
 */
PyObject *task_object(PyObject *type, void *task, int owner);

/* Its call was answered, by other means than the object. */
void task_end(PyObject *object);

/* A new reference to bytes, or to None for a nil request. */
PyObject *task_request(void *task);

/* A new reference to the method's name. */
PyObject *task_method(void *task);

/*
 * Answers with bytes, text, a buffer or None.  -1 with an exception set when
 * the response is of another type: the task is unanswered then.
 */
int task_respond(void *task, int rc, PyObject *response);


#endif /* TASK_H_INCLUDED */
