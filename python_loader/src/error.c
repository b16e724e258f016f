#include "python_system.h"

#include "error.h"

#include <stdio.h>


void
error_text(char *text, size_t size)
{
    PyObject    *exception, *string;
    const char  *message;

    exception = PyErr_GetRaisedException();

    if (exception == NULL) {
        snprintf(text, size, "Python says no reason: out of memory?");
        return;
    }

    string = PyObject_Str(exception);
    message = string != NULL ? PyUnicode_AsUTF8(string) : NULL;

    snprintf(text, size, "%s%s%s", Py_TYPE(exception)->tp_name,
             message == NULL || *message != '\0' ? ": " : "",
             message != NULL ? message : "no message");

    PyErr_Clear();
    Py_XDECREF(string);
    Py_DECREF(exception);
}
