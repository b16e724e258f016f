/*
 * Which Python environment is embedded: the one whose bin/python this names.
 */

#ifndef EXECUTABLE_H_INCLUDED
#define EXECUTABLE_H_INCLUDED


#include <limits.h>
#include <stddef.h>


#define EXECUTABLE_MAX  PATH_MAX


/*
 * Any thread; needs no interpreter.  In this order: $RESTY_FFI_PYTHON, the
 * virtual environment that the library is installed in, if it is of this
 * version; the python that the loader was built for; the one that belongs to
 * the libpython in use.
 *
 * path  gets the absolute path (EXECUTABLE_MAX bytes)
 * why   gets the reason when there is none
 *
 * Returns 0, or -1.
 */
int executable_find(const char *library, char *path, char *why,
    size_t why_size);


#endif /* EXECUTABLE_H_INCLUDED */
