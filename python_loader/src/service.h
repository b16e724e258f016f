/*
 * What answers the calls of one runtime, as Python has prepared it
 * (resty_ffi/_handler.py).  All functions need the GIL.
 */

#ifndef SERVICE_H_INCLUDED
#define SERVICE_H_INCLUDED


#include "python_system.h"


/* References are borrowed, unless the one who has it says otherwise. */
typedef struct {
    PyObject  *function;        /* answers all calls; None: methods do */
    PyObject  *methods;         /* by name; raises for those missing */
    PyObject  *error_answer;    /* makes (rc, message) of an exception */
} service_t;


/* A new reference to what answers the task, or NULL with an exception set. */
PyObject *service_find(service_t *service, void *task);

/* Answers the task with the exception that is set, and clears that. */
void service_fail(service_t *service, void *task);


#endif /* SERVICE_H_INCLUDED */
